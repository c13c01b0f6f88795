//! Sends recorded requests to the API server in memory, and compares the responses with the recorded ones.
//!
//! Uids, versions, times and tokens always differ: they are read from the responses and replaced in later
//! requests.

use std::{collections::BTreeMap, fs, path::Path, time::Duration};

use futures::{AsyncBufReadExt as _, StreamExt as _, io::Lines};
use k8s_backend::testing::ApiServer;
use serde_json::{Map, Value, json};

/// One recording, replayed against the API server in memory.
pub(crate) struct Replay {
    pub(crate) server: ApiServer,
    client: kube::Client,
    recorded: Vec<Value>,
    /// Values of the recording, and those of the server in memory in their place.
    replacements: BTreeMap<String, String>,
}

/// A watch of the server in memory, compared with a recorded one.
pub(crate) struct Watching {
    expected: Vec<Value>,
    lines: Lines<Box<dyn futures::AsyncBufRead + Send + Unpin>>,
    recording: String,
}

impl Replay {
    pub(crate) fn open(recording: &str) -> Self {
        let path =
            Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/fixtures/requests/{recording}.ndjson"));
        let text = fs::read_to_string(path).unwrap();
        let recorded = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let server = ApiServer::new("terrakube");
        let client = server.client();
        Self { server, client, recorded, replacements: BTreeMap::new() }
    }

    fn step(&self, what: &str) -> Value {
        let found = self.recorded.iter().find(|step| step["what"] == what);
        found.unwrap_or_else(|| panic!("there is no step {what:?}")).clone()
    }

    /// Records that a value of the recording has another one here.
    pub(crate) fn replace(&mut self, recorded: &str, current: &str) {
        self.replacements.insert(recorded.to_owned(), current.to_owned());
    }

    fn replaced(&self, text: &str) -> String {
        self.replacements
            .iter()
            .fold(text.to_owned(), |text, (recorded, current)| text.replace(recorded, current))
    }

    /// Creates a Job that existed before the recording.
    pub(crate) async fn create(&self, name: &str, labels: &Value) {
        let pod = json!({"restartPolicy": "Never", "containers": [{"name": "executor", "image": "localhost/busybox:1"}]});
        let job = json!({"metadata": {"name": name, "labels": labels}, "spec": {"template": {"spec": pod}}});
        let request = http::Request::post("/apis/batch/v1/namespaces/terrakube/jobs")
            .body(kube::client::Body::from(job.to_string().into_bytes()))
            .unwrap();
        assert_eq!(self.client.send(request).await.unwrap().status(), 201);
    }

    /// Sends the recorded requests in their order and compares every response.
    pub(crate) async fn requests(&mut self, whats: &[&str]) {
        for what in whats {
            self.request(what).await;
        }
    }

    /// Sends one recorded request and compares the response.
    pub(crate) async fn request(&mut self, what: &str) {
        let step = self.step(what);
        let body = step.get("body").map(|body| self.replaced(&body.to_string()).into_bytes());
        let request = http::Request::builder()
            .method(step["method"].as_str().unwrap())
            .uri(self.replaced(step["path"].as_str().unwrap()))
            .body(kube::client::Body::from(body.unwrap_or_default()))
            .unwrap();
        let (head, body) = self.client.send(request).await.unwrap().into_parts();
        let expected = &step["answer"];
        assert_eq!(json!(head.status.as_u16()), expected["status"], "{what}");
        for header in ["content-type", "retry-after", "warning"] {
            let current = head.headers.get(header).map(|value| value.to_str().unwrap());
            assert_eq!(current, expected["headers"][header].as_str(), "{header} of {what}");
        }
        let read = tokio::time::timeout(Duration::from_mins(1), body.collect_bytes());
        let bytes = read.await.expect("the response ends").unwrap();
        match expected.get("body") {
            Some(body) => {
                let current: Value = serde_json::from_slice(&bytes).unwrap();
                self.replace_values_of(body, &current);
                assert_eq!(shape(&current), shape(body), "{what}");
            }
            None => assert_eq!(bytes, expected["text"].as_str().unwrap().as_bytes(), "{what}"),
        }
    }

    fn replace_values_of(&mut self, recorded: &Value, current: &Value) {
        for field in ["uid", "resourceVersion", "continue"] {
            if let (Some(recorded), Some(current)) =
                (recorded["metadata"][field].as_str(), current["metadata"][field].as_str())
            {
                self.replace(recorded, current);
            }
        }
        let items = |list: &Value| list["items"].as_array().cloned().unwrap_or_default();
        for (recorded, current) in items(recorded).iter().zip(items(current).iter()) {
            self.replace_values_of(recorded, current);
        }
    }

    /// Opens a recorded watch.
    pub(crate) async fn watch(&self, what: &str) -> Watching {
        let step = self.step(what);
        let path = self.replaced(step["path"].as_str().unwrap());
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
        Watching { expected, lines: reader.lines(), recording: what.to_owned() }
    }
}

impl Watching {
    /// Compares the events of the watch with the recording, to its end. Periodic bookmarks are left out: they
    /// depend on the clock of the server.
    pub(crate) async fn compare(mut self) {
        let expected: Vec<_> =
            self.expected.iter().filter(|event| !is_idle(event)).map(event_shape).collect();
        let mut seen = Vec::new();
        while seen.len() < expected.len() {
            let next = tokio::time::timeout(Duration::from_mins(1), self.lines.next()).await;
            let Ok(Some(line)) = next else { break };
            let line = line.unwrap();
            let event: Value = serde_json::from_str(&line).unwrap_or_else(|_| json!({"text": line + "\n"}));
            let event = if event["kind"] == "Status" { json!({"text": event}) } else { event };
            if !is_idle(&event) {
                seen.push(event_shape(&event));
            }
        }
        assert_eq!(seen, expected, "{}", self.recording);
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

/// Returns the part of an object that is compared.
fn shape(object: &Value) -> Value {
    if object["kind"] == "Status" {
        return normalized(object);
    }
    if let Some(items) = object["items"].as_array() {
        let names: Vec<_> = items.iter().map(|item| item["metadata"]["name"].clone()).collect();
        let metadata = &object["metadata"];
        return json!({"kind": object["kind"], "names": names, "continues": metadata.get("continue").is_some(),
            "remaining": metadata["remainingItemCount"]});
    }
    let mut object = normalized(object);
    if let Some(fields) = object.as_object_mut() {
        // The recordings contain only what is compared.
        fields.remove("spec");
    }
    if let Some(generated) = object["metadata"]["generateName"].as_str() {
        let name = object["metadata"]["name"].as_str().unwrap();
        object["metadata"]["name"] = json!(name.starts_with(generated));
    }
    object
}

/// Replaces every uid, version, time and number, which differ in each run.
fn normalized(value: &Value) -> Value {
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
                    _ => normalized(value),
                };
                (key.clone(), cleaned)
            });
            Value::Object(cleaned.collect::<Map<_, _>>())
        }
        Value::Array(items) => items.iter().map(normalized).collect(),
        other => other.clone(),
    }
}

/// Replaces uids and numbers in a message.
fn masked(message: &str) -> String {
    let word = |word: &str| {
        let bare = word.trim_matches(|c: char| !c.is_ascii_alphanumeric());
        let is_uid = bare.len() == 36 && bare.bytes().filter(|byte| *byte == b'-').count() == 4;
        let is_number = !bare.is_empty() && bare.bytes().all(|byte| byte.is_ascii_digit());
        if is_uid || is_number { word.replace(bare, "…") } else { word.to_owned() }
    };
    message.split(' ').map(word).collect::<Vec<_>>().join(" ")
}
