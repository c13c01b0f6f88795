//! Variables are checked when they are set: what is refused, what is only warned of, and what is never shown.

use futures::future::join_all;
use k8s_backend::{Cause, Refuser, Waiting};
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
    world.post(&world.variables(), secret("EPHEMERAL_CPU_LIMIT", "713300m")).await;
    let policy = "[default.maximum]\ncpu = \"3\"\n";
    world.start_again_under(Operator { policy, ..Operator::default() }).await;
    let (status, problem) = world.try_job(&["terraformPlan"]).await;
    assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(keys(&problem["problems"]), ["EPHEMERAL_CPU_LIMIT"], "{problem:#}");
    assert!(!problem.to_string().contains("713300m"), "{problem:#}");
    let explanation = world.get(&format!("/v1/workspaces/{}/explanation", world.workspace)).await;
    assert_eq!(keys(&explanation["refused"]), ["EPHEMERAL_CPU_LIMIT"]);
    assert!(!explanation.to_string().contains("713300m"), "{explanation:#}");
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

#[tokio::test]
async fn sensitive_value_is_neither_in_the_explanation_nor_in_the_kubernetes_job() {
    let world = World::under(Operator {
        policy: "[default]\nallow = ['EPHEMERAL_CONFIG_INIT_CONTAINERS']\n",
        ..Operator::default()
    })
    .await;
    for (key, value) in [
        ("EPHEMERAL_CONFIG_ANNOTATIONS", "token=hunter2"),
        (
            "EPHEMERAL_CONFIG_INIT_CONTAINERS",
            r#"[{"name":"a","image":"b","args":["--token=hunter3","hunter4"]}]"#,
        ),
        ("EPHEMERAL_CONFIG_DEADLINE", "713300"),
        ("EPHEMERAL_CPU_LIMIT", "713133m"),
    ] {
        let body = json!({ "key": key, "value": value, "category": "ENV", "sensitive": true });
        let (status, answer) = world.post(&world.variables(), body).await;
        assert_eq!(status, StatusCode::CREATED, "{answer:#}");
    }
    let explanation = world.get(&format!("/v1/workspaces/{}/explanation", world.workspace)).await;
    let fields = explanation["fields"].as_array().unwrap();
    let limit = fields.iter().find(|field| field["path"].as_str().unwrap().ends_with("limits.cpu")).unwrap();
    assert_eq!(limit["value"], "(sensitive)");
    assert_eq!(explanation["job"]["spec"]["activeDeadlineSeconds"], "(sensitive)");
    assert_eq!(explanation["job"]["spec"]["backoffLimit"], 0);

    let job = world.job(&["terraformPlan"]).await;
    world.submitted(&format!("job-{job}-100-1")).await;
    // The Kubernetes Job keeps the values that it was created with.
    let set = world.get(&world.variables()).await;
    for variable in set["items"].as_array().unwrap() {
        world.delete(&format!("{}/{}", world.variables(), variable["id"].as_str().unwrap())).await;
    }
    let attempt = world.read(job).await["steps"][0]["attempts"][0]["id"].as_str().unwrap().to_owned();
    let answer =
        world.request("GET", &format!("/v1/attempts/{attempt}/kubernetes-job")).send().await.unwrap();
    let yaml = answer.text().await.unwrap();
    assert!(yaml.contains("(sensitive)"), "{yaml}");
    for shown in [explanation.to_string(), yaml] {
        for secret in ["hunter2", "hunter3", "hunter4", "713300", "713133"] {
            assert!(!shown.contains(secret), "{secret}: {shown}");
        }
    }
}

#[tokio::test]
async fn text_of_the_cluster_that_quotes_a_sensitive_value_is_shown_without_it() {
    let world = World::new().await;
    let annotation = json!({
        "key": "EPHEMERAL_CONFIG_ANNOTATIONS", "value": "token=hunter2", "category": "ENV", "sensitive": true,
    });
    world.create(&world.variables(), annotation).await;
    let job = world.job(&["terraformPlan"]).await;
    let name = format!("job-{job}-100-1");
    world.submitted(&name).await;
    let message = "admission webhook \"names\" denied: annotation token: \"hunter2\"".to_owned();
    world.backend.wait(&name, Waiting::NotCreated { by: Refuser::Admission, message: message.clone() });
    let denied = |job: &Value| job["message"].as_str().is_some_and(|text| text.contains("(sensitive)"));
    let waiting = world.wait_for(job, "a message", denied).await;
    world.backend.finish(&name, Cause::NotStarted { message });
    let is_ended = |job: &Value| !job["steps"][0]["attempts"][0]["causeDetail"].is_null();
    let ended = world.wait_for(job, "a cause", is_ended).await;
    for shown in [waiting.to_string(), ended.to_string()] {
        assert!(shown.contains(": \\\"(sensitive)\\\""), "{shown}");
        assert!(!shown.contains("hunter2"), "{shown}");
    }
}

#[tokio::test]
async fn sensitive_variable_that_hides_a_part_of_an_earlier_problem_is_set() {
    let mut world = World::new().await;
    world.variable("EPHEMERAL_CPU_LIMIT", "4").await;
    let policy = "[default.maximum]\ncpu = \"3\"\n";
    world.start_again_under(Operator { policy, ..Operator::default() }).await;
    let body = json!({ "key": "WORD", "value": "maximum", "category": "ENV", "sensitive": true });
    let (status, answer) = world.post(&world.variables(), body).await;
    assert_eq!(status, StatusCode::CREATED, "{answer:#}");
    assert_eq!(keys(&answer["warnings"]), ["EPHEMERAL_CPU_LIMIT"]);
}

#[tokio::test]
async fn hint_does_not_show_a_sensitive_value_in_another_spelling() {
    let world = World::new().await;
    for (key, value, shown) in [
        ("EPHEMERAL_MEMORY_LIMIT", "712345mb", "712345M"),
        ("EPHEMERAL_CONFIG_DEADLINE", "71234d", "1709616h"),
    ] {
        let body = json!({ "key": key, "value": value, "category": "ENV", "sensitive": true });
        let (status, problem) = world.post(&world.variables(), body).await;
        assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY, "{problem:#}");
        assert!(!problem.to_string().contains(shown), "{problem:#}");
    }
}

#[tokio::test]
async fn sensitive_value_that_is_too_short_to_be_hidden_is_refused() {
    let world = World::new().await;
    for (value, sensitive, expected) in [
        ("12345", true, StatusCode::UNPROCESSABLE_ENTITY),
        ("t r u e", true, StatusCode::UNPROCESSABLE_ENTITY),
        (r#"["ab", "cd"]"#, true, StatusCode::UNPROCESSABLE_ENTITY),
        ("12345", false, StatusCode::CREATED),
        ("123456", true, StatusCode::CREATED),
        ("", true, StatusCode::CREATED),
    ] {
        for path in [world.variables(), world.globals()] {
            let body =
                json!({ "key": "PIN", "value": value, "category": "TERRAFORM", "sensitive": sensitive });
            let (status, answer) = world.post(&path, body).await;
            assert_eq!(status, expected, "{value:?}: {answer:#}");
            if status == StatusCode::CREATED {
                world.delete(&format!("{path}/{}", answer["id"].as_str().unwrap())).await;
            } else {
                let problem = &answer["problems"][0];
                assert_eq!(problem["key"], "value", "{answer:#}");
                assert!(
                    problem["expected"].as_str().unwrap().starts_with("at least 6 characters"),
                    "{answer:#}"
                );
                assert!(!answer.to_string().contains(value), "{answer:#}");
            }
        }
    }
}

#[tokio::test]
async fn problem_of_a_large_value_is_short() {
    let world = World::new().await;
    for value in ["x".repeat(1_000_000), format!("a:{}", "x".repeat(1_000_000)), distinct_items()] {
        let (status, problem) =
            world.try_variable(&world.variables(), "EPHEMERAL_CONFIG_TOLERATIONS", &value).await;
        assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY);
        assert!(problem.to_string().len() < 100_000, "{} bytes", problem.to_string().len());
    }
}

fn distinct_items() -> String {
    (0..50_000).map(|number| format!("a{number}:Exsts")).collect::<Vec<_>>().join(";")
}

#[tokio::test]
async fn line_break_in_a_value_does_not_break_a_line_of_the_problem() {
    let world = World::new().await;
    let value = "a:b\r\n2026-01-01 ERROR forged";
    let (status, problem) =
        world.try_variable(&world.variables(), "EPHEMERAL_CONFIG_TOLERATIONS", value).await;
    assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY, "{problem:#}");
    assert_eq!(problem["detail"].as_str().unwrap().lines().count(), 1, "{problem:#}");
    let (status, _) = world.try_variable(&world.variables(), "A\nB", "1").await;
    assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY);
}

#[tokio::test]
async fn variables_that_a_step_cannot_run_with_are_refused_with_the_reason() {
    let world = World::new().await;
    for (key, value, found) in [
        ("TF_CLI_ARGS", "-help", json!("-help")),
        ("TF_CLI_ARGS_plan", "-parallelism=3 -out=x", json!("-out")),
        ("TF_CLI_ARGS_apply", "-destroy", json!("-destroy")),
        ("TF_WORKSPACE", "dev", json!("dev")),
        ("TF_DATA_DIR", "/data", Value::Null),
        ("TF_HTTP_ADDRESS", "http://elsewhere", Value::Null),
        ("GIT_DIR", "/x", Value::Null),
        ("LD_PRELOAD", "/x.so", Value::Null),
    ] {
        for path in [world.variables(), world.globals()] {
            let (status, problem) = world.try_variable(&path, key, value).await;
            assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY, "{key}: {problem:#}");
            assert_eq!(keys(&problem["problems"]), [key]);
            assert_eq!(problem["problems"][0]["found"], found);
            assert!(problem["problems"][0]["hint"].is_string(), "{problem:#}");
        }
    }
    for (key, value) in [
        ("TF_CLI_ARGS_plan", "-parallelism=3 -lock=false"),
        ("PATH", "/opt/tools"),
        ("TF_LOG", "debug"),
        ("TF_WORKSPACE", "default"),
        ("TF_INPUT", "0"),
    ] {
        world.variable(key, value).await;
    }
}

#[tokio::test]
async fn payload_says_which_input_variables_are_expressions() {
    let world = World::new().await;
    let input =
        |key: &str, hcl: bool| json!({ "key": key, "value": "0042", "category": "TERRAFORM", "hcl": hcl });
    for (path, key, hcl) in [
        (world.variables(), "text", false),
        (world.variables(), "list", true),
        (world.globals(), "list", false),
        (world.globals(), "text", true),
        (world.globals(), "of_all", true),
    ] {
        world.post(&path, input(key, hcl)).await;
    }
    let job = world.job(&["terraformPlan"]).await;
    let name = format!("job-{job}-100-1");
    world.submitted(&name).await;
    let submitted = world.backend.job(&name).unwrap();
    let env = submitted.spec.unwrap().template.spec.unwrap().containers[0].env.clone().unwrap();
    let data = env.iter().find(|entry| entry.name == "EphemeralJobData").unwrap().value.clone().unwrap();
    let payload = job_spec::EphemeralJobData::decode(&data).unwrap();
    assert_eq!(payload.hcl_variables.unwrap().into_iter().collect::<Vec<_>>(), ["list", "of_all"]);
}
