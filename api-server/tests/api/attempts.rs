//! Claim, fence, retry, unknown outcome: each step runs once, whatever the cluster does.

use std::time::Duration;

use k8s_backend::{Cause, ImageProblem, JobPhase, Waiting};
use reqwest::StatusCode;
use serde_json::{Value, json};

use super::support::{Executor, World};

fn name(job: i64, step: u32, attempt: u32) -> String {
    format!("job-{job}-{step}-{attempt}")
}

#[tokio::test]
async fn rejects_second_executor_of_an_attempt() {
    let world = World::new().await;
    let job = world.job(&["terraformPlan"]).await;
    let executor = world.executor(&name(job, 100, 1)).await;
    let (status, claim) = executor.claim("first").await;
    assert_eq!(status, StatusCode::OK, "{claim}");
    assert_eq!(claim["attemptId"], executor.id());
    assert_eq!(claim["planExpected"], false);
    assert_eq!(executor.claim("second").await.0, StatusCode::CONFLICT);
    // The first executor may repeat a claim whose answer was lost.
    assert_eq!(executor.claim("first").await.0, StatusCode::OK);
}

#[tokio::test]
async fn accepts_writes_of_an_attempt_between_claim_and_report_only() {
    let world = World::new().await;
    let job = world.job(&["terraformPlan", "approval"]).await;
    let executor = world.executor(&name(job, 100, 1)).await;
    assert_all_writes_are_rejected(&executor, StatusCode::FORBIDDEN).await;
    executor.claim("e").await;
    let (status, position) = executor.send("POST", "log?offset=0", b"hello\n".to_vec()).await;
    assert_eq!((status, &position["offset"]), (StatusCode::OK, &json!(6)));
    let (status, position) = executor.send("POST", "log?offset=99", b"x".to_vec()).await;
    assert_eq!((status, &position["offset"]), (StatusCode::CONFLICT, &json!(6)));
    let (status, stored) = executor.send("PUT", "plan", b"plan".to_vec()).await;
    let digest = "64879f7d6b960a01909762d911a32d4582c20010c5641ee90278b644a9e3b525";
    assert_eq!((status, stored), (StatusCode::OK, json!({ "digest": digest })));
    assert_eq!(executor.report("completed", Some(true)).await.0, StatusCode::NO_CONTENT);
    world.wait_for_status(job, "waitingApproval").await;
    assert_all_writes_are_rejected(&executor, StatusCode::GONE).await;
    // A report whose answer was lost may be repeated.
    assert_eq!(executor.report("completed", Some(true)).await.0, StatusCode::NO_CONTENT);
    assert_eq!(executor.report("failed", None).await.0, StatusCode::CONFLICT);
}

async fn assert_all_writes_are_rejected(executor: &Executor, expected: StatusCode) {
    let requests = [
        ("POST", "log?offset=0"),
        ("PUT", "plan"),
        ("GET", "plan"),
        ("GET", "state"),
        ("POST", "state"),
        ("LOCK", "state"),
        ("UNLOCK", "state"),
        ("PUT", "rescued-state"),
        ("POST", "heartbeat"),
    ];
    for (method, path) in requests {
        let (status, answer) = executor.send(method, path, b"x".to_vec()).await;
        assert_eq!(status, expected, "{method} {path}: {answer}");
    }
}

#[tokio::test]
async fn apply_step_gets_the_plan_of_its_job() {
    let world = World::new().await;
    let job = world.job(&["terraformPlan", "terraformApply"]).await;
    let plan = world.executor(&name(job, 100, 1)).await;
    plan.claim("plan").await;
    plan.send("PUT", "plan", b"the plan".to_vec()).await;
    plan.report("completed", Some(true)).await;
    let apply = world.executor(&name(job, 200, 1)).await;
    assert_eq!(apply.claim("apply").await.1["planExpected"], true);
    let response =
        reqwest::Client::new().get(format!("{}/plan", apply.url)).bearer_auth(apply.session()).send().await;
    assert_eq!(response.unwrap().bytes().await.unwrap(), "the plan");
    apply.report("completed", None).await;
    world.wait_for_status(job, "completed").await;
}

#[tokio::test]
async fn token_of_one_attempt_is_invalid_for_another() {
    let world = World::new().await;
    let job = world.job(&["terraformPlan"]).await;
    let executor = world.executor(&name(job, 100, 1)).await;
    let other = executor.with_token_for(&uuid::Uuid::new_v4().to_string());
    assert_eq!(other.claim("x").await.0, StatusCode::UNAUTHORIZED);
    let response = reqwest::Client::new()
        .get(format!("{}/v1/jobs/{job}", other.url.split("/executor/").next().unwrap()))
        .bearer_auth(other.session())
        .send()
        .await
        .unwrap();
    assert_eq!(response.status(), StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn retries_unclaimed_apply_under_another_name() {
    let world = World::new().await;
    let job = world.job(&["terraformApply"]).await;
    let lost = world.executor(&name(job, 100, 1)).await;
    world.backend.finish(&name(job, 100, 1), Cause::Disrupted { message: "node lost".to_owned() });
    let second = world.executor(&name(job, 100, 2)).await;
    assert_eq!(lost.claim("late").await.0, StatusCode::GONE);
    second.claim("second").await;
    second.report("completed", None).await;
    let seen = world.wait_for_status(job, "completed").await;
    let first = &seen["steps"][0]["attempts"][0];
    assert_eq!(first["status"], "lost");
    assert_eq!(first["cause"], "pod disrupted: node lost");
}

#[tokio::test]
async fn attempt_that_cannot_start_fails_with_the_message_of_the_cluster() {
    let world = World::with_pod_start_timeout(Duration::from_secs(3)).await;
    let job = world.job(&["terraformApply"]).await;
    let name = name(job, 100, 1);
    world.submitted(&name).await;
    let message = "registry.example.org/terraform/executor:9.9.9: not found".to_owned();
    world.backend.wait(&name, Waiting::ImagePull { problem: ImageProblem::NotFound, message });
    let waiting = world.wait_for(job, "a message", |job| job["message"].is_string()).await;
    assert!(waiting["message"].as_str().unwrap().contains("executor:9.9.9: not found"), "{waiting:#}");

    let seen = world.wait_for_status(job, "failed").await;
    assert!(seen["message"].as_str().unwrap().contains("push the image"), "{seen:#}");
    let attempts = seen["steps"][0]["attempts"].as_array().unwrap();
    assert_eq!(attempts.len(), 1, "the next attempt would wait for the same");
    assert_eq!(attempts[0]["status"], "failed");
    assert_eq!(attempts[0]["causeDetail"]["type"], "cannotStart", "{seen:#}");
    assert!(world.backend.is_cancelled(&name));
    // If its pod starts later, the claim is refused.
    assert_eq!(Executor::of(&world.backend, &name).claim("late").await.0, StatusCode::GONE);
}

#[tokio::test]
async fn claimed_apply_without_report_is_unknown_and_keeps_workspace_locked() {
    let world = World::new().await;
    let job = world.job(&["terraformApply"]).await;
    let next = world.job(&["terraformApply"]).await;
    let executor = world.executor(&name(job, 100, 1)).await;
    executor.claim("e").await;
    world.backend.finish(&name(job, 100, 1), Cause::ExitCode(Some(137)));
    let seen = world.wait_for_status(job, "unknown").await;
    assert_eq!(seen["steps"][0]["status"], "unknown");
    assert_eq!(seen["steps"][0]["attempts"].as_array().unwrap().len(), 1, "not retried");
    assert!(seen["message"].as_str().unwrap().contains("exit code 137"), "{seen:#}");
    let workspace = world.get(&format!("/v1/workspaces/{}", world.workspace)).await;
    assert_eq!(workspace["lockedByJob"], job);
    assert_eq!(world.read(next).await["status"], "pending");
    // The report of an executor that was only unreachable is kept for the user who decides.
    assert_eq!(executor.report("completed", None).await.0, StatusCode::NO_CONTENT);
    assert_eq!(world.read(job).await["steps"][0]["attempts"][0]["reported"], "completed");
    // Nothing runs that could be cancelled; a user decides.
    let (status, refused) = world.post(&format!("/v1/jobs/{job}/cancel"), Value::Null).await;
    assert_eq!(status, StatusCode::CONFLICT, "{refused:#}");
    assert!(refused["detail"].as_str().unwrap().contains("abandon"), "{refused:#}");
    let (_, decided) = world.post(&format!("/v1/jobs/{job}/abandon"), json!({})).await;
    assert_eq!(decided["status"], "failed");
    let (status, refused) = world.post(&format!("/v1/jobs/{job}/cancel"), Value::Null).await;
    assert_eq!(status, StatusCode::CONFLICT, "{refused:#}");
    assert_all_writes_are_rejected(&executor, StatusCode::GONE).await;
    world.executor(&name(next, 100, 1)).await;
}

#[tokio::test]
async fn job_cancelled_before_the_claim_never_runs() {
    let world = World::new().await;
    let job = world.job(&["terraformApply"]).await;
    let executor = world.executor(&name(job, 100, 1)).await;
    world.post(&format!("/v1/jobs/{job}/cancel"), Value::Null).await;
    world.wait_for_status(job, "cancelled").await;
    assert_eq!(executor.claim("late").await.0, StatusCode::GONE);
    assert!(world.backend.is_cancelled(&name(job, 100, 1)));
    // Cancelling again after the end changes nothing.
    let (status, again) = world.post(&format!("/v1/jobs/{job}/cancel"), Value::Null).await;
    assert_eq!((status, &again["status"]), (StatusCode::OK, &json!("cancelled")));
}

#[tokio::test]
async fn job_waits_for_unavailable_backend_with_a_message() {
    let world = World::new().await;
    world.backend.set_unavailable();
    let job = world.job(&["terraformPlan"]).await;
    let waiting = world.wait_for(job, "a message", |job| job["message"].is_string()).await;
    assert!(waiting["message"].as_str().unwrap().starts_with("waiting"), "{waiting:#}");
    world.backend.set_available();
    let executor = world.executor(&name(job, 100, 1)).await;
    executor.claim("e").await;
    executor.report("completed", Some(false)).await;
    let seen = world.wait_for_status(job, "noChanges").await;
    assert_eq!(seen["message"], Value::Null);
}

#[tokio::test]
async fn restarted_server_resumes_jobs() {
    let mut world = World::new().await;
    let job = world.job(&["terraformPlan", "terraformApply"]).await;
    let plan = world.executor(&name(job, 100, 1)).await;
    plan.claim("plan").await;
    world.start_again().await;
    // The Kubernetes Job ends after the restart.
    world.backend.finish(&name(job, 100, 1), Cause::ExitCode(Some(1)));
    let seen = world.wait_for_status(job, "failed").await;
    assert!(seen["message"].as_str().unwrap().contains("exit code 1"), "{seen:#}");
    assert_eq!(world.backend.names(), [name(job, 100, 1)]);
    assert_eq!(world.backend.phase(&name(job, 100, 1)), Some(JobPhase::Ended(Cause::ExitCode(Some(1)))));
}
