//! Sends recorded requests to the double, and compares its answers with the recorded ones.
//!
//! Identities, versions, times and tokens differ by nature: they are learned from the answers and put into later requests,
//! and told apart from the rest of a message by their shape.

use std::{collections::BTreeMap, fs, path::Path, time::Duration};

use futures::{AsyncBufReadExt as _, StreamExt as _, io::Lines};
use k8s_backend::testing::ApiServer;
use serde_json::{Map, Value, json};

/// One recorded situation, played against the double.
pub(crate) struct Replay {
    pub(crate) server: ApiServer,
    client: kube::Client,
    recorded: Vec<Value>,
    /// What the recording calls by one name and the double by another.
    learned: BTreeMap<String, String>,
}

/// A watch of the double that a recorded watch is compared with.
pub(crate) struct Watching {
    expected: Vec<Value>,
    lines: Lines<Box<dyn futures::AsyncBufRead + Send + Unpin>>,
    situation: String,
}

impl Replay {
    pub(crate) fn open(situation: &str) -> Self {
        let path =
            Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/fixtures/requests/{situation}.ndjson"));
        let text = fs::read_to_string(path).unwrap();
        let recorded = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let server = ApiServer::new("terrakube");
        let client = server.client();
        Self { server, client, recorded, learned: BTreeMap::new() }
    }

    fn step(&self, what: &str) -> Value {
        let found = self.recorded.iter().find(|step| step["what"] == what);
        found.unwrap_or_else(|| panic!("there is no step {what:?}")).clone()
    }

    /// Tells that the recording calls something by one name and the double by another.
    pub(crate) fn learn(&mut self, recorded: &str, ours: &str) {
        self.learned.insert(recorded.to_owned(), ours.to_owned());
    }

    fn translated(&self, text: &str) -> String {
        self.learned.iter().fold(text.to_owned(), |text, (recorded, ours)| text.replace(recorded, ours))
    }

    /// Makes a Job that the recording found there.
    pub(crate) async fn make(&self, name: &str, labels: &Value) {
        let pod = json!({"restartPolicy": "Never", "containers": [{"name": "executor", "image": "localhost/busybox:1"}]});
        let job = json!({"metadata": {"name": name, "labels": labels}, "spec": {"template": {"spec": pod}}});
        let request = http::Request::post("/apis/batch/v1/namespaces/terrakube/jobs")
            .body(kube::client::Body::from(job.to_string().into_bytes()))
            .unwrap();
        assert_eq!(self.client.send(request).await.unwrap().status(), 201);
    }

    /// Sends the recorded requests in their order and compares every answer.
    pub(crate) async fn requests(&mut self, whats: &[&str]) {
        for what in whats {
            self.request(what).await;
        }
    }

    /// Sends one recorded request and compares the answer.
    pub(crate) async fn request(&mut self, what: &str) {
        let step = self.step(what);
        let body = step.get("body").map(|body| self.translated(&body.to_string()).into_bytes());
        let request = http::Request::builder()
            .method(step["method"].as_str().unwrap())
            .uri(self.translated(step["path"].as_str().unwrap()))
            .body(kube::client::Body::from(body.unwrap_or_default()))
            .unwrap();
        let (head, body) = self.client.send(request).await.unwrap().into_parts();
        let expected = &step["answer"];
        assert_eq!(json!(head.status.as_u16()), expected["status"], "{what}");
        for header in ["content-type", "retry-after", "warning"] {
            let ours = head.headers.get(header).map(|value| value.to_str().unwrap());
            assert_eq!(ours, expected["headers"][header].as_str(), "{header} of {what}");
        }
        let read = tokio::time::timeout(Duration::from_mins(1), body.collect_bytes());
        let bytes = read.await.expect("an answer ends").unwrap();
        match expected.get("body") {
            Some(body) => {
                let ours: Value = serde_json::from_slice(&bytes).unwrap();
                self.learn_from(body, &ours);
                assert_eq!(shape(&ours), shape(body), "{what}");
            }
            None => assert_eq!(bytes, expected["text"].as_str().unwrap().as_bytes(), "{what}"),
        }
    }

    fn learn_from(&mut self, recorded: &Value, ours: &Value) {
        for field in ["uid", "resourceVersion", "continue"] {
            if let (Some(recorded), Some(ours)) =
                (recorded["metadata"][field].as_str(), ours["metadata"][field].as_str())
            {
                self.learn(recorded, ours);
            }
        }
        let items = |list: &Value| list["items"].as_array().cloned().unwrap_or_default();
        for (recorded, ours) in items(recorded).iter().zip(items(ours).iter()) {
            self.learn_from(recorded, ours);
        }
    }

    /// Opens a recorded watch.
    pub(crate) async fn watch(&self, what: &str) -> Watching {
        let step = self.step(what);
        let path = self.translated(step["path"].as_str().unwrap());
        let request = http::Request::get(path).body(kube::client::Body::empty()).unwrap();
        let (head, body) = self.client.send(request).await.unwrap().into_parts();
        assert_eq!(json!(head.status.as_u16()), step["status"], "{what}");
        let pieces = futures::stream::unfold(Box::pin(body), |mut body| async move {
            let frame =
                std::future::poll_fn(|context| http_body::Body::poll_frame(body.as_mut(), context)).await?;
            let data = frame.map_err(std::io::Error::other).map(|frame| frame.into_data().unwrap());
            Some((data, body))
        });
        let reader: Box<dyn futures::AsyncBufRead + Send + Unpin> =
            Box::new(futures::TryStreamExt::into_async_read(pieces.boxed()));
        let expected = step["events"].as_array().unwrap().clone();
        Watching { expected, lines: reader.lines(), situation: what.to_owned() }
    }
}

impl Watching {
    /// Compares what the watch tells with the recording, to its end. Bookmarks that only tell the time are left out: when they
    /// come depends on the server's clock.
    pub(crate) async fn compare(mut self) {
        let expected: Vec<_> =
            self.expected.iter().filter(|event| !is_idle(event)).map(event_shape).collect();
        let mut told = Vec::new();
        while told.len() < expected.len() {
            let next = tokio::time::timeout(Duration::from_mins(1), self.lines.next()).await;
            let Ok(Some(line)) = next else { break };
            let line = line.unwrap();
            let event: Value = serde_json::from_str(&line).unwrap_or_else(|_| json!({"text": line + "\n"}));
            let event = if event["kind"] == "Status" { json!({"text": event}) } else { event };
            if !is_idle(&event) {
                told.push(event_shape(&event));
            }
        }
        assert_eq!(told, expected, "{}", self.situation);
    }
}

fn is_idle(event: &Value) -> bool {
    event["type"] == "BOOKMARK" && event["object"]["metadata"].get("annotations").is_none()
}

fn event_shape(event: &Value) -> Value {
    match event.get("text") {
        Some(text) => json!({"text": shape(text)}),
        None => json!({"type": event["type"], "object": shape(&event["object"])}),
    }
}

/// Returns what both sides must agree on.
fn shape(object: &Value) -> Value {
    if object["kind"] == "Status" {
        return without_incidents(object);
    }
    if let Some(items) = object["items"].as_array() {
        let names: Vec<_> = items.iter().map(|item| item["metadata"]["name"].clone()).collect();
        let metadata = &object["metadata"];
        return json!({"kind": object["kind"], "names": names, "goes on": metadata.get("continue").is_some(),
            "remaining": metadata["remainingItemCount"]});
    }
    let mut object = without_incidents(object);
    if let Some(fields) = object.as_object_mut() {
        // The recordings were cut to what is compared.
        fields.remove("spec");
    }
    if let Some(generated) = object["metadata"]["generateName"].as_str() {
        let name = object["metadata"]["name"].as_str().unwrap();
        object["metadata"]["name"] = json!(name.starts_with(generated));
    }
    object
}

/// Puts a word for every identity, version, time and number that only this run has.
fn without_incidents(value: &Value) -> Value {
    match value {
        Value::Object(fields) => {
            let cleaned = fields.iter().map(|(key, value)| {
                let cleaned = match key.as_str() {
                    "uid" | "resourceVersion" | "continue" => json!("…"),
                    key if key.ends_with("Time") || key.ends_with("Timestamp") => json!("a time"),
                    "message" if fields.get("reason").is_some_and(|reason| reason == "PodFailurePolicy") => {
                        json!(value.as_str().unwrap().split("-100-1-").next())
                    }
                    "message" => json!(masked(value.as_str().unwrap_or_default())),
                    "succeeded" | "failed" if value.is_array() => json!(value.as_array().unwrap().len()),
                    _ => without_incidents(value),
                };
                (key.clone(), cleaned)
            });
            Value::Object(cleaned.collect::<Map<_, _>>())
        }
        Value::Array(items) => items.iter().map(without_incidents).collect(),
        other => other.clone(),
    }
}

/// Replaces identities and numbers in a message.
fn masked(message: &str) -> String {
    let word = |word: &str| {
        let bare = word.trim_matches(|c: char| !c.is_ascii_alphanumeric());
        let is_uid = bare.len() == 36 && bare.bytes().filter(|byte| *byte == b'-').count() == 4;
        let is_number = !bare.is_empty() && bare.bytes().all(|byte| byte.is_ascii_digit());
        if is_uid || is_number { word.replace(bare, "…") } else { word.to_owned() }
    };
    message.split(' ').map(word).collect::<Vec<_>>().join(" ")
}
