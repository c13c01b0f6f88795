//! Logs: what a reader knows at their end.

use reqwest::StatusCode;
use serde_json::{Value, json};

use super::support::{Executor, World};

/// Reports the result of a step together with what of the log was delivered.
async fn report(executor: &Executor, bytes: u64, complete: Option<bool>) {
    let mut body = json!({
        "outcome": "completed", "hasChanges": false, "message": null, "commitId": null, "timings": [],
        "logBytes": bytes, "memory": {"peakBytes": 7, "limitBytes": 9},
    });
    if let Some(complete) = complete {
        body["logComplete"] = json!(complete);
    }
    let (status, answer) = executor.send("POST", "result", body.to_string().into_bytes()).await;
    assert_eq!(status, StatusCode::NO_CONTENT, "{answer}");
}

/// Returns the status and the text of a log.
async fn read(world: &World, attempt: &str) -> (String, String) {
    let response = world.request("GET", &format!("/v1/attempts/{attempt}/log")).send().await.unwrap();
    let status = response.headers()["log-status"].to_str().unwrap().to_owned();
    (status, response.text().await.unwrap())
}

/// Follows a log to its end and returns the last event.
async fn last_event(world: &World, attempt: &str) -> Value {
    let response = world.request("GET", &format!("/v1/attempts/{attempt}/log/stream")).send().await.unwrap();
    let text = response.text().await.unwrap();
    let last = text.split("event: end").nth(1).unwrap();
    serde_json::from_str(last.lines().find_map(|line| line.strip_prefix("data: ")).unwrap()).unwrap()
}

#[tokio::test]
async fn reader_knows_whether_it_has_the_whole_log() {
    let world = World::new().await;
    for (bytes, complete, expected) in [
        (6, Some(true), "complete"),
        (6, None, "complete"),
        (9, Some(true), "incomplete"),
        (6, Some(false), "incomplete"),
    ] {
        let job = world.job(&["terraformPlan"]).await;
        let executor = world.executor(&format!("job-{job}-100-1")).await;
        executor.claim("e").await;
        executor.send("POST", "log?offset=0", b"hello\n".to_vec()).await;
        let attempt = executor.id().to_owned();
        assert_eq!(read(&world, &attempt).await, ("growing".to_owned(), "hello\n".to_owned()));
        report(&executor, bytes, complete).await;
        let job = world.wait_for(job, "its end", |job| !job["endedAt"].is_null()).await;
        assert_eq!(read(&world, &attempt).await, (expected.to_owned(), "hello\n".to_owned()));
        assert_eq!(last_event(&world, &attempt).await, json!({ "offset": 6, "status": expected }));
        let memory = &job["steps"][0]["attempts"][0]["memory"];
        assert_eq!(*memory, json!({ "peakBytes": 7, "limitBytes": 9 }));
    }
}

#[tokio::test]
async fn log_without_a_report_has_an_unknown_end() {
    let world = World::new().await;
    let job = world.job(&["terraformPlan"]).await;
    let name = format!("job-{job}-100-1");
    let executor = world.executor(&name).await;
    executor.claim("e").await;
    executor.send("POST", "log?offset=0", b"hello\n".to_vec()).await;
    world.backend.finish(&name, k8s_backend::Cause::OutOfMemory { limit: None, exit_code: 137 });
    world.wait_for_status(job, "failed").await;
    let attempt = executor.id().to_owned();
    assert_eq!(read(&world, &attempt).await, ("unknown".to_owned(), "hello\n".to_owned()));
    assert_eq!(last_event(&world, &attempt).await, json!({ "offset": 6, "status": "unknown" }));
    let (status, _) = executor.send("POST", "log?offset=6", b"late\n".to_vec()).await;
    assert_eq!(status, StatusCode::GONE);
}
