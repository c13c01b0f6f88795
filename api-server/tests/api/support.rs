//! A server in this process with the in-memory backend, and a fake executor that uses its HTTP API.

use std::{
    path::Path,
    sync::{Arc, OnceLock},
    time::{Duration, Instant},
};

use api_server::{
    backend,
    blobs::Blobs,
    connections::{self, Limits},
    encryption::EncryptionKey,
    http::{AppState, router},
    logs::Logs,
    orchestrator::Orchestrator,
    services::{Services, rules},
    store::{PostgresAddress, Store},
    token::TokenHash,
};
use config_core::{EnvSnapshot, EphemeralSettings, Policy, SettingsFile};
use job_spec::attempt_api::{ATTEMPT_TOKEN_ENV, ATTEMPT_URL_ENV};
use k8s_backend::{JobBackend, testing::InMemoryBackend};
use reqwest::{Method, RequestBuilder, StatusCode};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::net::TcpStream;
use tokio_util::sync::CancellationToken;

use super::postgres::new_database;

pub(crate) const TOKEN: &str = "a-token-for-tests-only";
const WAIT_TIMEOUT: Duration = Duration::from_mins(1);

/// The files of an operator, as TOML.
#[derive(Clone, Copy)]
pub(crate) struct Operator {
    pub(crate) settings: &'static str,
    pub(crate) policy: &'static str,
    pub(crate) pod_start_timeout: Duration,
    pub(crate) limits: Limits,
}

impl Default for Operator {
    fn default() -> Self {
        Self { settings: "", policy: "", pod_start_timeout: WAIT_TIMEOUT, limits: Limits::default() }
    }
}

/// A server with its backend and data folder.
pub(crate) struct World {
    pub(crate) backend: Arc<InMemoryBackend>,
    pub(crate) workspace: String,
    pub(crate) organization: String,
    pub(crate) base: String,
    client: reqwest::Client,
    folder: TempDir,
    /// Several servers can share it.
    pub(crate) database: Option<PostgresAddress>,
    operator: Operator,
    pub(crate) shutdown: CancellationToken,
}

/// Whether these are the tests on PostgreSQL: two programs have the same tests.
const ON_POSTGRES: bool = matches!(env!("CARGO_CRATE_NAME").as_bytes(), b"api_postgres");

impl World {
    pub(crate) async fn new() -> Self {
        Self::under(Operator::default()).await
    }

    pub(crate) async fn with_pod_start_timeout(pod_start_timeout: Duration) -> Self {
        Self::under(Operator { pod_start_timeout, ..Operator::default() }).await
    }

    /// A server with these files of the operator.
    pub(crate) async fn under(operator: Operator) -> Self {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let folder = tempfile::tempdir().unwrap();
        let backend = Arc::new(InMemoryBackend::with_rules(backend::job_rules()));
        let url = if ON_POSTGRES { new_database() } else { None };
        let database = url.map(|url| PostgresAddress::parse(&url).unwrap());
        let (base, shutdown) = serve(folder.path(), database.clone(), &backend, operator).await;
        let client = reqwest::Client::new();
        let mut world = Self {
            backend,
            workspace: String::new(),
            organization: String::new(),
            base,
            client,
            folder,
            database,
            operator,
            shutdown,
        };
        world.organization = world.create("/v1/organizations", json!({ "name": "acme" })).await;
        let path = format!("/v1/organizations/{}/workspaces", world.organization);
        world.workspace =
            world.create(&path, json!({ "name": "net", "source": "https://git.example.com/net.git" })).await;
        world
    }

    /// Stops the server and starts another one on the same data folder.
    pub(crate) async fn start_again(&mut self) {
        self.start_again_under(self.operator).await;
    }

    /// Restarts the server with other files of the operator.
    pub(crate) async fn start_again_under(&mut self, operator: Operator) {
        self.operator = operator;
        self.shutdown.cancel();
        (self.base, self.shutdown) = self.another_replica().await;
    }

    /// Starts another server on the same database and data folder, and returns its address.
    pub(crate) async fn another_replica(&self) -> (String, CancellationToken) {
        serve(self.folder.path(), self.database.clone(), &self.backend, self.operator).await
    }

    /// Takes the folder of the blobs away, or brings it back.
    pub(crate) fn take_blobs_away(&self, away: bool) {
        let (here, there) = (self.folder.path().join("blobs"), self.folder.path().join("blobs-away"));
        if away {
            std::fs::rename(&here, &there).unwrap();
            // The server must not create it again.
            std::fs::write(&here, "").unwrap();
        } else {
            std::fs::remove_file(&here).unwrap();
            std::fs::rename(&there, &here).unwrap();
        }
    }

    /// Opens a connection to the server.
    pub(crate) async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.base.strip_prefix("http://").unwrap()).await.unwrap()
    }

    pub(crate) fn request(&self, method: &str, path: &str) -> RequestBuilder {
        let method = Method::from_bytes(method.as_bytes()).unwrap();
        self.client.request(method, format!("{}{path}", self.base)).bearer_auth(TOKEN)
    }

    pub(crate) async fn get(&self, path: &str) -> Value {
        self.request("GET", path).send().await.unwrap().json().await.unwrap()
    }

    pub(crate) async fn post(&self, path: &str, body: Value) -> (StatusCode, Value) {
        let response = self.request("POST", path).json(&body).send().await.unwrap();
        (response.status(), response.json().await.unwrap_or_default())
    }

    pub(crate) async fn put(&self, path: &str) -> (StatusCode, Value) {
        let response = self.request("PUT", path).send().await.unwrap();
        (response.status(), response.json().await.unwrap_or_default())
    }

    pub(crate) async fn delete(&self, path: &str) -> (StatusCode, Value) {
        let response = self.request("DELETE", path).send().await.unwrap();
        (response.status(), response.json().await.unwrap_or_default())
    }

    /// Creates a record and returns its id.
    pub(crate) async fn create(&self, path: &str, body: Value) -> String {
        let (status, answer) = self.post(path, body).await;
        assert_eq!(status, StatusCode::CREATED, "{answer}");
        answer["id"].as_str().unwrap().to_owned()
    }

    /// Creates a job with these step types, numbered 100, 200…, and returns its id.
    pub(crate) async fn job(&self, types: &[&str]) -> i64 {
        let (status, job) = self.try_job(types).await;
        assert_eq!(status, StatusCode::CREATED, "{job}");
        job["id"].as_i64().unwrap()
    }

    /// Sets an environment variable of the workspace.
    pub(crate) async fn variable(&self, key: &str, value: &str) -> String {
        self.create(&self.variables(), json!({ "key": key, "value": value, "category": "ENV" })).await
    }

    /// Tries to set an environment variable below a path.
    pub(crate) async fn try_variable(&self, path: &str, key: &str, value: &str) -> (StatusCode, Value) {
        self.post(path, json!({ "key": key, "value": value, "category": "ENV" })).await
    }

    /// Path of the workspace's variables.
    pub(crate) fn variables(&self) -> String {
        format!("/v1/workspaces/{}/variables", self.workspace)
    }

    /// Path of the organization's global variables.
    pub(crate) fn globals(&self) -> String {
        format!("/v1/organizations/{}/variables", self.organization)
    }

    /// Path of the organization's collections.
    pub(crate) fn collections(&self) -> String {
        format!("/v1/organizations/{}/collections", self.organization)
    }

    /// Creates a collection and returns its id.
    pub(crate) async fn collection(&self, name: &str, priority: i32) -> String {
        self.create(&self.collections(), json!({ "name": name, "priority": priority })).await
    }

    /// Creates another workspace of an organization and returns its id.
    pub(crate) async fn another_workspace(&self, organization: &str, name: &str) -> String {
        let path = format!("/v1/organizations/{organization}/workspaces");
        self.create(&path, json!({ "name": name, "source": "https://git.example.com/net.git" })).await
    }

    /// Tries to create such a job.
    pub(crate) async fn try_job(&self, types: &[&str]) -> (StatusCode, Value) {
        let steps = types.iter().enumerate();
        let flow: Vec<_> =
            steps.map(|(index, kind)| json!({ "type": kind, "step": (index + 1) * 100 })).collect();
        // JSON is YAML.
        let tcl = json!({ "flow": flow }).to_string();
        let path = format!("/v1/organizations/{}/templates", self.organization);
        let name = uuid::Uuid::new_v4().to_string();
        let template = self.create(&path, json!({ "name": name, "tcl": tcl })).await;
        let path = format!("/v1/workspaces/{}/jobs", self.workspace);
        self.post(&path, json!({ "templateId": template })).await
    }

    /// Returns how many blobs a folder holds, unfinished ones too.
    pub(crate) fn blobs(&self, folder: &str) -> usize {
        std::fs::read_dir(self.folder.path().join("blobs").join(folder)).map_or(0, Iterator::count)
    }

    pub(crate) async fn read(&self, job: i64) -> Value {
        self.get(&format!("/v1/jobs/{job}")).await
    }

    /// Waits until the job satisfies a condition.
    pub(crate) async fn wait_for(&self, job: i64, what: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        let start = Instant::now();
        loop {
            let seen = self.read(job).await;
            if wanted(&seen) {
                return seen;
            }
            assert!(start.elapsed() < WAIT_TIMEOUT, "{what}: timeout, last seen {seen:#}");
            tokio::time::sleep(Duration::from_millis(10)).await; // bounded poll
        }
    }

    pub(crate) async fn wait_for_status(&self, job: i64, status: &str) -> Value {
        self.wait_for(job, status, |job| job["status"] == status).await
    }

    /// Waits until the backend has a Kubernetes Job with this name, and starts it.
    pub(crate) async fn executor(&self, name: &str) -> Executor {
        self.submitted(name).await;
        self.backend.start(name);
        Executor::of(&self.backend, name)
    }

    /// Waits until the backend has a Kubernetes Job with this name.
    pub(crate) async fn submitted(&self, name: &str) {
        let start = Instant::now();
        while self.backend.job(name).is_none() {
            assert!(
                start.elapsed() < WAIT_TIMEOUT,
                "{name} was not submitted, there are {:?}",
                self.backend.names()
            );
            tokio::time::sleep(Duration::from_millis(10)).await; // bounded poll
        }
    }
}

impl Drop for World {
    fn drop(&mut self) {
        self.shutdown.cancel();
    }
}

async fn serve(
    folder: &Path,
    database: Option<PostgresAddress>,
    backend: &Arc<InMemoryBackend>,
    operator: Operator,
) -> (String, CancellationToken) {
    let file = SettingsFile::parse(operator.settings).unwrap();
    let secrets = EncryptionKey::new([3; 32]);
    let store = match database {
        Some(address) => Store::connect(address, secrets.clone()).await.unwrap(),
        None => Store::open(&folder.join("store.sqlite"), secrets.clone()).await.unwrap(),
    };
    store.put_token("admin", &TokenHash::of(TOKEN)).await.unwrap();
    for name in ["blobs", "logs"] {
        std::fs::create_dir_all(folder.join(name)).unwrap();
    }
    let listener = connections::listen("127.0.0.1:0".parse().unwrap()).unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap());
    let settings = EphemeralSettings::load_with(&EnvSnapshot::default(), Some(&file)).unwrap();
    let services = Arc::new(Services {
        rules: rules(&settings, &base, None, operator.pod_start_timeout),
        store,
        blobs: Blobs::new(&folder.join("blobs"), secrets),
        logs: Logs::new(&folder.join("logs")),
        backend: Arc::clone(backend) as Arc<dyn JobBackend>,
        settings,
        policy: Policy::parse(operator.policy).unwrap(),
        api_url: base.clone(),
        executor_temp: None,
        local_sources: false,
    });
    let shutdown = CancellationToken::new();
    let (orchestrator, _task) = Orchestrator::start(Arc::clone(&services), shutdown.clone());
    let state = AppState { services, orchestrator, shutdown: shutdown.clone() };
    tokio::spawn(connections::serve(listener, router(state), operator.limits, shutdown.clone()));
    (base, shutdown)
}

/// A fake executor of one attempt, with the environment of its Kubernetes Job.
pub(crate) struct Executor {
    pub(crate) url: String,
    /// The claim token.
    pub(crate) token: String,
    /// The answer to the claim has it.
    session: OnceLock<String>,
    client: reqwest::Client,
}

impl Executor {
    pub(crate) fn of(backend: &InMemoryBackend, name: &str) -> Self {
        let job = backend.job(name).unwrap();
        let pod = job.spec.unwrap().template.spec.unwrap();
        let env = |wanted: &str| {
            let all = pod.containers[0].env.as_ref().unwrap();
            all.iter().find(|entry| entry.name == wanted).unwrap().value.clone().unwrap()
        };
        Self {
            url: env(ATTEMPT_URL_ENV),
            token: env(ATTEMPT_TOKEN_ENV),
            session: OnceLock::new(),
            client: reqwest::Client::new(),
        }
    }

    /// Uses this token for another attempt.
    pub(crate) fn with_token_for(&self, id: &str) -> Self {
        Self {
            url: self.url.replace(self.id(), id),
            token: self.token.clone(),
            session: self.session.clone(),
            client: self.client.clone(),
        }
    }

    pub(crate) fn id(&self) -> &str {
        self.url.rsplit('/').next().unwrap()
    }

    /// The session token after a claim, before it the claim token.
    pub(crate) fn session(&self) -> &str {
        self.session.get().unwrap_or(&self.token)
    }

    /// Sends a request with the session token.
    pub(crate) async fn send(&self, method: &str, path: &str, body: Vec<u8>) -> (StatusCode, Value) {
        self.send_with(self.session(), method, path, body).await
    }

    /// Sends a request with this token.
    pub(crate) async fn send_with(
        &self,
        token: &str,
        method: &str,
        path: &str,
        body: Vec<u8>,
    ) -> (StatusCode, Value) {
        let method = Method::from_bytes(method.as_bytes()).unwrap();
        let request = self.client.request(method, format!("{}/{path}", self.url)).bearer_auth(token);
        let response = request.header("content-type", "application/json").body(body).send().await.unwrap();
        (response.status(), response.json().await.unwrap_or_default())
    }

    pub(crate) async fn claim(&self, executor_id: &str) -> (StatusCode, Value) {
        let body = json!({ "executorId": executor_id, "host": "test" });
        let (status, claim) =
            self.send_with(&self.token, "POST", "claim", body.to_string().into_bytes()).await;
        if let Some(session) = claim["sessionToken"].as_str() {
            self.session.set(session.to_owned()).unwrap_or_else(|_| assert_eq!(self.session(), session));
        }
        (status, claim)
    }

    pub(crate) async fn report(&self, outcome: &str, has_changes: Option<bool>) -> (StatusCode, Value) {
        let body = json!({
            "outcome": outcome, "hasChanges": has_changes, "message": null, "commitId": null,
            "timings": [], "logBytes": 0,
        });
        self.send("POST", "result", body.to_string().into_bytes()).await
    }
}
