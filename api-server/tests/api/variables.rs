//! Variables are checked when they are set: what is refused, what is only warned of, and what is never shown.

use futures::future::join_all;
use reqwest::StatusCode;
use serde_json::{Value, json};

use super::support::{Operator, World};

const MALFORMED: &str = "spot:Exists:NoSchedule;gpu:Exsts";

fn keys(list: &Value) -> Vec<&str> {
    list.as_array().unwrap().iter().map(|entry| entry["key"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn rejects_malformed_variable_with_every_problem_when_it_is_set() {
    let world = World::new().await;
    let (status, problem) =
        world.try_variable(&world.variables(), "EPHEMERAL_CONFIG_TOLERATIONS", "a:Exsts;b:Exsts").await;
    assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY, "{problem:#}");
    assert_eq!(keys(&problem["problems"]), ["EPHEMERAL_CONFIG_TOLERATIONS"; 2]);
    assert!(problem["problems"][1].to_string().contains("b:Exsts"), "{problem:#}");
    let (status, problem) = world.try_variable(&world.variables(), "EPHEMERAL_CONFIG_TOLERATION", "a").await;
    assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY, "{problem:#}");
    assert_eq!(world.get(&world.variables()).await["items"], json!([]));
}

#[tokio::test]
async fn checks_a_variable_together_with_those_that_are_set() {
    let world = World::new().await;
    let (path, mount) = (world.variables(), "EPHEMERAL_CONFIG_MAP_MOUNT_PATH");
    let (status, problem) = world.try_variable(&path, mount, "/opt/ca").await;
    assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY, "{problem:#}");
    assert!(problem["problems"][0]["expected"].as_str().unwrap().contains("EPHEMERAL_CONFIG_MAP_NAME"));
    // The organization has the one that it needs.
    world
        .create(
            &world.globals(),
            json!({ "key": "EPHEMERAL_CONFIG_MAP_NAME", "value": "ca", "category": "ENV" }),
        )
        .await;
    world.variable(mount, "/opt/ca").await;
}

#[tokio::test]
async fn problems_of_other_variables_are_warnings_and_block_nothing() {
    let mut world = World::new().await;
    world.variable("EPHEMERAL_CPU_LIMIT", "4").await;
    let policy = "[default.maximum]\ncpu = \"3\"\n";
    world.start_again_under(Operator { policy, ..Operator::default() }).await;

    let (status, answer) = world.try_variable(&world.variables(), "REGION", "eu").await;
    assert_eq!(status, StatusCode::CREATED, "{answer:#}");
    assert_eq!(keys(&answer["warnings"]), ["EPHEMERAL_CPU_LIMIT"]);
    assert!(answer["warnings"][0]["meaning"].as_str().unwrap().starts_with("jobs are refused: expected"));

    let (status, problem) =
        world.try_variable(&world.variables(), "EPHEMERAL_CONFIG_TOLERATIONS", MALFORMED).await;
    assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(keys(&problem["problems"]), ["EPHEMERAL_CONFIG_TOLERATIONS"], "{problem:#}");
    assert_eq!(keys(&problem["warnings"]), ["EPHEMERAL_CPU_LIMIT"], "{problem:#}");

    let (status, problem) = world.try_job(&["terraformPlan"]).await;
    assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(keys(&problem["problems"]), ["EPHEMERAL_CPU_LIMIT"], "{problem:#}");
}

#[tokio::test]
async fn answers_with_the_warnings_of_a_variable() {
    let world = World::new().await;
    let (status, answer) =
        world.try_variable(&world.variables(), "TERRAKUBE_ENABLE_EPHEMERAL_EXECUTOR", "0").await;
    assert_eq!(status, StatusCode::CREATED, "{answer:#}");
    assert_eq!(keys(&answer["warnings"]), ["TERRAKUBE_ENABLE_EPHEMERAL_EXECUTOR"]);
    // Present or not, the step runs.
    let job = world.job(&["terraformPlan"]).await;
    world.executor(&format!("job-{job}-100-1")).await;
}

#[tokio::test]
async fn deleting_a_variable_that_others_need_is_allowed_and_says_what_is_wrong_now() {
    let world = World::new().await;
    let name = world.variable("EPHEMERAL_CONFIG_MAP_NAME", "ca").await;
    let mount = world.variable("EPHEMERAL_CONFIG_MAP_MOUNT_PATH", "/opt/ca").await;
    let (status, answer) = world.delete(&format!("{}/{name}", world.variables())).await;
    assert_eq!(status, StatusCode::OK, "{answer:#}");
    assert_eq!(keys(&answer["warnings"]), ["EPHEMERAL_CONFIG_MAP_MOUNT_PATH"]);
    assert_eq!(world.try_job(&["terraformPlan"]).await.0, StatusCode::UNPROCESSABLE_ENTITY);
    let (status, _) = world.delete(&format!("{}/{mount}", world.variables())).await;
    assert_eq!(status, StatusCode::NO_CONTENT);
    world.job(&["terraformPlan"]).await;
}

#[tokio::test]
async fn sensitive_value_is_in_no_problem() {
    let mut world = World::new().await;
    let secret =
        |key: &str, value: &str| json!({ "key": key, "value": value, "category": "ENV", "sensitive": true });
    for body in
        [secret("EPHEMERAL_CONFIG_TOLERATIONS", "hunter2:Exsts"), secret("EPHEMERAL_CPU_LIMIT", "hunter2")]
    {
        for path in [world.variables(), world.globals()] {
            let (status, problem) = world.post(&path, body.clone()).await;
            assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY, "{problem:#}");
            assert!(
                !problem.to_string().contains("hunter2") && !problem.to_string().contains("Exsts"),
                "{problem:#}"
            );
        }
    }
    let (_, problem) =
        world.post(&world.variables(), json!({ "key": "A", "value": 31_337, "category": "ENV" })).await;
    assert!(problem["detail"].as_str().unwrap().contains("`value`"), "{problem:#}");
    assert!(!problem.to_string().contains("31337"), "{problem:#}");

    // Nor when a job is refused for it.
    world.post(&world.variables(), secret("EPHEMERAL_CPU_LIMIT", "7133")).await;
    let policy = "[default.maximum]\ncpu = \"3\"\n";
    world.start_again_under(Operator { policy, ..Operator::default() }).await;
    let (status, problem) = world.try_job(&["terraformPlan"]).await;
    assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(keys(&problem["problems"]), ["EPHEMERAL_CPU_LIMIT"], "{problem:#}");
    assert!(!problem.to_string().contains("7133"), "{problem:#}");
    let explanation = world.get(&format!("/v1/workspaces/{}/explanation", world.workspace)).await;
    assert_eq!(keys(&explanation["refused"]), ["EPHEMERAL_CPU_LIMIT"]);
    assert!(!explanation.to_string().contains("7133"), "{explanation:#}");
}

#[tokio::test]
async fn two_variables_that_contradict_each_other_are_not_both_set_by_concurrent_requests() {
    let world = World::new().await;
    let path = world.variables();
    for _ in 0..8 {
        let answers = join_all([
            world.try_variable(&path, "EPHEMERAL_CPU_REQUEST", "3"),
            world.try_variable(&path, "EPHEMERAL_CPU_LIMIT", "2"),
        ])
        .await;
        let mut statuses: Vec<u16> = answers.iter().map(|(status, _)| status.as_u16()).collect();
        statuses.sort_unstable();
        assert_eq!(statuses, [201, 422], "{answers:#?}");
        let set = world.get(&path).await;
        world.delete(&format!("{path}/{}", set["items"][0]["id"].as_str().unwrap())).await;
    }
}

#[tokio::test]
async fn of_two_requests_that_set_one_variable_at_once_one_is_refused() {
    let world = World::new().await;
    let path = world.variables();
    let answers = join_all((0..4).map(|_| world.try_variable(&path, "REGION", "eu"))).await;
    let mut statuses: Vec<u16> = answers.iter().map(|(status, _)| status.as_u16()).collect();
    statuses.sort_unstable();
    assert_eq!(statuses, [201, 409, 409, 409], "{answers:#?}");
}

#[tokio::test]
async fn running_attempt_keeps_the_variables_that_it_was_created_with() {
    let world = World::new().await;
    let body = json!({ "key": "TOKEN", "value": "hunter2", "category": "ENV", "sensitive": true });
    let token = world.create(&world.variables(), body).await;
    let job = world.job(&["terraformPlan"]).await;
    let executor = world.executor(&format!("job-{job}-100-1")).await;
    world.delete(&format!("{}/{token}", world.variables())).await;
    // The payload holds the value, so the executor must still mask it.
    assert_eq!(executor.claim("e").await.1["sensitive"], json!(["TOKEN"]));
}
