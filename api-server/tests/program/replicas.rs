//! Two servers on one PostgreSQL database, with executors in a cluster. One of them is stopped in the middle
//! of its decisions and resumed later, the other one is killed.

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::Command,
    time::Instant,
};

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use self::site::Balancer;
use super::{
    postgres::new_database,
    support::{Program, TIMEOUT, engine, has_terraform, launch},
};

mod site;

const JOBS: usize = 4;

/// A server that shares database and data folder with others.
struct Replica {
    program: Program,
    base: String,
    token: String,
    client: reqwest::Client,
}

impl Replica {
    fn start(folder: &Path, api_url: &str, environment: &[(&str, String)]) -> Self {
        let environment: Vec<_> = environment.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let options = ["--backend", "kubernetes", "--api-url", api_url];
        let (program, base) = launch(folder, "127.0.0.1:0", &options, &environment);
        let token = std::fs::read_to_string(folder.join("data/admin-token")).unwrap();
        Self { program, base, token, client: reqwest::Client::new() }
    }

    fn address(&self) -> SocketAddr {
        self.base.trim_start_matches("http://").parse().unwrap()
    }

    fn signal(&self, signal: &str) {
        let status = Command::new("kill").args([signal, &self.program.0.id().to_string()]).status();
        assert!(status.unwrap().success());
    }

    async fn send(&self, method: Method, path: &str, body: &Value) -> Value {
        let request = self.client.request(method, format!("{}{path}", self.base)).bearer_auth(&self.token);
        let response = request.json(body).send().await.unwrap();
        let status = response.status();
        assert!(status.is_success(), "{path}: {status} {}", response.text().await.unwrap());
        if status == StatusCode::NO_CONTENT { Value::Null } else { response.json().await.unwrap() }
    }

    async fn get(&self, path: &str) -> Value {
        self.send(Method::GET, path, &Value::Null).await
    }

    async fn create(&self, path: &str, body: Value) -> Value {
        self.send(Method::POST, path, &body).await["id"].clone()
    }

    async fn wait_for(&self, job: i64, what: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        let start = Instant::now();
        loop {
            let seen = self.get(&format!("/v1/jobs/{job}")).await;
            if wanted(&seen) {
                return seen;
            }
            assert!(start.elapsed() < TIMEOUT, "{what}: timeout, last seen {seen:#}");
            tokio::time::sleep(std::time::Duration::from_millis(50)).await; // bounded poll
        }
    }

    /// Creates workspaces and a job in each of them, waits for their plans and approves them. Returns the ids
    /// of the jobs and of their workspaces.
    async fn approved_jobs(&self, organization: &str, source: &str, prefix: &str) -> BTreeMap<i64, String> {
        let flow = ["terraformPlan", "approval", "terraformApply"];
        let flow: Vec<_> = flow
            .iter()
            .zip([100, 200, 300])
            .map(|(kind, step)| json!({ "type": kind, "step": step }))
            .collect();
        let template = json!({ "name": prefix, "tcl": json!({ "flow": flow }).to_string() });
        let template = self.create(&format!("/v1/organizations/{organization}/templates"), template).await;
        let mut jobs = BTreeMap::new();
        for index in 0..JOBS {
            let name = format!("{prefix}-{index}");
            let path = format!("/v1/organizations/{organization}/workspaces");
            let workspace =
                self.create(&path, json!({ "name": name, "source": source, "iacType": engine() })).await;
            let workspace = workspace.as_str().unwrap().to_owned();
            let variable = json!({ "key": "name", "value": name, "category": "TERRAFORM" });
            self.create(&format!("/v1/workspaces/{workspace}/variables"), variable).await;
            let path = format!("/v1/workspaces/{workspace}/jobs");
            let job = self.create(&path, json!({ "templateId": template })).await;
            jobs.insert(job.as_i64().unwrap(), workspace);
        }
        for id in jobs.keys() {
            self.wait_for(*id, "a plan", |job| job["status"] == "waitingApproval").await;
        }
        for id in jobs.keys() {
            self.send(Method::POST, &format!("/v1/jobs/{id}/approve"), &json!({})).await;
        }
        jobs
    }

    /// Checks that each job applied once and that its state is stored.
    async fn check_applied_once(&self, jobs: &BTreeMap<i64, String>) {
        for (id, workspace) in jobs {
            let job = self.wait_for(*id, "a completed job", |job| job["endedAt"].is_string()).await;
            assert_eq!(job["status"], "completed", "{job:#}");
            let attempts =
                job["steps"].as_array().unwrap().iter().filter_map(|step| step["attempts"].as_array());
            assert!(attempts.clone().all(|attempts| attempts.len() <= 1), "{job:#}");
            let state = self.get(&format!("/state/v1/workspaces/{workspace}")).await;
            assert_eq!(state["resources"].as_array().map(Vec::len), Some(1), "{state:#}");
            let workspace = self.get(&format!("/v1/workspaces/{workspace}")).await;
            assert_eq!(workspace["lockedByJob"], Value::Null, "{workspace:#}");
        }
    }
}

/// A configuration whose apply writes a line into a file, and goes on when another file exists.
fn configuration(ledger: &Path, gate: &Path) -> String {
    format!(
        r#"variable "name" {{}}
resource "terraform_data" "one" {{
  provisioner "local-exec" {{
    command = <<-END
      echo ${{var.name}} >> {ledger}
      while [ ! -e {gate}-${{split("-", var.name)[0]}} ]; do sleep 0.1; done
    END
  }}
}}
"#,
        ledger = ledger.display(),
        gate = gate.display()
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn jobs_are_applied_once_while_replicas_are_stopped_resumed_and_killed() {
    let Some(database) = new_database() else { return };
    if !has_terraform() {
        return;
    }
    let _ = rustls::crypto::ring::default_provider().install_default();
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| -> PathBuf { folder.path().join(name) };
    let _logs = site::Logs(folder.path().to_owned());
    let (_cluster, kubeconfig) = site::start_cluster(folder.path());
    let source = site::serve_repository(folder.path(), &configuration(&at("ledger"), &at("gate"))).await;
    let balancer = Balancer::default();
    let url = balancer.listen().await;
    let environment = site::environment(&kubeconfig, &database);
    let first = Replica::start(folder.path(), &url, &environment);
    let mut second = Replica::start(folder.path(), &url, &environment);
    assert_eq!(first.token, second.token);
    balancer.add(first.address());
    balancer.add(second.address());
    let organization = first.create("/v1/organizations", json!({ "name": "acme" })).await;
    let organization = organization.as_str().unwrap();

    // The first one is stopped while it starts applies; the second one finishes them.
    let jobs = first.approved_jobs(organization, &source, "stop").await;
    first.signal("-STOP");
    balancer.remove(first.address());
    for id in jobs.keys() {
        let running = |job: &Value| job["steps"][2]["attempts"][0]["status"] == "running";
        second.wait_for(*id, "an apply at the other replica", running).await;
    }
    std::fs::write(at("gate-stop"), "").unwrap();
    second.check_applied_once(&jobs).await;
    first.signal("-CONT");
    balancer.add(first.address());
    first.check_applied_once(&jobs).await;
    let resumed = Instant::now();
    while !std::fs::read_to_string(at("server.log")).unwrap().contains("another replica has taken the job") {
        assert!(resumed.elapsed() < TIMEOUT, "the first one has not noticed that it has lost its jobs");
        tokio::time::sleep(std::time::Duration::from_millis(50)).await; // bounded poll
    }

    // The second one is killed while it starts applies; the first one finishes them.
    let more = second.approved_jobs(organization, &source, "kill").await;
    second.program.kill();
    balancer.remove(second.address());
    std::fs::write(at("gate-kill"), "").unwrap();
    first.check_applied_once(&more).await;
    first.check_applied_once(&jobs).await;

    let ledger = std::fs::read_to_string(at("ledger")).unwrap();
    let mut applied: Vec<&str> = ledger.lines().collect();
    applied.sort_unstable();
    let expected: Vec<String> = ["kill", "stop"]
        .iter()
        .flat_map(|prefix| (0..JOBS).map(move |index| format!("{prefix}-{index}")))
        .collect();
    assert_eq!(applied, expected);
}
