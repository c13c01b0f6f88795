//! What a plan step leaves behind: its parts by their content, and the approval that it belongs to.

use api_server::token::digest_hex as digest;
use reqwest::StatusCode;
use serde_json::{Value, json};

use super::support::{Executor, World};

fn part(content: &[u8]) -> Value {
    json!({ "digest": digest(content), "size": content.len() })
}

fn bundle(source: &[u8], files: Option<&[u8]>) -> Value {
    let mut bundle =
        json!({ "version": 1, "source": { "key": "git:abc", "commit": "abc", "part": part(source) } });
    if let Some(files) = files {
        bundle["files"] = part(files);
    }
    bundle
}

async fn put_part(executor: &Executor, content: &[u8]) -> StatusCode {
    let path = format!("part?digest={}&key=git:abc", digest(content));
    executor.send("PUT", &path, content.to_vec()).await.0
}

async fn put_bundle(executor: &Executor, bundle: &Value) -> (StatusCode, Value) {
    executor.send("PUT", "bundle", bundle.to_string().into_bytes()).await
}

/// Runs a plan step with this bundle, whose source is `source`.
async fn plan(world: &World, name: &str, bundle: &Value) {
    let plan = world.executor(name).await;
    plan.claim("plan").await;
    put_part(&plan, b"source").await;
    let (status, stored) = put_bundle(&plan, bundle).await;
    assert_eq!((status, &stored["missing"]), (StatusCode::OK, &json!([])), "{stored}");
    plan.send("PUT", "plan", b"the plan".to_vec()).await;
    plan.report("completed", Some(true)).await;
}

async fn get(executor: &Executor, path: &str) -> (StatusCode, Vec<u8>) {
    let request = reqwest::Client::new().get(format!("{}/{path}", executor.url));
    let answer = request.bearer_auth(executor.session()).send().await.unwrap();
    (answer.status(), answer.bytes().await.unwrap().to_vec())
}

#[tokio::test]
async fn bundle_is_stored_with_its_parts_and_approved_with_the_plan() {
    let world = World::new().await;
    let job = world.job(&["terraformPlan", "approval", "terraformApply"]).await;
    let plan = world.executor(&format!("job-{job}-100-1")).await;
    plan.claim("plan").await;
    assert_eq!(plan.send("GET", "source?key=git:abc", Vec::new()).await.0, StatusCode::NOT_FOUND);
    let bundle = bundle(b"source", Some(b"files"));
    let (_, answer) = put_bundle(&plan, &bundle).await;
    let mut missing = [digest(b"source"), digest(b"files")];
    missing.sort();
    assert_eq!(answer["missing"], json!(missing));
    assert_eq!(world.blobs("bundles"), 0);
    for content in [b"source".as_slice(), b"files"] {
        assert_eq!(put_part(&plan, content).await, StatusCode::NO_CONTENT);
        // The same content again needs no space.
        assert_eq!(put_part(&plan, content).await, StatusCode::NO_CONTENT);
    }
    assert_eq!(world.blobs("parts"), 2);
    let text = bundle.to_string().into_bytes();
    let (_, answer) = put_bundle(&plan, &bundle).await;
    assert_eq!(answer, json!({ "digest": digest(&text), "missing": [] }));
    plan.send("PUT", "plan", b"the plan".to_vec()).await;
    plan.report("completed", Some(true)).await;
    world.wait_for_status(job, "waitingApproval").await;
    assert_eq!(put_bundle(&plan, &bundle).await.0, StatusCode::GONE, "the attempt has reported");
    assert_eq!(world.read(job).await["steps"][1]["bundleDigest"], digest(&text));
    world.post(&format!("/v1/jobs/{job}/approve"), json!(null)).await;
    assert_eq!(world.read(job).await["steps"][1]["answer"]["bundleDigest"], digest(&text));

    let apply = world.executor(&format!("job-{job}-300-1")).await;
    let (_, claim) = apply.claim("apply").await;
    assert_eq!(claim["plan"]["bundle"], digest(&text));
    assert_eq!(get(&apply, "bundle").await, (StatusCode::OK, text));
    let path = format!("part?digest={}", digest(b"files"));
    assert_eq!(get(&apply, &path).await, (StatusCode::OK, b"files".to_vec()));
    let (_, source) = apply.send("GET", "source?key=git:abc", Vec::new()).await;
    assert!(source == part(b"source") || source == part(b"files"), "{source}");
}

#[tokio::test]
async fn plan_whose_bundle_was_not_approved_is_not_applied() {
    let world = World::new().await;
    let job = world.job(&["terraformPlan", "approval", "terraformPlan", "terraformApply"]).await;
    plan(&world, &format!("job-{job}-100-1"), &bundle(b"source", None)).await;
    world.wait_for_status(job, "waitingApproval").await;
    world.post(&format!("/v1/jobs/{job}/approve"), json!(null)).await;
    // The same plan file, with another bundle.
    let mut other = bundle(b"source", None);
    other["deleted"] = json!(["main.tf"]);
    plan(&world, &format!("job-{job}-300-1"), &other).await;
    let apply = world.executor(&format!("job-{job}-400-1")).await;
    assert_eq!(apply.claim("apply").await.0, StatusCode::GONE);
    let message = world.wait_for_status(job, "failed").await["message"].to_string();
    assert!(message.contains("the bundle of the plan of this job has digest"), "{message}");
}

#[tokio::test]
async fn invalid_bundles_and_parts_are_refused() {
    let world = World::new().await;
    let job = world.job(&["terraformPlan"]).await;
    let plan = world.executor(&format!("job-{job}-100-1")).await;
    plan.claim("plan").await;
    let path = format!("part?digest={}", digest(b"other"));
    let (status, problem) = plan.send("PUT", &path, b"content".to_vec()).await;
    assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(problem["detail"].as_str().unwrap().contains("the content has digest"), "{problem}");
    assert_eq!(world.blobs("parts"), 0);
    for path in ["part?digest=../../store.sqlite", "part?digest=", "part"] {
        let status = plan.send("PUT", path, b"content".to_vec()).await.0;
        assert!(status.is_client_error(), "{path}: {status}");
    }
    let long = format!("part?digest={}&key={}", digest(b"content"), "k".repeat(200));
    assert_eq!(plan.send("PUT", &long, b"content".to_vec()).await.0, StatusCode::UNPROCESSABLE_ENTITY);
    for body in ["{}", "[]", "no JSON", r#"{"version":9,"source":{"key":"k"}}"#] {
        let status = plan.send("PUT", "bundle", body.as_bytes().to_vec()).await.0;
        assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY, "{body}");
    }
    let large = json!({ "version": 1, "source": { "key": "k" }, "deleted": ["x".repeat(1024 * 1024)] });
    assert_eq!(put_bundle(&plan, &large).await.0, StatusCode::PAYLOAD_TOO_LARGE);
}

#[tokio::test]
async fn parts_belong_to_their_workspace() {
    let mut world = World::new().await;
    let job = world.job(&["terraformPlan"]).await;
    let first = world.executor(&format!("job-{job}-100-1")).await;
    first.claim("first").await;
    assert_eq!(put_part(&first, b"source").await, StatusCode::NO_CONTENT);
    let organization = world.organization.clone();
    world.workspace = world.another_workspace(&organization, "other").await;
    let job = world.job(&["terraformPlan"]).await;
    let second = world.executor(&format!("job-{job}-100-1")).await;
    second.claim("second").await;
    let path = format!("part?digest={}", digest(b"source"));
    assert_eq!(get(&second, &path).await.0, StatusCode::NOT_FOUND);
    assert_eq!(second.send("GET", "source?key=git:abc", Vec::new()).await.0, StatusCode::NOT_FOUND);
    let (_, answer) = put_bundle(&second, &bundle(b"source", None)).await;
    assert_eq!(answer["missing"], json!([digest(b"source")]));
}
