//! An api-server in memory for one attempt: the messages of `job_spec::attempt_api`, without a database,
//! so that what is measured is the executor.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Instant, SystemTime, UNIX_EPOCH},
};

use axum::{
    Json, Router,
    body::{Body, Bytes, to_bytes},
    extract::State,
    http::{Request, StatusCode},
    response::{IntoResponse, Response},
};
use job_spec::attempt_api::{
    Bundle, BundleStored, ClaimResponse, LogPosition, PlanStored, PlannedChange, StepResult,
};
use sha2::{Digest as _, Sha256};
use tokio::net::TcpListener;

use crate::Outcome;

/// What the server keeps.
#[derive(Debug, Default)]
pub(crate) struct Memory {
    pub(crate) plan: Option<Vec<u8>>,
    pub(crate) bundle: Option<Vec<u8>>,
    pub(crate) parts: BTreeMap<String, Vec<u8>>,
    pub(crate) state: Option<Vec<u8>>,
    pub(crate) result: Option<StepResult>,
    /// When the result came.
    pub(crate) reported_at: Option<Instant>,
    /// Most memory of the executor when it reported, in KiB.
    pub(crate) peak_kib: u64,
    pub(crate) log_bytes: u64,
    pub(crate) executor: u32,
    /// Lines begin with the nanoseconds at which they were printed.
    pub(crate) lines_are_times: bool,
    /// Age of such lines in nanoseconds.
    pub(crate) ages: Vec<u128>,
}

/// The server; it ends with the program.
#[derive(Clone)]
pub(crate) struct Server {
    memory: Arc<Mutex<Memory>>,
    pub(crate) address: String,
}

impl Server {
    pub(crate) async fn start() -> Outcome<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = format!("http://{}/a", listener.local_addr()?);
        let server = Self { memory: Arc::default(), address };
        let app = Router::new().fallback(handle).with_state(server.clone());
        tokio::spawn(async move { axum::serve(listener, app).await });
        Ok(server)
    }

    pub(crate) fn memory(&self) -> MutexGuard<'_, Memory> {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn handle(State(server): State<Server>, request: Request<Body>) -> Response {
    let (parts, body) = request.into_parts();
    let body = to_bytes(body, usize::MAX).await.unwrap_or_default();
    let mut memory = server.memory();
    match (parts.method.as_str(), parts.uri.path().trim_start_matches("/a/")) {
        ("POST", "claim") => Json(claim(&memory)).into_response(),
        ("POST", "log") => Json(log(&mut memory, &body)).into_response(),
        ("PUT", "plan") => {
            let digest = digest(&body);
            memory.plan = Some(body.to_vec());
            Json(PlanStored { digest }).into_response()
        }
        ("PUT", "bundle") => Json(store_bundle(&mut memory, &body)).into_response(),
        ("GET", "bundle") => memory.bundle.clone().unwrap_or_default().into_response(),
        ("PUT", "part") => {
            memory.parts.insert(digest(&body), body.to_vec());
            StatusCode::NO_CONTENT.into_response()
        }
        ("GET", "part") => {
            let wanted = parts.uri.query().and_then(|query| query.strip_prefix("digest="));
            wanted.and_then(|wanted| memory.parts.get(wanted)).cloned().unwrap_or_default().into_response()
        }
        ("GET", "source") => StatusCode::NOT_FOUND.into_response(),
        ("GET", "plan") => memory.plan.clone().unwrap_or_default().into_response(),
        ("GET", "state") => match &memory.state {
            Some(state) => state.clone().into_response(),
            None => StatusCode::NO_CONTENT.into_response(),
        },
        ("POST", "state") => {
            memory.state = Some(body.to_vec());
            StatusCode::OK.into_response()
        }
        ("LOCK" | "UNLOCK", "state") => StatusCode::OK.into_response(),
        ("POST", "result") => {
            memory.reported_at = Some(Instant::now());
            memory.peak_kib = peak_kib(memory.executor);
            memory.result = serde_json::from_slice(&body).ok();
            StatusCode::NO_CONTENT.into_response()
        }
        _ => StatusCode::NO_CONTENT.into_response(),
    }
}

fn claim(memory: &Memory) -> ClaimResponse {
    let (plan, bundle) = (memory.plan.as_deref().map(digest), memory.bundle.as_deref().map(digest));
    ClaimResponse {
        attempt_id: "attempt-bench".to_owned(),
        session_token: "session-of-the-benchmark".to_owned(),
        heartbeat_seconds: 15,
        plan_expected: plan.is_some(),
        plan: plan.map(|digest| PlannedChange { digest, state_serial: None, state_lineage: None, bundle }),
        sensitive: vec!["password".to_owned()],
        job_data: None,
    }
}

/// Stores a bundle whose parts are there.
fn store_bundle(memory: &mut Memory, body: &Bytes) -> BundleStored {
    let bundle = serde_json::from_slice::<Bundle>(body).ok();
    let parts = bundle.iter().flat_map(Bundle::parts).map(|part| part.digest.clone());
    let missing: Vec<_> = parts.filter(|digest| !memory.parts.contains_key(digest)).collect();
    if missing.is_empty() {
        memory.bundle = Some(body.to_vec());
    }
    BundleStored { digest: digest(body), missing }
}

fn log(memory: &mut Memory, body: &Bytes) -> LogPosition {
    if memory.lines_are_times {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos();
        let printed = String::from_utf8_lossy(body);
        memory.ages.extend(printed.lines().filter_map(|line| now.checked_sub(line.parse().ok()?)));
    }
    memory.log_bytes += body.len() as u64;
    LogPosition { offset: memory.log_bytes }
}

fn digest(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    Sha256::digest(bytes).iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

fn peak_kib(process: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.and_then(|line| line.trim().strip_suffix(" kB")?.trim().parse().ok()).unwrap_or_default()
}
