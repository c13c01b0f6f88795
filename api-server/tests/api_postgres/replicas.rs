//! Two servers on one database.

use k8s_backend::Cause;
use reqwest::StatusCode;
use serde_json::json;
use tokio_util::sync::CancellationToken;

use super::api::support::{Executor, World};

const STEPS: [&str; 3] = ["terraformPlan", "approval", "terraformApply"];

/// Returns an executor that speaks to this address.
fn through(mut executor: Executor, base: &str) -> Executor {
    let path = executor.url.find("/executor/").unwrap();
    executor.url.replace_range(..path, base);
    executor
}

/// Returns two servers on one database, and the address of the second; `None` without PostgreSQL.
async fn two_replicas() -> Option<(World, String, CancellationToken)> {
    let world = World::new().await;
    world.database.as_ref()?;
    let (other, shutdown) = world.another_replica().await;
    Some((world, other, shutdown))
}

/// Creates a job, and claims its plan through the second server.
async fn claimed_plan(world: &World, other: &str) -> (i64, Executor) {
    let id = world.job(&STEPS).await;
    let plan = through(world.executor(&format!("job-{id}-100-1")).await, other);
    assert_eq!(plan.claim("e").await.0, StatusCode::OK);
    (id, plan)
}

#[tokio::test]
async fn any_replica_serves_the_requests_of_a_job() {
    let Some((mut world, other, _shutdown)) = two_replicas().await else { return };
    let (id, plan) = claimed_plan(&world, &other).await;
    let (status, answer) = plan.send("POST", "log?offset=0", b"planned\n".to_vec()).await;
    assert_eq!(status, StatusCode::OK, "{answer}");
    assert_eq!(plan.report("completed", Some(true)).await.0, StatusCode::NO_CONTENT);
    world.backend.finish(&format!("job-{id}-100-1"), Cause::Completed);
    world.wait_for_status(id, "waitingApproval").await;
    let log = world.request("GET", &format!("/v1/attempts/{}/log", plan.id())).send().await.unwrap();
    assert_eq!(log.text().await.unwrap(), "planned\n");

    world.base = other;
    let (status, answer) = world.post(&format!("/v1/jobs/{id}/approve"), json!({})).await;
    assert!(status.is_success(), "{answer}");
    world.submitted(&format!("job-{id}-300-1")).await;
}

#[tokio::test]
async fn jobs_of_a_replica_that_stops_continue_on_another() {
    let Some((mut world, other, _shutdown)) = two_replicas().await else { return };
    let (id, plan) = claimed_plan(&world, &other).await;
    world.shutdown.cancel();
    world.base = other;
    assert_eq!(plan.report("completed", Some(true)).await.0, StatusCode::NO_CONTENT);
    world.wait_for_status(id, "waitingApproval").await;
    world.post(&format!("/v1/jobs/{id}/cancel"), json!({})).await;
    world.wait_for_status(id, "cancelled").await;
}

#[tokio::test]
async fn jobs_of_two_replicas_run_one_at_a_time_in_order() {
    let Some((mut world, other, _shutdown)) = two_replicas().await else { return };
    let first = world.job(&["approval"]).await;
    world.wait_for_status(first, "waitingApproval").await;
    world.base = other;
    let second = world.job(&["approval"]).await;
    assert_eq!(world.read(second).await["status"], "pending");
    world.post(&format!("/v1/jobs/{first}/approve"), json!({})).await;
    world.wait_for_status(first, "completed").await;
    world.wait_for_status(second, "waitingApproval").await;
}
