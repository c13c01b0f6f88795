//! Plan, approval, apply; a job without changes; destroy; and secrets that are stored nowhere in clear text.

use std::{path::Path, process::Command};

use reqwest::Method;
use serde_json::Value;

use super::support::{Server, attempt, engine, has_terraform, path_variable};

const CONFIGURATION: &str = r#"
variable "region" { type = string }
variable "password" {
  type      = string
  sensitive = true
}
resource "terraform_data" "network" { input = var.region }
resource "terraform_data" "database" {
  input = { network = terraform_data.network.output, password = var.password }
}
output "network" { value = terraform_data.network.output }
"#;

const SECRET: &str = "correct-horse-battery-staple";

#[tokio::test]
async fn runs_plan_approval_and_apply_each_in_its_own_kubernetes_job() {
    if !has_terraform() {
        return;
    }
    let server = Server::start();
    let workspace = server.workspace(CONFIGURATION).await;
    workspace.variable("TERRAFORM", "region", "eu-central-1", false).await;
    workspace.variable("TERRAFORM", "password", SECRET, true).await;
    let template = workspace.template(&["terraformPlan", "approval", "terraformApply"]).await;

    let id = workspace.job(&template).await;
    let planned = server.wait_for_status(id, "waitingApproval").await;
    let plan = attempt(&planned, 0);
    assert_eq!(plan["kubernetesJob"], format!("job-{id}-100-1"));
    assert_eq!(planned["steps"][0]["hasChanges"], true);
    let log = server.text(&format!("/v1/attempts/{}/log", plan["id"].as_str().unwrap())).await;
    assert!(log.contains("2 to add"), "{log}");

    server.post(&format!("/v1/jobs/{id}/approve"), Value::Null).await;
    let applied = server.wait_for_status(id, "completed").await;
    assert_eq!(attempt(&applied, 2)["kubernetesJob"], format!("job-{id}-300-1"));
    assert_eq!(workspace.holder().await, Value::Null);
    assert_kubernetes_jobs_show_no_secrets(&server, &applied).await;
    assert_terraform_reads_the_state(&server, &workspace.state().await);

    let second = workspace.job(&template).await;
    let second = server.wait_for_status(second, "noChanges").await;
    assert_eq!(second["steps"][2]["status"], "notExecuted");

    let destroy = workspace.template(&["terraformDestroy"]).await;
    let third = workspace.job(&destroy).await;
    server.wait_for_status(third, "completed").await;
    assert_eq!(workspace.state().await["resources"], serde_json::json!([]));
    assert_secret_is_nowhere_in_clear_text(&server, &[id, third]).await;
}

/// The Kubernetes Jobs of both steps are shown without token and payload.
async fn assert_kubernetes_jobs_show_no_secrets(server: &Server, job: &Value) {
    for step in [0, 2] {
        let attempt = attempt(job, step);
        let yaml =
            server.text(&format!("/v1/attempts/{}/kubernetes-job", attempt["id"].as_str().unwrap())).await;
        assert!(yaml.contains("kind: Job") && yaml.contains("podFailurePolicy"), "{yaml}");
        assert!(yaml.contains(attempt["kubernetesJob"].as_str().unwrap()), "{yaml}");
        assert!(!yaml.contains("attempt_"), "the token is shown: {yaml}");
        assert!(base64_of(SECRET).iter().all(|encoded| !yaml.contains(encoded)), "{yaml}");
    }
}

/// The characters that encode a text in base64, for each of the three offsets where it can begin.
fn base64_of(text: &str) -> [String; 3] {
    use base64::Engine as _;
    std::array::from_fn(|before| {
        let padded = [vec![0; before], text.as_bytes().to_vec()].concat();
        let encoded = base64::engine::general_purpose::STANDARD_NO_PAD.encode(&padded);
        // Characters at both ends also encode bits of their neighbors.
        encoded[(before * 8).div_ceil(6)..padded.len() * 8 / 6].to_owned()
    })
}

/// Terraform reads the state that the server returns.
fn assert_terraform_reads_the_state(server: &Server, state: &Value) {
    let file = server.folder.path().join("read-back.tfstate");
    std::fs::write(&file, state.to_string()).unwrap();
    let output = Command::new(engine())
        .args(["show", "-json"])
        .env("PATH", path_variable())
        .arg(&file)
        .env_remove("TF_CLI_CONFIG_FILE")
        .current_dir(server.folder.path())
        .output()
        .unwrap();
    let shown: Value = serde_json::from_slice(&output.stdout).unwrap();
    let shown_network = &shown["values"]["outputs"]["network"]["value"];
    assert_eq!(shown_network, "eu-central-1", "{shown:#}");
    assert_eq!(shown_network, &state["outputs"]["network"]["value"]);
    let shown_resources = shown["values"]["root_module"]["resources"].as_array().unwrap();
    assert_eq!(shown_resources.len(), state["resources"].as_array().unwrap().len());
    for (shown, stored) in shown_resources.iter().zip(state["resources"].as_array().unwrap()) {
        assert_eq!(shown["name"], stored["name"]);
        assert_eq!(shown["values"]["id"], stored["instances"][0]["attributes"]["id"]);
    }
}

/// The logs, the data folder and the server's own log hold the sensitive value nowhere in clear text.
async fn assert_secret_is_nowhere_in_clear_text(server: &Server, jobs: &[i64]) {
    for id in jobs {
        let job = server.get(&format!("/v1/jobs/{id}")).await;
        assert!(!job.to_string().contains(SECRET));
        for step in job["steps"].as_array().unwrap() {
            for attempt in step["attempts"].as_array().unwrap() {
                let log = server.text(&format!("/v1/attempts/{}/log", attempt["id"].as_str().unwrap())).await;
                assert!(!log.is_empty() && !log.contains(SECRET), "{log}");
            }
        }
    }
    let mut searched = 0;
    for needle in base64_of(SECRET).into_iter().chain([SECRET.to_owned()]) {
        let found = files_with(&server.data(), needle.as_bytes(), &mut searched);
        assert!(found.is_empty(), "{found:?} contain the secret");
    }
    // The search finds a value that is not secret: the region in the log of the plan.
    assert!(!files_with(&server.data(), b"eu-central-1", &mut searched).is_empty());
    assert!(searched > 20, "only {searched} files were searched");
    let log = std::fs::read_to_string(server.folder.path().join("server.log")).unwrap();
    assert!(!log.contains(SECRET));
}

fn files_with(folder: &Path, needle: &[u8], searched: &mut usize) -> Vec<std::path::PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files_with(&path, needle, searched));
        } else if let Ok(content) = std::fs::read(&path) {
            *searched += 1;
            if content.windows(needle.len()).any(|window| window == needle) {
                found.push(path);
            }
        }
    }
    found
}

#[tokio::test]
async fn delivers_payload_by_secret_or_claim() {
    if !has_terraform() {
        return;
    }
    for (delivery, in_job) in [("secret", "secretKeyRef"), ("claim", "EphemeralAttemptUrl")] {
        let server = Server::start_with_environment(&[("ExecutorEphemeralPayloadDelivery", delivery)]);
        let workspace =
            server.workspace("variable \"region\" {}\noutput \"region\" { value = var.region }\n").await;
        workspace.variable("TERRAFORM", "region", "eu-central-1", false).await;
        let template = workspace.template(&["terraformApply"]).await;
        let id = workspace.job(&template).await;
        let applied = server.wait_for_status(id, "completed").await;
        assert_eq!(workspace.state().await["outputs"]["region"]["value"], "eu-central-1");
        let address = format!("/v1/attempts/{}/kubernetes-job", attempt(&applied, 0)["id"].as_str().unwrap());
        let yaml = server.text(&address).await;
        assert!(yaml.contains(in_job), "{yaml}");
        // A payload in the Job would be shown redacted, with its length.
        assert!(!yaml.contains("name: EphemeralJobData\n          value:"), "{yaml}");
        assert_eq!(yaml.contains("EphemeralJobData"), delivery == "secret", "{yaml}");
    }
}

#[tokio::test]
async fn streams_log_live_and_from_any_offset() {
    if !has_terraform() {
        return;
    }
    let server = Server::start();
    let workspace = server.workspace("resource \"terraform_data\" \"a\" {}\n").await;
    let template = workspace.template(&["terraformPlan"]).await;
    let id = workspace.job(&template).await;
    let begun = server.wait_for(id, "an attempt", |job| job["steps"][0]["attempts"][0].is_object()).await;
    let address = format!("/v1/attempts/{}/log", attempt(&begun, 0)["id"].as_str().unwrap());

    // The stream ends when the step has ended.
    let stream = server.text(&format!("{address}/stream")).await;
    let whole = server.text(&address).await;
    let mut streamed = String::new();
    for line in stream.lines().filter_map(|line| line.strip_prefix("data: ")) {
        let data: Value = serde_json::from_str(line).unwrap();
        streamed.push_str(data["text"].as_str().unwrap_or_default());
    }
    assert_eq!(streamed, whole);
    let end = format!("data: {{\"offset\":{},\"status\":\"complete\"}}", whole.len());
    assert!(stream.trim_end().ends_with(&end), "{stream}");

    assert_eq!(server.text(&format!("{address}?offset=10")).await, whole[10..]);
    let resumed = server
        .request(Method::GET, &format!("{address}/stream"))
        .header("Last-Event-ID", whole.len().to_string())
        .send()
        .await
        .unwrap();
    let resumed = resumed.text().await.unwrap();
    assert!(resumed.contains("event: end") && !resumed.contains("event: log"), "{resumed}");
}
