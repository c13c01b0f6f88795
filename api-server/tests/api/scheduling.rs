//! Which job starts when: in order in one workspace, plans beside approvals, limits, and what waiting jobs
//! say.

use serde_json::{Value, json};

use super::support::{Operator, World};

fn name(job: i64, step: u32) -> String {
    format!("job-{job}-{step}-1")
}

async fn message(world: &World, job: i64) -> String {
    let seen = world.wait_for(job, "a message", |job| job["message"].is_string()).await;
    seen["message"].as_str().unwrap().to_owned()
}

/// Waits until the message of a job contains a text.
async fn wait_for_message(world: &World, job: i64, text: &str) {
    let has_text = |job: &Value| job["message"].as_str().is_some_and(|message| message.contains(text));
    world.wait_for(job, text, has_text).await;
}

#[tokio::test]
async fn limit_of_the_server_is_kept_and_the_waiting_job_says_so() {
    let settings = "maxRunningSteps = \"1\"\n";
    let mut world = World::under(Operator { settings, ..Operator::default() }).await;
    let first = world.job(&["terraformPlan"]).await;
    let executor = world.executor(&name(first, 100)).await;
    world.workspace = world.another_workspace(&world.organization.clone(), "other").await;
    let second = world.job(&["terraformPlan"]).await;
    let text = message(&world, second).await;
    assert!(text.contains("1 step at a time (setting MaxRunningSteps); this job is the next"), "{text}");
    assert_eq!(world.read(second).await["status"], "pending");
    executor.claim("e").await;
    executor.report("completed", Some(false)).await;
    // The end of the first step starts the second job, not a timer.
    world.executor(&name(second, 100)).await;
}

#[tokio::test]
async fn plan_runs_beside_a_job_that_waits_for_an_approval() {
    let world = World::new().await;
    let first = world.job(&["terraformPlan", "approval", "terraformApply"]).await;
    let executor = world.executor(&name(first, 100)).await;
    let apply = world.job(&["terraformApply"]).await;
    let plan = world.job(&["terraformPlan"]).await;
    let text = message(&world, plan).await;
    assert!(text.contains(&format!("waiting for job {first}")), "{text}");
    executor.claim("e").await;
    executor.report("completed", Some(true)).await;
    let beside = world.executor(&name(plan, 100)).await;
    assert_eq!(world.read(apply).await["status"], "pending", "an apply waits for its turn");

    wait_for_message(&world, apply, &format!("job {first}, which holds the workspace and waits for")).await;

    // The approved apply waits for the plan beside it, which holds the lock of the state.
    beside.claim("p").await;
    world.post(&format!("/v1/jobs/{first}/approve"), json!({})).await;
    let text = message(&world, first).await;
    assert!(
        text.contains(&format!("waiting for job {plan}, which runs a step in the same workspace")),
        "{text}"
    );
    assert_eq!(world.backend.job(&name(first, 300)), None);
    beside.report("completed", Some(false)).await;
    world.executor(&name(first, 300)).await;
    // The apply behind them says so at once when the job that it waits for goes on.
    wait_for_message(&world, apply, &format!("job {first}, which holds the workspace and is running")).await;
}

/// Each of them locks the state, and terraform does not wait for a lock.
#[tokio::test]
async fn plans_of_one_workspace_run_one_after_the_other() {
    let world = World::new().await;
    let first = world.job(&["terraformPlan", "approval", "terraformApply"]).await;
    let executor = world.executor(&name(first, 100)).await;
    let next = world.job(&["terraformPlan", "approval", "terraformApply"]).await;
    let plan = world.job(&["terraformPlan"]).await;
    executor.claim("e").await;
    executor.report("completed", Some(true)).await;
    let beside = world.executor(&name(plan, 100)).await;
    beside.claim("p").await;
    // The workspace is free for the next job, but the plan of another one runs there.
    world.post(&format!("/v1/jobs/{first}/reject"), json!({})).await;
    wait_for_message(&world, next, &format!("job {plan}, which runs a step in the same workspace")).await;
    assert_eq!(world.backend.job(&name(next, 100)), None);
    beside.report("completed", Some(false)).await;
    world.executor(&name(next, 100)).await;
}
