//! An api-server in memory for one attempt, with failures that a test switches on.
//!
//! It implements the messages of `job_spec::attempt_api` and the state addresses of terraform's `http`
//! backend. It has no jobs: a test starts the next attempt.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};

use axum::{
    Router,
    body::{Body, Bytes, to_bytes},
    extract::State,
    http::{HeaderMap, Request, StatusCode},
    response::{IntoResponse, Response},
};
use job_spec::attempt_api::{
    Bundle, BundleStored, ClaimRequest, ClaimResponse, LogPosition, Part, PlanStored, PlannedChange,
    StepResult,
};
use serde_json::Value;
use sha2::{Digest as _, Sha256};
use tokio::{net::TcpListener, sync::watch, task::JoinHandle, time::timeout};

use super::TIMEOUT;

/// Good for the claim alone.
pub(crate) const TOKEN: &str = "attempt-token-5e0d1c2b";
/// The answer to the claim has it; good for everything else.
pub(crate) const SESSION: &str = "session-token-77c1e0a4";
pub(crate) const ATTEMPT: &str = "attempt-d2f0aa11";

/// The data of the server, and its failures.
#[derive(Debug, Default)]
#[expect(clippy::struct_excessive_bools, reason = "each is a failure that a test switches on by itself")]
pub(crate) struct Memory {
    // Failures and settings.
    pub(crate) plan_expected: bool,
    pub(crate) sensitive: Vec<String>,
    /// Payload in the answer to the claim.
    pub(crate) job_data: Option<String>,
    /// Answer to every claim instead of success.
    pub(crate) refuse_claim: Option<u16>,
    /// Everything but the claim is answered with 503.
    pub(crate) unavailable: bool,
    /// Logs are answered with 410.
    pub(crate) fenced: bool,
    /// Heartbeats are answered with 410.
    pub(crate) closed: bool,
    /// Answer to every result instead of success.
    pub(crate) refuse_result: Option<u16>,
    /// States sent by terraform are answered with 403.
    pub(crate) refuse_state_of_terraform: bool,
    /// States sent by the executor are answered with 403.
    pub(crate) refuse_state_of_executor: bool,
    /// States that could not be stored as a version are answered with 403.
    pub(crate) refuse_rescued_state: bool,
    /// The digest in the claim and in the answer to a plan, instead of that of the plan.
    pub(crate) wrong_plan_digest: Option<String>,
    /// The digest of the bundle in the claim, instead of that of the bundle.
    pub(crate) approved_bundle: Option<String>,
    // Data of the workspace.
    pub(crate) plan: Option<Vec<u8>>,
    pub(crate) bundle: Option<Vec<u8>>,
    /// Archives by their digests.
    pub(crate) parts: BTreeMap<String, Vec<u8>>,
    /// Digests of sources by their keys.
    pub(crate) sources: BTreeMap<String, String>,
    pub(crate) state: Option<Vec<u8>>,
    pub(crate) lock: Option<Value>,
    // Data of the attempt.
    pub(crate) claimed_by: Option<String>,
    pub(crate) log: Vec<u8>,
    pub(crate) rescued: Option<Vec<u8>>,
    pub(crate) result: Option<StepResult>,
    /// Method, path and status of every request.
    pub(crate) requests: Vec<String>,
}

impl Memory {
    pub(crate) fn log_text(&self) -> String {
        String::from_utf8(self.log.clone()).unwrap()
    }

    /// Returns what the claim says about the plan file.
    fn planned(&self) -> Option<PlannedChange> {
        let plan = self.plan.as_ref().filter(|_| self.plan_expected)?;
        let plan_digest = self.wrong_plan_digest.clone().unwrap_or_else(|| digest(plan));
        let stored = self.bundle.as_ref().map(|bundle| digest(bundle));
        let bundle = self.approved_bundle.clone().or(stored);
        Some(PlannedChange { digest: plan_digest, state_serial: None, state_lineage: None, bundle })
    }

    pub(crate) fn state_json(&self) -> Value {
        serde_json::from_slice(self.state.as_deref().expect("there is a state")).unwrap()
    }

    /// Returns the names of the resources in the state.
    pub(crate) fn resources(&self) -> Vec<String> {
        let state = self.state_json();
        let name = |resource: &Value| resource["name"].as_str().unwrap().to_owned();
        state["resources"].as_array().unwrap().iter().map(name).collect()
    }
}

/// A running server.
pub(crate) struct Server {
    memory: Arc<Mutex<Memory>>,
    changes: watch::Sender<u64>,
    address: std::net::SocketAddr,
    task: JoinHandle<()>,
}

#[derive(Clone)]
struct Shared {
    memory: Arc<Mutex<Memory>>,
    changes: watch::Sender<u64>,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Server {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (memory, changes) = (Arc::new(Mutex::new(Memory::default())), watch::Sender::new(0));
        let shared = Shared { memory: Arc::clone(&memory), changes: changes.clone() };
        let app = Router::new().fallback(handle).with_state(shared);
        let task = tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
        Self { memory, changes, address, task }
    }

    pub(crate) fn attempt_url(&self) -> String {
        format!("http://{}/executor/v1/attempts/{ATTEMPT}", self.address)
    }

    /// Reads or changes the data and failures.
    pub(crate) fn with<T>(&self, access: impl FnOnce(&mut Memory) -> T) -> T {
        access(&mut self.memory.lock().unwrap())
    }

    /// Removes the data of the attempt, keeps those of the workspace.
    pub(crate) fn next_attempt(&self) {
        self.with(|memory| {
            memory.claimed_by = None;
            memory.log.clear();
            memory.rescued = None;
            memory.result = None;
            memory.requests.clear();
        });
    }

    pub(crate) fn result(&self) -> StepResult {
        self.with(|memory| memory.result.clone()).expect("there is a result")
    }

    pub(crate) fn log(&self) -> String {
        self.with(|memory| memory.log_text())
    }

    /// Waits until a condition is true, with a timeout.
    pub(crate) async fn until(&self, what: &str, is_so: impl Fn(&Memory) -> bool) {
        let mut changes = self.changes.subscribe();
        let wait = async {
            while !self.with(|memory| is_so(memory)) {
                changes.changed().await.unwrap();
            }
        };
        let in_time = timeout(TIMEOUT, wait).await.is_ok();
        let (requests, log) = (self.with(|memory| memory.requests.clone()), self.log());
        assert!(in_time, "timeout while waiting for {what}; last seen: {requests:#?}\n{log}");
    }
}

async fn handle(State(shared): State<Shared>, request: Request<Body>) -> Response {
    let (parts, body) = request.into_parts();
    let body = to_bytes(body, usize::MAX).await.unwrap_or_default();
    let (method, path) = (parts.method.as_str().to_owned(), parts.uri.path().to_owned());
    let answer = {
        let mut memory = shared.memory.lock().unwrap();
        let query = parts.uri.query().unwrap_or_default();
        let answer = route(&mut memory, &method, &path, query, &parts.headers, &body);
        let tail = path.rsplit('/').next().unwrap_or_default();
        // Whether one is sent in a short test depends on the machine.
        if tail != "heartbeat" || !answer.status().is_success() {
            memory.requests.push(format!("{method} {tail} {}", answer.status().as_u16()));
        }
        answer
    };
    shared.changes.send_modify(|revision| *revision += 1);
    answer
}

fn route(
    memory: &mut Memory,
    method: &str,
    path: &str,
    query: &str,
    headers: &HeaderMap,
    body: &Bytes,
) -> Response {
    let authorization =
        headers.get("authorization").and_then(|value| value.to_str().ok()).unwrap_or_default();
    let Some(message) = path.strip_prefix(&format!("/executor/v1/attempts/{ATTEMPT}/")) else {
        return StatusCode::NOT_FOUND.into_response();
    };
    let token = if message == "claim" { TOKEN } else { SESSION };
    if authorization != format!("Bearer {token}") {
        return StatusCode::UNAUTHORIZED.into_response();
    }
    if memory.unavailable && message != "claim" {
        return StatusCode::SERVICE_UNAVAILABLE.into_response();
    }
    match (method, message) {
        ("POST", "claim") => claim(memory, body),
        ("POST", "log") => log(memory, query, body),
        ("POST", "heartbeat") if memory.closed => StatusCode::GONE.into_response(),
        ("POST", "heartbeat") => StatusCode::NO_CONTENT.into_response(),
        // Terraform holds the lock and names it; the executor does not.
        (method, "state") => state(memory, method, body, query.is_empty()),
        ("PUT", "rescued-state") if memory.refuse_rescued_state => StatusCode::FORBIDDEN.into_response(),
        ("PUT", "rescued-state") => {
            memory.rescued = Some(body.to_vec());
            StatusCode::NO_CONTENT.into_response()
        }
        ("PUT", "plan") => {
            memory.plan = Some(body.to_vec());
            let digest = memory.wrong_plan_digest.clone().unwrap_or_else(|| digest(body));
            axum::Json(PlanStored { digest }).into_response()
        }
        ("GET", "plan") => match &memory.plan {
            Some(plan) => plan.clone().into_response(),
            None => StatusCode::NOT_FOUND.into_response(),
        },
        (method, "bundle" | "part" | "source") => bundle(memory, method, message, query, body),
        ("POST", "result") => {
            if let Some(status) = memory.refuse_result {
                return StatusCode::from_u16(status).unwrap().into_response();
            }
            memory.result = Some(serde_json::from_slice(body).unwrap());
            StatusCode::NO_CONTENT.into_response()
        }
        _ => StatusCode::NOT_FOUND.into_response(),
    }
}

fn bundle(memory: &mut Memory, method: &str, message: &str, query: &str, body: &Bytes) -> Response {
    let query: BTreeMap<_, _> = query.split('&').filter_map(|pair| pair.split_once('=')).collect();
    let found = |bytes: Option<&Vec<u8>>| match bytes {
        Some(bytes) => bytes.clone().into_response(),
        None => StatusCode::NOT_FOUND.into_response(),
    };
    match (method, message) {
        ("PUT", "bundle") => {
            let bundle: Bundle = serde_json::from_slice(body).unwrap();
            let missing: Vec<_> = bundle
                .parts()
                .map(|part| part.digest.clone())
                .filter(|digest| !memory.parts.contains_key(digest))
                .collect();
            if missing.is_empty() {
                memory.bundle = Some(body.to_vec());
            }
            axum::Json(BundleStored { digest: digest(body), missing }).into_response()
        }
        ("GET", "bundle") => found(memory.bundle.as_ref()),
        ("PUT", "part") => {
            assert_eq!(digest(body), query["digest"]);
            memory.parts.insert(digest(body), body.to_vec());
            if let Some(key) = query.get("key") {
                memory.sources.insert((*key).to_owned(), digest(body));
            }
            StatusCode::NO_CONTENT.into_response()
        }
        ("GET", "part") => found(memory.parts.get(query["digest"])),
        ("GET", "source") => match memory.sources.get(query["key"]) {
            Some(digest) => {
                let size = memory.parts[digest].len() as u64;
                axum::Json(Part { digest: digest.clone(), size }).into_response()
            }
            None => StatusCode::NOT_FOUND.into_response(),
        },
        _ => StatusCode::METHOD_NOT_ALLOWED.into_response(),
    }
}

/// Returns the SHA-256 digest of bytes.
pub(crate) fn digest(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    Sha256::digest(bytes).iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").unwrap();
        text
    })
}

fn claim(memory: &mut Memory, body: &Bytes) -> Response {
    let request: ClaimRequest = serde_json::from_slice(body).unwrap();
    if let Some(status) = memory.refuse_claim {
        return StatusCode::from_u16(status).unwrap().into_response();
    }
    if memory.claimed_by.get_or_insert(request.executor_id.clone()) != &request.executor_id {
        return StatusCode::CONFLICT.into_response();
    }
    axum::Json(ClaimResponse {
        attempt_id: ATTEMPT.to_owned(),
        session_token: SESSION.to_owned(),
        heartbeat_seconds: 1,
        plan_expected: memory.plan_expected,
        plan: memory.planned(),
        sensitive: memory.sensitive.clone(),
        job_data: memory.job_data.clone(),
    })
    .into_response()
}

fn log(memory: &mut Memory, query: &str, body: &Bytes) -> Response {
    if memory.fenced {
        return StatusCode::GONE.into_response();
    }
    let offset: u64 = query.strip_prefix("offset=").unwrap().parse().unwrap();
    let fits = offset == memory.log.len() as u64;
    if fits {
        memory.log.extend_from_slice(body);
    }
    let position = axum::Json(LogPosition { offset: memory.log.len() as u64 });
    (if fits { StatusCode::OK } else { StatusCode::CONFLICT }, position).into_response()
}

fn state(memory: &mut Memory, method: &str, body: &Bytes, from_executor: bool) -> Response {
    match method {
        "GET" => match &memory.state {
            Some(state) => state.clone().into_response(),
            None => StatusCode::NO_CONTENT.into_response(),
        },
        "POST" if !from_executor && memory.refuse_state_of_terraform => StatusCode::FORBIDDEN.into_response(),
        "POST" if from_executor && memory.refuse_state_of_executor => StatusCode::FORBIDDEN.into_response(),
        "POST" => {
            memory.state = Some(body.to_vec());
            StatusCode::OK.into_response()
        }
        "LOCK" => {
            if let Some(lock) = &memory.lock {
                return (StatusCode::LOCKED, lock.to_string()).into_response();
            }
            memory.lock = Some(serde_json::from_slice(body).unwrap());
            StatusCode::OK.into_response()
        }
        "UNLOCK" => {
            memory.lock = None;
            StatusCode::OK.into_response()
        }
        _ => StatusCode::METHOD_NOT_ALLOWED.into_response(),
    }
}
