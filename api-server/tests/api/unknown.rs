//! Unknown outcomes: the evidence names what no state shows, and users resolve them.

use k8s_backend::Cause;
use reqwest::StatusCode;
use serde_json::{Value, json};

use super::support::{Executor, World};

const LOG: &str = "aws_sqs_queue.kept: Creating...\n\
                   aws_sqs_queue.kept: Creation complete after 25s [id=https://sqs/kept]\n\
                   \u{1b}[1mmodule.m[\"a\"].aws_sqs_queue.lost: Creating...\u{1b}[0m\n\
                   module.m[\"a\"].aws_sqs_queue.lost: Creation complete after 25s [id=https://sqs/lost]\n\
                   aws_sqs_queue.begun: Creating...\n";

fn name(job: i64) -> String {
    format!("job-{job}-100-1")
}

fn state(serial: u32) -> Vec<u8> {
    json!({
        "version": 4, "serial": serial, "lineage": "lineage-1", "outputs": {},
        "resources": [{ "mode": "managed", "type": "aws_sqs_queue", "name": "kept",
            "provider": "provider[\"registry.terraform.io/hashicorp/aws\"]",
            "instances": [{ "schema_version": 0, "attributes": { "id": "https://sqs/kept" } }] }],
    })
    .to_string()
    .into_bytes()
}

/// A job whose apply has locked and saved the state once, and whose pod is then gone.
async fn unknown(world: &World) -> (i64, Executor) {
    let job = world.job(&["terraformApply"]).await;
    let executor = world.executor(&name(job)).await;
    executor.claim("e").await;
    let lock = json!({ "ID": "lock-1", "Operation": "OperationTypeApply", "Who": "executor@pod" });
    let (status, _) = executor.send("LOCK", "state", lock.to_string().into_bytes()).await;
    assert_eq!(status, StatusCode::OK);
    let (status, answer) = executor.send("POST", "state?ID=lock-1", state(1)).await;
    assert_eq!(status, StatusCode::OK, "{answer}");
    executor.send("POST", "log?offset=0", LOG.as_bytes().to_vec()).await;
    world.backend.finish(&name(job), Cause::NodeLost { message: "node gone".to_owned() });
    world.wait_for_status(job, "unknown").await;
    (job, executor)
}

#[tokio::test]
async fn evidence_names_what_the_last_state_does_not_show() {
    let world = World::new().await;
    let (job, _executor) = unknown(&world).await;
    let evidence = world.get(&format!("/v1/jobs/{job}/evidence")).await;
    assert_eq!(evidence["state"]["before"], Value::Null, "{evidence:#}");
    assert_eq!(evidence["state"]["after"]["serial"], 1);
    assert_eq!(evidence["state"]["after"]["lineage"], "lineage-1");
    assert_eq!(evidence["lock"]["ID"], "lock-1");
    assert!(evidence["cause"].as_str().unwrap().contains("node gone"));
    assert_eq!(evidence["host"], "test");
    assert_eq!(evidence["changes"], 3);
    let missing: Vec<_> =
        evidence["missing"].as_array().unwrap().iter().map(|it| it["address"].as_str().unwrap()).collect();
    assert_eq!(missing, ["module.m[\"a\"].aws_sqs_queue.lost", "aws_sqs_queue.begun"]);
    let blocks = evidence["importBlocks"].as_str().unwrap();
    let expected = "import {\n  to = module.m[\"a\"].aws_sqs_queue.lost\n  id = \"https://sqs/lost\"\n}\n";
    assert!(blocks.starts_with(expected), "{blocks}");
    let lines = evidence["lastLogLines"].as_array().unwrap();
    assert_eq!(lines.last().unwrap(), "aws_sqs_queue.begun: Creating...");
    assert_eq!(evidence["choices"].as_array().unwrap().len(), 3);
    let steps: Vec<_> =
        evidence["nextSteps"].as_array().unwrap().iter().map(|step| step.as_str().unwrap()).collect();
    assert_eq!(steps.len(), 3, "{steps:#?}");
    assert!(steps[0].contains("add the import blocks") && steps[1].contains("/recheck"), "{steps:#?}");
    assert!(steps[2].contains(&format!("POST /v1/jobs/{job}/accept")), "{steps:#?}");
}

#[tokio::test]
async fn job_behind_an_unknown_one_says_what_frees_it() {
    let world = World::new().await;
    let (job, _executor) = unknown(&world).await;
    let next = world.job(&["terraformApply"]).await;
    let waiting = world.wait_for(next, "a message", |job| job["message"].is_string()).await;
    let message = waiting["message"].as_str().unwrap();
    assert!(message.contains(&format!("waiting for job {job}, whose outcome is unknown")), "{message}");
    assert!(message.contains("recheck it by a plan, accept it or abandon it"), "{message}");
}

#[tokio::test]
async fn recheck_plans_beside_the_unknown_job_and_acceptance_frees_the_workspace() {
    let world = World::new().await;
    let (job, _executor) = unknown(&world).await;
    let waiting = world.job(&["terraformApply"]).await;
    let (status, recheck) =
        world.post(&format!("/v1/jobs/{job}/recheck"), json!({ "note": "node 7 is gone" })).await;
    assert_eq!(status, StatusCode::CREATED, "{recheck}");
    assert_eq!(recheck["recheckOf"], job);
    let recheck = recheck["id"].as_i64().unwrap();
    // The plan can take the lock that the lost executor has left behind.
    let executor = world.executor(&name(recheck)).await;
    executor.claim("r").await;
    let lock = json!({ "ID": "lock-2" }).to_string().into_bytes();
    assert_eq!(executor.send("LOCK", "state", lock.clone()).await.0, StatusCode::OK);
    assert_eq!(executor.send("UNLOCK", "state", lock).await.0, StatusCode::OK);
    executor.report("completed", Some(false)).await;
    world.wait_for_status(recheck, "noChanges").await;
    assert_eq!(world.read(job).await["status"], "unknown", "a user decides, not the plan");
    assert_eq!(world.read(waiting).await["status"], "pending");

    let (status, accepted) = world.post(&format!("/v1/jobs/{job}/accept"), json!({})).await;
    assert_eq!((status, &accepted["status"]), (StatusCode::OK, &json!("completed")), "{accepted}");
    assert!(accepted["message"].as_str().unwrap().starts_with("accepted by \"admin\""), "{accepted}");
    world.executor(&name(waiting)).await;
    let evidence = world.get(&format!("/v1/jobs/{job}/evidence")).await;
    let decided: Vec<_> = evidence["resolutions"]
        .as_array()
        .unwrap()
        .iter()
        .map(|it| (it["action"].as_str().unwrap(), it["decidedBy"].as_str().unwrap(), it["note"].as_str()))
        .collect();
    assert_eq!(decided, [("recheck", "admin", Some("node 7 is gone")), ("accept", "admin", None)]);
    let (status, again) = world.post(&format!("/v1/jobs/{job}/abandon"), json!({})).await;
    assert_eq!(status, StatusCode::CONFLICT, "{again}");
}

#[tokio::test]
async fn abandoned_job_has_failed_and_its_executor_is_fenced() {
    let world = World::new().await;
    let (job, executor) = unknown(&world).await;
    let (_, abandoned) = world.post(&format!("/v1/jobs/{job}/abandon"), json!({})).await;
    assert_eq!(abandoned["status"], "failed", "{abandoned}");
    assert_eq!(executor.send("POST", "state?ID=lock-1", state(2)).await.0, StatusCode::GONE);
}

#[tokio::test]
async fn only_unknown_outcomes_are_resolved() {
    let world = World::new().await;
    let job = world.job(&["terraformPlan"]).await;
    for action in ["recheck", "accept", "abandon"] {
        let (status, answer) = world.post(&format!("/v1/jobs/{job}/{action}"), json!({})).await;
        assert_eq!(status, StatusCode::CONFLICT, "{answer}");
    }
}

#[tokio::test]
async fn user_confirms_the_end_of_an_executor_that_is_silent() {
    let world = World::new().await;
    let job = world.job(&["terraformApply"]).await;
    let executor = world.executor(&name(job)).await;
    let path = format!("/v1/attempts/{}/confirm-end", executor.id());
    assert_eq!(world.post(&path, json!({})).await.0, StatusCode::CONFLICT, "no executor has claimed it");
    executor.claim("e").await;
    assert_eq!(world.post(&path, json!({})).await.0, StatusCode::NO_CONTENT);
    let seen = world.wait_for_status(job, "unknown").await;
    assert!(seen["message"].as_str().unwrap().contains("user \"admin\" has confirmed"), "{seen:#}");
}
