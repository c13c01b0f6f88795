//! Failures: killed servers and executors, invalid configurations, malformed settings, cancelled jobs.

use reqwest::StatusCode;
use serde_json::{Value, json};

use super::support::{Server, attempt, has_terraform};

const TRIVIAL: &str = "resource \"terraform_data\" \"a\" {}\n";

/// A configuration whose apply waits until a file exists.
fn slow_apply(gate: &std::path::Path) -> String {
    format!(
        r#"resource "terraform_data" "slow" {{
  provisioner "local-exec" {{ command = "echo waiting; while [ ! -e {gate} ]; do sleep 0.1; done; echo through" }}
}}
"#,
        gate = gate.display()
    )
}

#[tokio::test]
async fn resumes_job_after_server_is_killed_between_plan_and_apply() {
    if !has_terraform() {
        return;
    }
    let mut server = Server::start();
    let (id, workspace) = {
        let workspace = server.workspace(TRIVIAL).await;
        let template = workspace.template(&["terraformPlan", "approval", "terraformApply"]).await;
        (workspace.job(&template).await, workspace.id)
    };
    server.wait_for_status(id, "waitingApproval").await;
    server.kill_and_start_again();
    server.post(&format!("/v1/jobs/{id}/approve"), Value::Null).await;
    // Again, while the apply step starts or runs.
    server.kill_and_start_again();
    let job = server.wait_for_status(id, "completed").await;
    assert_eq!(job["steps"][2]["attempts"].as_array().unwrap().len(), 1, "applied once: {job:#}");
    let state = server.get(&format!("/state/v1/workspaces/{workspace}")).await;
    assert_eq!(state["serial"], 1);
}

#[tokio::test]
async fn running_apply_reports_to_the_restarted_server() {
    if !has_terraform() {
        return;
    }
    let mut server = Server::start();
    let gate = server.folder.path().join("gate");
    let id = {
        let workspace = server.workspace(&slow_apply(&gate)).await;
        let template = workspace.template(&["terraformApply"]).await;
        workspace.job(&template).await
    };
    server.wait_for(id, "a running apply", |job| job["steps"][0]["attempts"][0]["status"] == "running").await;
    server.kill_and_start_again();
    std::fs::write(&gate, "").unwrap();
    let job = server.wait_for_status(id, "completed").await;
    let log = server.text(&format!("/v1/attempts/{}/log", attempt(&job, 0)["id"].as_str().unwrap())).await;
    assert!(log.contains("through") && log.contains("Apply complete"), "{log}");
    assert_eq!(job["steps"][0]["attempts"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn invalid_configuration_fails_the_plan_with_the_error_of_terraform_and_unlocks_the_workspace() {
    if !has_terraform() {
        return;
    }
    let server = Server::start();
    let workspace = server.workspace("resource \"terraform_data\" \"a\" {\n  input = \n").await;
    let template = workspace.template(&["terraformPlan", "terraformApply"]).await;
    let id = workspace.job(&template).await;
    let job = server.wait_for_status(id, "failed").await;
    assert_eq!(job["steps"][0]["status"], "failed");
    assert_eq!(job["steps"][1]["status"], "notExecuted");
    let log = server.text(&format!("/v1/attempts/{}/log", attempt(&job, 0)["id"].as_str().unwrap())).await;
    assert!(log.contains("Error: ") && log.contains("main.tf"), "{log}");
    assert_eq!(workspace.holder().await, Value::Null);
}

#[tokio::test]
async fn rejects_malformed_toleration_by_name_when_it_is_set() {
    let server = Server::start();
    let workspace = server.workspace(TRIVIAL).await;
    let body = serde_json::json!({
        "key": "EPHEMERAL_CONFIG_TOLERATIONS", "value": "spot:Exists:NoSchedule;gpu:Exsts", "category": "ENV",
    });
    let (status, problem) = server.post(&format!("/v1/workspaces/{}/variables", workspace.id), body).await;
    assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY, "{problem}");
    let found = &problem["problems"][0];
    assert_eq!(found["key"], "EPHEMERAL_CONFIG_TOLERATIONS");
    assert!(found.to_string().contains("gpu:Exsts"), "{problem:#}");
    let variables = server.get(&format!("/v1/workspaces/{}/variables", workspace.id)).await;
    assert_eq!(variables["items"].as_array().unwrap().len(), 0, "nothing was stored");
}

#[tokio::test]
async fn warns_of_variable_that_has_no_effect() {
    let server = Server::start();
    let workspace = server.workspace(TRIVIAL).await;
    workspace.variable("ENV", "TERRAKUBE_ENABLE_EPHEMERAL_EXECUTOR", "false", false).await;
    let template = workspace.template(&["approval"]).await;
    let (status, job) = workspace.try_job(&template).await;
    assert_eq!(status, StatusCode::CREATED, "{job}");
    assert_eq!(job["warnings"][0]["key"], "TERRAKUBE_ENABLE_EPHEMERAL_EXECUTOR", "{job:#}");
}

#[tokio::test]
async fn cancelled_apply_saves_its_state() {
    if !has_terraform() {
        return;
    }
    let server = Server::start();
    let gate = server.folder.path().join("never");
    let configuration = format!("{TRIVIAL}{}", slow_apply(&gate));
    let workspace = server.workspace(&configuration).await;
    let template = workspace.template(&["terraformApply"]).await;
    let id = workspace.job(&template).await;
    let begun =
        server.wait_for(id, "a claim", |job| job["steps"][0]["attempts"][0]["status"] == "running").await;
    let log = format!("/v1/attempts/{}/log", attempt(&begun, 0)["id"].as_str().unwrap());
    loop {
        // bounded by the next wait: the log grows until the provisioner waits
        if server.text(&log).await.contains("waiting") {
            break;
        }
        server.wait_for(id, "a running job", |job| job["status"] == "running").await;
    }
    server.post(&format!("/v1/jobs/{id}/cancel"), Value::Null).await;
    let job = server.wait_for_status(id, "cancelled").await;
    assert_eq!(job["steps"][0]["status"], "cancelled", "{job:#}");
    let state = workspace.state().await;
    let names: Vec<_> =
        state["resources"].as_array().unwrap().iter().map(|resource| &resource["name"]).collect();
    assert!(names.iter().any(|name| **name == "a"), "{state:#}");
    assert_eq!(workspace.holder().await, Value::Null);
}

#[tokio::test]
async fn apply_with_killed_executor_is_unknown_and_keeps_workspace_locked() {
    if !has_terraform() {
        return;
    }
    let server = Server::start();
    let gate = server.folder.path().join("never");
    let workspace = server.workspace(&slow_apply(&gate)).await;
    let template = workspace.template(&["terraformApply"]).await;
    let id = workspace.job(&template).await;
    let begun =
        server.wait_for(id, "a claim", |job| job["steps"][0]["attempts"][0]["status"] == "running").await;
    let name = attempt(&begun, 0)["kubernetesJob"].as_str().unwrap();
    let record = std::fs::read(server.data().join(format!("local-backend/{name}/record.json"))).unwrap();
    let record: Value = serde_json::from_slice(&record).unwrap();
    let killed =
        std::process::Command::new("kill").arg("-9").arg(record["process"]["pid"].to_string()).status();
    assert!(killed.unwrap().success(), "{record:#}");

    let job = server.wait_for_status(id, "unknown").await;
    assert_eq!(job["steps"][0]["status"], "unknown");
    assert_eq!(attempt(&job, 0)["cause"], "killed by signal 9");
    assert_eq!(job["steps"][0]["attempts"].as_array().unwrap().len(), 1, "not retried: {job:#}");
    assert_eq!(workspace.holder().await, id);
    // A user has checked the infrastructure and closes the job.
    server.post(&format!("/v1/jobs/{id}/abandon"), json!({})).await;
    assert_eq!(workspace.holder().await, Value::Null);
}

#[tokio::test]
async fn runs_jobs_of_one_workspace_one_at_a_time() {
    if !has_terraform() {
        return;
    }
    let server = Server::start();
    let workspace = server.workspace(TRIVIAL).await;
    let template = workspace.template(&["approval"]).await;
    let (first, second) = (workspace.job(&template).await, workspace.job(&template).await);
    server.wait_for_status(first, "waitingApproval").await;
    assert_eq!(server.get(&format!("/v1/jobs/{second}")).await["status"], "pending");
    assert_eq!(workspace.holder().await, first);
    server.post(&format!("/v1/jobs/{first}/reject"), Value::Null).await;
    server.wait_for_status(first, "rejected").await;
    server.wait_for_status(second, "waitingApproval").await;
    assert_eq!(workspace.holder().await, second);
    let (status, problem) = server.post(&format!("/v1/jobs/{first}/approve"), Value::Null).await;
    assert_eq!(status, StatusCode::CONFLICT);
    assert!(problem["detail"].as_str().unwrap().contains("it is rejected"), "{problem}");
}
