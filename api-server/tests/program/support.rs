//! A server for each test: with its own data folder and port, stopped and removed at the end.

use std::{
    io::{BufRead as _, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use reqwest::{Method, RequestBuilder, StatusCode};
use serde_json::{Value, json};
use tempfile::TempDir;

/// Timeout of every wait, long enough for a busy machine.
pub(crate) const TIMEOUT: Duration = Duration::from_mins(2);

/// Returns the program under test: these tests run once with terraform, and once with tofu.
pub(crate) fn engine() -> &'static str {
    if env!("CARGO_CRATE_NAME").ends_with("_tofu") { "tofu" } else { "terraform" }
}

/// Returns whether the program under test is installed. Prints a note if it is not, and fails in CI, which
/// has tofu only where it has Go to build it.
pub(crate) fn has_terraform() -> bool {
    let engine = engine();
    let here = Command::new(engine).arg("version").env("PATH", path_variable()).output().is_ok();
    assert!(here || engine == "tofu" || !in_ci(), "{engine} is not on PATH, and CI must not skip tests");
    if !here {
        eprintln!("SKIPPED: {engine} is not on PATH");
    }
    here
}

#[expect(clippy::disallowed_methods, reason = "the only variable that tests read")]
fn in_ci() -> bool {
    std::env::var_os("CI").is_some()
}

/// Returns `PATH` and the folder of the programs that `e2e/engines/build` builds.
#[expect(clippy::disallowed_methods, reason = "the server under test needs to find terraform")]
pub(crate) fn path_variable() -> std::ffi::OsString {
    let mut all = std::env::var_os("PATH").unwrap_or_default();
    all.push(":");
    all.push(Path::new(env!("CARGO_TARGET_TMPDIR")).with_file_name("engines"));
    all
}

/// A running api-server.
pub(crate) struct Server {
    // Dropped first: a running server would write into the folder.
    program: Program,
    pub(crate) folder: TempDir,
    pub(crate) base: String,
    pub(crate) token: String,
    environment: Vec<(&'static str, &'static str)>,
    client: reqwest::Client,
}

impl Server {
    pub(crate) fn start() -> Self {
        Self::start_with_environment(&[])
    }

    /// Starts a server with more environment variables.
    pub(crate) fn start_with_environment(environment: &[(&'static str, &'static str)]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (program, base) = launch(folder.path(), "127.0.0.1:0", &[], environment);
        let token = std::fs::read_to_string(folder.path().join("data/admin-token")).unwrap();
        Self { environment: environment.to_vec(), ..Self::running(folder, program, base, token) }
    }

    /// Starts a server with more options; its admin token must be known.
    pub(crate) fn start_with(folder: TempDir, token: &str, options: &[&str]) -> Self {
        let (program, base) = launch(folder.path(), "127.0.0.1:0", options, &[]);
        Self::running(folder, program, base, token.to_owned())
    }

    fn running(folder: TempDir, program: Program, base: String, token: String) -> Self {
        // Only the first test of this process installs it.
        let _ = rustls::crypto::ring::default_provider().install_default();
        Self { folder, base, token, program, environment: Vec::new(), client: reqwest::Client::new() }
    }

    pub(crate) fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// Kills the server, as a power failure would, and starts it again at the same address.
    pub(crate) fn kill_and_start_again(&mut self) {
        self.program.kill();
        let address = self.base.trim_start_matches("http://").to_owned();
        let (program, base) = launch(self.folder.path(), &address, &[], &self.environment);
        assert_eq!(base, self.base);
        self.program = program;
        // The old client has connections to the killed server.
        self.client = reqwest::Client::new();
    }

    pub(crate) fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.client.request(method, format!("{}{path}", self.base)).bearer_auth(&self.token)
    }

    pub(crate) fn anonymous(&self, method: Method, path: &str) -> RequestBuilder {
        self.client.request(method, format!("{}{path}", self.base))
    }

    pub(crate) async fn get(&self, path: &str) -> Value {
        let response = self.request(Method::GET, path).send().await.unwrap();
        assert_eq!(response.status(), StatusCode::OK, "GET {path}");
        response.json().await.unwrap()
    }

    pub(crate) async fn text(&self, path: &str) -> String {
        self.request(Method::GET, path).send().await.unwrap().text().await.unwrap()
    }

    /// Posts a body and returns status and response.
    pub(crate) async fn post(&self, path: &str, body: Value) -> (StatusCode, Value) {
        let response = self.request(Method::POST, path).json(&body).send().await.unwrap();
        (response.status(), response.json().await.unwrap_or_default())
    }

    pub(crate) async fn create(&self, path: &str, body: Value) -> Value {
        let (status, answer) = self.post(path, body).await;
        assert_eq!(status, StatusCode::CREATED, "POST {path}: {answer}");
        answer
    }

    /// Creates an organization and a workspace with this configuration.
    pub(crate) async fn workspace(&self, configuration: &str) -> Workspace<'_> {
        let source = self.folder.path().join(format!("source-{}", uuid::Uuid::new_v4()));
        std::fs::create_dir(&source).unwrap();
        std::fs::write(source.join("main.tf"), configuration).unwrap();
        let name = format!("organization-{}", uuid::Uuid::new_v4());
        let organization = self.create("/v1/organizations", json!({ "name": name })).await;
        let organization = organization["id"].as_str().unwrap().to_owned();
        let path = format!("/v1/organizations/{organization}/workspaces");
        let workspace =
            self.create(&path, json!({ "name": "net", "source": source, "iacType": engine() })).await;
        let id = workspace["id"].as_str().unwrap().to_owned();
        Workspace { server: self, organization, id }
    }

    /// Waits until the job satisfies a condition.
    pub(crate) async fn wait_for(&self, job: i64, what: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        let start = Instant::now();
        loop {
            let seen = self.get(&format!("/v1/jobs/{job}")).await;
            if wanted(&seen) {
                return seen;
            }
            assert!(start.elapsed() < TIMEOUT, "{what}: timeout, last seen {seen:#}");
            tokio::time::sleep(Duration::from_millis(50)).await; // bounded poll
        }
    }

    pub(crate) async fn wait_for_status(&self, job: i64, status: &str) -> Value {
        let ended = ["completed", "noChanges", "failed", "rejected", "cancelled", "unknown"];
        let seen = self
            .wait_for(job, status, |job| {
                let now = job["status"].as_str().unwrap();
                now == status || ended.contains(&now)
            })
            .await;
        assert_eq!(seen["status"], status, "{seen:#}");
        seen
    }
}

/// A started program, killed on drop, also if the test fails before it has a server.
pub(crate) struct Program(pub(crate) Child);

impl Program {
    pub(crate) fn kill(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        self.kill();
    }
}

/// A workspace of a test.
pub(crate) struct Workspace<'a> {
    pub(crate) server: &'a Server,
    pub(crate) organization: String,
    pub(crate) id: String,
}

impl Workspace<'_> {
    pub(crate) async fn variable(&self, category: &str, key: &str, value: &str, sensitive: bool) {
        let body = json!({ "key": key, "value": value, "category": category, "sensitive": sensitive });
        self.server.create(&format!("/v1/workspaces/{}/variables", self.id), body).await;
    }

    /// Creates a template with these step types, numbered 100, 200…
    pub(crate) async fn template(&self, types: &[&str]) -> String {
        let steps = types.iter().enumerate();
        let flow: Vec<_> = steps
            .map(|(index, kind)| json!({ "type": kind, "name": kind, "step": (index + 1) * 100 }))
            .collect();
        // JSON is YAML.
        let body = json!({ "name": types.join(", "), "tcl": json!({ "flow": flow }).to_string() });
        let path = format!("/v1/organizations/{}/templates", self.organization);
        self.server.create(&path, body).await["id"].as_str().unwrap().to_owned()
    }

    /// Tries to create a job.
    pub(crate) async fn try_job(&self, template: &str) -> (StatusCode, Value) {
        self.server.post(&format!("/v1/workspaces/{}/jobs", self.id), json!({ "templateId": template })).await
    }

    /// Creates a job and returns its id.
    pub(crate) async fn job(&self, template: &str) -> i64 {
        let (status, job) = self.try_job(template).await;
        assert_eq!(status, StatusCode::CREATED, "{job}");
        job["id"].as_i64().unwrap()
    }

    pub(crate) async fn state(&self) -> Value {
        self.server.get(&format!("/state/v1/workspaces/{}", self.id)).await
    }

    pub(crate) async fn holder(&self) -> Value {
        self.server.get(&format!("/v1/workspaces/{}", self.id)).await["lockedByJob"].clone()
    }
}

/// Returns the last attempt of a step of a job.
pub(crate) fn attempt(job: &Value, step: usize) -> &Value {
    job["steps"][step]["attempts"].as_array().unwrap().last().unwrap()
}

/// Starts the program and waits for the line with its address.
pub(crate) fn launch(
    folder: &Path,
    listen: &str,
    options: &[&str],
    environment: &[(&str, &str)],
) -> (Program, String) {
    let program = Path::new(env!("CARGO_BIN_EXE_api-server"));
    assert!(
        program.with_file_name("executor").is_file(),
        "the executor is not built; `cargo xtask test` builds what tests need, \
         or run `cargo build -p executor`"
    );
    let log = std::fs::OpenOptions::new().create(true).append(true).open(folder.join("server.log")).unwrap();
    let child = Command::new(program)
        .args(["serve", "--listen", listen, "--data-dir"])
        .arg(folder.join("data"))
        .args(options)
        .env_clear()
        .env("PATH", path_variable())
        .env("HOME", folder)
        .env("TMPDIR", folder)
        .env("RUST_LOG", "info")
        .envs(environment.iter().copied())
        .stdout(Stdio::piped())
        .stderr(log)
        .spawn()
        .unwrap();
    let mut program = Program(child);
    let mut line = String::new();
    BufReader::new(program.0.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let Some(base) = line.trim().strip_prefix("listening on ") else {
        panic!("the server did not start: {}", std::fs::read_to_string(folder.join("server.log")).unwrap());
    };
    (program, base.to_owned())
}
