//! The part of an API server that the Kubernetes backend talks to, in memory: Jobs of one namespace, kept as a real server
//! keeps them, with versions, watches from a version, preconditions and foreground deletion.
//!
//! No controller and no kubelet live here: the test moves Jobs on. It knows no other answers than those of a server that is
//! well, or away.

use std::{
    collections::{BTreeMap, HashMap},
    pin::Pin,
    sync::{Arc, Mutex},
    task::{Context, Poll},
};

use http::{Method, Request, Response};
use http_body::Frame;
use k8s_openapi::jiff::Timestamp;
use kube::client::Body;
use serde_json::{Value, json};
use tokio::sync::mpsc;

const JOBS: &str = "/apis/batch/v1/namespaces/terrakube/jobs";

/// An answer that may go on for ever.
pub(crate) struct Lines(mpsc::UnboundedReceiver<Vec<u8>>);

impl http_body::Body for Lines {
    type Data = <Body as http_body::Body>::Data;
    type Error = std::io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, Self::Error>>> {
        self.0.poll_recv(context).map(|line| line.map(|bytes| Ok(Frame::data(bytes.into()))))
    }
}

/// Jobs in memory, served to a real client.
#[derive(Clone, Default)]
pub(crate) struct ApiServer(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    away: bool,
    version: u64,
    jobs: BTreeMap<String, Value>,
    history: Vec<(u64, String, Value)>,
    watchers: Vec<(String, mpsc::UnboundedSender<Vec<u8>>)>,
}

impl ApiServer {
    pub(crate) fn client(&self) -> kube::Client {
        let server = self.clone();
        let service = tower::service_fn(move |request: Request<Body>| {
            let server = server.clone();
            async move {
                let (head, body) = request.into_parts();
                let body = body.collect_bytes().await.map_err(|error| error.to_string())?;
                let mut state = server.0.lock().unwrap();
                if state.away { Err("connection refused".to_owned()) } else { Ok(state.answer(&head, &body)) }
            }
        });
        kube::Client::new(service, "terrakube")
    }

    pub(crate) fn go_away(&self) {
        let mut state = self.0.lock().unwrap();
        state.away = true;
        state.watchers.clear();
    }

    pub(crate) fn come_back(&self) {
        self.0.lock().unwrap().away = false;
    }

    pub(crate) fn start_pod(&self, name: &str) {
        self.change(name, |job| {
            job["status"] = json!({"startTime": Timestamp::now(), "active": 1, "ready": 1, "terminating": 0});
        });
    }

    pub(crate) fn end(&self, name: &str, kind: &str, reason: &str, message: &str) {
        let decided = if kind == "Complete" { "SuccessCriteriaMet" } else { "FailureTarget" };
        let condition =
            |kind: &str| json!({"type": kind, "status": "True", "reason": reason, "message": message});
        for conditions in [vec![condition(decided)], vec![condition(decided), condition(kind)]] {
            self.change(name, |job| {
                job["status"] = json!({"startTime": Timestamp::now(), "ready": 0, "conditions": conditions});
            });
        }
    }

    pub(crate) fn is_being_deleted(&self, name: &str) -> bool {
        let state = self.0.lock().unwrap();
        state.jobs.get(name).is_some_and(|job| job["metadata"].get("deletionTimestamp").is_some())
    }

    pub(crate) fn remove(&self, name: &str) {
        let mut state = self.0.lock().unwrap();
        let job = state.jobs.remove(name).unwrap();
        state.publish("DELETED", job);
    }

    fn change(&self, name: &str, change: impl FnOnce(&mut Value)) {
        self.0.lock().unwrap().change(name, change);
    }
}

type Answer = Response<Lines>;

impl State {
    fn answer(&mut self, head: &http::request::Parts, body: &[u8]) -> Answer {
        let path = head.uri.path();
        let name = path.strip_prefix(JOBS).map(|rest| rest.trim_start_matches('/').to_owned());
        let query = query_of(head.uri.query().unwrap_or_default());
        match (&head.method, name) {
            (&Method::POST, Some(name)) if name.is_empty() => {
                self.create(serde_json::from_slice(body).unwrap())
            }
            (&Method::GET, Some(name)) if name.is_empty() => {
                let wanted = query["fieldSelector"].strip_prefix("metadata.name=").unwrap().to_owned();
                if query.get("watch").is_some_and(|value| value == "true") {
                    self.watch(wanted, query["resourceVersion"].parse().unwrap())
                } else {
                    self.list(&wanted)
                }
            }
            (&Method::GET, Some(name)) => match self.jobs.get(&name) {
                Some(job) => once(200, job),
                None => not_found(&name),
            },
            (&Method::DELETE, Some(name)) => self.delete(&name, &serde_json::from_slice(body).unwrap()),
            _ => status(405, "MethodNotAllowed", "the server does not allow this method"),
        }
    }

    fn create(&mut self, mut job: Value) -> Answer {
        let name = job["metadata"]["name"].as_str().unwrap().to_owned();
        if self.jobs.contains_key(&name) {
            return status(409, "AlreadyExists", &format!("jobs.batch \"{name}\" already exists"));
        }
        job["metadata"]["uid"] = json!(format!("uid-{}", self.version + 1));
        // A real server fills in defaults.
        job["spec"]["parallelism"] = json!(1);
        job["status"] = json!({});
        let job = self.publish("ADDED", job);
        once(201, &job)
    }

    fn list(&self, name: &str) -> Answer {
        let items: Vec<_> = self.jobs.get(name).into_iter().collect();
        let version = self.version.max(1).to_string();
        once(
            200,
            &json!({"kind": "JobList", "apiVersion": "batch/v1", "metadata": {"resourceVersion": version}, "items": items}),
        )
    }

    fn watch(&mut self, name: String, from: u64) -> Answer {
        let (sender, receiver) = mpsc::unbounded_channel();
        for (version, kind, job) in &self.history {
            if *version > from && job["metadata"]["name"] == name.as_str() {
                sender.send(line(kind, job)).unwrap();
            }
        }
        self.watchers.push((name, sender));
        Response::new(Lines(receiver))
    }

    fn delete(&mut self, name: &str, options: &Value) -> Answer {
        let Some(job) = self.jobs.get(name) else { return not_found(name) };
        // Anything else would leave the pod running unseen.
        assert_eq!(options["propagationPolicy"], "Foreground", "{options}");
        let wanted = &options["preconditions"];
        for field in ["uid", "resourceVersion"] {
            if wanted.get(field).is_some_and(|wanted| *wanted != job["metadata"][field]) {
                return status(409, "Conflict", &format!("the {field} in the precondition does not match"));
            }
        }
        let job = self.change(name, |job| {
            job["metadata"]["deletionTimestamp"] = json!(Timestamp::now());
            job["metadata"]["finalizers"] = json!(["foregroundDeletion"]);
        });
        once(200, &job)
    }

    fn change(&mut self, name: &str, change: impl FnOnce(&mut Value)) -> Value {
        let mut job = self.jobs[name].clone();
        change(&mut job);
        self.publish("MODIFIED", job)
    }

    fn publish(&mut self, kind: &str, mut job: Value) -> Value {
        self.version += 1;
        job["apiVersion"] = json!("batch/v1");
        job["kind"] = json!("Job");
        job["metadata"]["resourceVersion"] = json!(self.version.to_string());
        let name = job["metadata"]["name"].as_str().unwrap().to_owned();
        self.watchers.retain(|(wanted, sender)| *wanted != name || sender.send(line(kind, &job)).is_ok());
        self.history.push((self.version, kind.to_owned(), job.clone()));
        if kind != "DELETED" {
            self.jobs.insert(name, job.clone());
        }
        job
    }
}

fn line(kind: &str, job: &Value) -> Vec<u8> {
    format!("{}\n", json!({"type": kind, "object": job})).into_bytes()
}

fn once(code: u16, body: &Value) -> Answer {
    let (sender, receiver) = mpsc::unbounded_channel();
    sender.send(body.to_string().into_bytes()).unwrap();
    Response::builder().status(code).header("content-type", "application/json").body(Lines(receiver)).unwrap()
}

fn status(code: u16, reason: &str, message: &str) -> Answer {
    let body = json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
        "message": message, "reason": reason, "code": code});
    once(code, &body)
}

fn not_found(name: &str) -> Answer {
    status(404, "NotFound", &format!("jobs.batch \"{name}\" not found"))
}

/// The client escapes only the equals sign in the queries that are used here.
fn query_of(query: &str) -> HashMap<String, String> {
    let pairs = query.split('&').filter_map(|pair| pair.split_once('='));
    pairs.map(|(key, value)| (key.to_owned(), value.replace("%3D", "="))).collect()
}
