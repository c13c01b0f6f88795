//! What was approved is what is applied: the digest of the plan, and the state that it was made from.

use reqwest::StatusCode;
use serde_json::json;

use super::support::{Executor, World};

const FLOW: [&str; 3] = ["terraformPlan", "approval", "terraformApply"];

fn state(serial: u32) -> Vec<u8> {
    json!({ "version": 4, "serial": serial, "lineage": "l", "resources": [] }).to_string().into_bytes()
}

async fn write_state(world: &World, serial: u32) {
    let path = format!("/state/v1/workspaces/{}", world.workspace);
    let response = world.request("POST", &path).body(state(serial)).send().await.unwrap();
    assert_eq!(response.status(), StatusCode::OK);
}

/// Runs the plan step to the approval; returns the job and the digest.
async fn planned(world: &World) -> (i64, String) {
    let job = world.job(&FLOW).await;
    let plan = world.executor(&format!("job-{job}-100-1")).await;
    plan.claim("plan").await;
    plan.send("GET", "state", Vec::new()).await;
    let (_, stored) = plan.send("PUT", "plan", b"the plan".to_vec()).await;
    plan.report("completed", Some(true)).await;
    world.wait_for_status(job, "waitingApproval").await;
    (job, stored["digest"].as_str().unwrap().to_owned())
}

async fn approve(world: &World, job: i64, digest: &str) -> StatusCode {
    world.post(&format!("/v1/jobs/{job}/approve"), json!({ "planDigest": digest })).await.0
}

async fn apply(world: &World, job: i64) -> Executor {
    world.executor(&format!("job-{job}-300-1")).await
}

#[tokio::test]
async fn approval_names_the_plan_and_records_who_approved_it() {
    let world = World::new().await;
    write_state(&world, 7).await;
    let (job, digest) = planned(&world).await;
    assert_eq!(world.read(job).await["steps"][1]["planDigest"], digest);
    assert_eq!(approve(&world, job, &"0".repeat(64)).await, StatusCode::CONFLICT);
    assert_eq!(world.read(job).await["status"], "waitingApproval");
    assert_eq!(approve(&world, job, &digest).await, StatusCode::OK);
    let apply = apply(&world, job).await;
    let (status, claim) = apply.claim("apply").await;
    assert_eq!(status, StatusCode::OK, "{claim}");
    assert_eq!(claim["plan"], json!({ "digest": digest, "stateSerial": 7, "stateLineage": "l" }));
    let answer = &world.read(job).await["steps"][1]["answer"];
    assert_eq!((&answer["by"], &answer["planDigest"]), (&json!("admin"), &json!(digest)));
    assert!(answer["at"].is_string());
}

#[tokio::test]
async fn apply_is_refused_when_the_state_moved_since_the_plan() {
    let world = World::new().await;
    write_state(&world, 7).await;
    let (job, digest) = planned(&world).await;
    write_state(&world, 8).await;
    assert_eq!(approve(&world, job, &digest).await, StatusCode::OK);
    let apply = apply(&world, job).await;
    let (status, refusal) = apply.claim("apply").await;
    assert_eq!(status, StatusCode::GONE, "{refusal}");
    let failed = world.wait_for_status(job, "failed").await;
    let message = failed["message"].as_str().unwrap();
    assert!(message.contains("has serial 8, the plan was made from serial 7"), "{message}");
    // The claim is refused for good.
    assert_eq!(apply.claim("apply").await.0, StatusCode::GONE);
}

#[tokio::test]
async fn first_state_of_a_workspace_between_plan_and_apply_is_a_move() {
    let world = World::new().await;
    let (job, digest) = planned(&world).await;
    write_state(&world, 1).await;
    approve(&world, job, &digest).await;
    assert_eq!(apply(&world, job).await.claim("apply").await.0, StatusCode::GONE);
    let message = world.wait_for_status(job, "failed").await["message"].to_string();
    assert!(message.contains("has serial 1, the plan was made from serial 0"), "{message}");
}

#[tokio::test]
async fn plan_that_comes_late_does_not_replace_the_approved_one() {
    let world = World::new().await;
    let (job, digest) = planned(&world).await;
    let plan = Executor::of(&world.backend, &format!("job-{job}-100-1"));
    assert_eq!(plan.send("PUT", "plan", b"another".to_vec()).await.0, StatusCode::GONE);
    assert_eq!(approve(&world, job, &digest).await, StatusCode::OK);
    let apply = apply(&world, job).await;
    apply.claim("apply").await;
    let read = reqwest::Client::new().get(format!("{}/plan", apply.url)).bearer_auth(apply.session());
    assert_eq!(read.send().await.unwrap().bytes().await.unwrap(), "the plan");
    assert_eq!(world.blobs("plans"), 1);
}

#[tokio::test]
async fn plan_after_the_approval_is_not_the_approved_one() {
    let world = World::new().await;
    let job = world.job(&["terraformPlan", "approval", "terraformPlan", "terraformApply"]).await;
    for (step, content) in [(100, "first"), (300, "second")] {
        let plan = world.executor(&format!("job-{job}-{step}-1")).await;
        plan.claim("plan").await;
        plan.send("PUT", "plan", content.as_bytes().to_vec()).await;
        plan.report("completed", Some(true)).await;
        if step == 100 {
            world.wait_for_status(job, "waitingApproval").await;
            world.post(&format!("/v1/jobs/{job}/approve"), json!(null)).await;
        }
    }
    let apply = world.executor(&format!("job-{job}-400-1")).await;
    assert_eq!(apply.claim("apply").await.0, StatusCode::GONE);
    let message = world.wait_for_status(job, "failed").await["message"].to_string();
    assert!(message.contains("was approved; nothing was applied"), "{message}");
}

#[tokio::test]
async fn unknown_outcome_keeps_the_workspace_and_the_evidence() {
    let world = World::new().await;
    let job = world.job(&["terraformApply"]).await;
    let executor = world.executor(&format!("job-{job}-100-1")).await;
    executor.claim("e").await;
    let evidence = json!({ "signal": 9, "stateSaved": false, "rescuedState": { "keptIn": "/tmp/ephemeral-agents/o/w.a.tfstate" } });
    let result = json!({
        "outcome": "unknown", "hasChanges": null, "message": "terraform was killed", "commitId": null,
        "timings": [], "logBytes": 0, "evidence": evidence,
    });
    let reported = executor.send("POST", "result", result.to_string().into_bytes()).await;
    assert_eq!(reported.0, StatusCode::NO_CONTENT);
    let seen = world.wait_for_status(job, "unknown").await;
    assert_eq!(seen["steps"][0]["attempts"][0]["evidence"], evidence);
    let workspace = world.get(&format!("/v1/workspaces/{}", world.workspace)).await;
    assert_eq!(workspace["lockedByJob"], job);
}
