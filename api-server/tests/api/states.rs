//! Terraform's `http` backend: versions, locks and the fence.

use reqwest::StatusCode;
use serde_json::json;

use super::support::{Executor, World};

impl World {
    async fn state(&self, method: &str, query: &str, body: &str) -> (StatusCode, String) {
        let path = format!("/state/v1/workspaces/{}{query}", self.workspace);
        let response = self.request(method, &path).body(body.to_owned()).send().await.unwrap();
        (response.status(), response.text().await.unwrap())
    }
}

#[tokio::test]
async fn reads_latest_state_byte_for_byte() {
    let world = World::new().await;
    assert_eq!(world.state("GET", "", "").await.0, StatusCode::NO_CONTENT);
    let first = r#"{"version":4,"serial":1,"lineage":"l","resources":[]}"#;
    let second = r#"{"version":4,"serial":2,"lineage":"l",  "resources":[ ]}"#;
    assert_eq!(world.state("POST", "", first).await.0, StatusCode::OK);
    assert_eq!(world.state("POST", "", second).await.0, StatusCode::OK);
    assert_eq!(world.state("GET", "", "").await, (StatusCode::OK, second.to_owned()));
    assert_eq!(world.state("POST", "", "not a state").await.0, StatusCode::BAD_REQUEST);
    assert_eq!(world.state("GET", "", "").await.1, second);
    assert_eq!(world.state("DELETE", "", "").await.0, StatusCode::METHOD_NOT_ALLOWED);
}

#[tokio::test]
async fn lock_rejects_other_writers_with_the_information_of_the_holder() {
    let world = World::new().await;
    let (mine, other) = (r#"{"ID":"one","Who":"me@laptop"}"#, r#"{"ID":"two"}"#);
    assert_eq!(world.state("LOCK", "", mine).await.0, StatusCode::OK);
    assert_eq!(world.state("LOCK", "", mine).await.0, StatusCode::OK, "the holder may repeat the request");
    assert_eq!(world.state("LOCK", "", other).await, (StatusCode::LOCKED, mine.to_owned()));
    let state = r#"{"version":4,"serial":1,"lineage":"l"}"#;
    assert_eq!(world.state("POST", "", state).await.0, StatusCode::LOCKED);
    assert_eq!(world.state("POST", "?ID=two", state).await.0, StatusCode::LOCKED);
    assert_eq!(world.state("POST", "?ID=one", state).await.0, StatusCode::OK);
    assert_eq!(world.state("UNLOCK", "", other).await.0, StatusCode::LOCKED);
    assert_eq!(world.state("UNLOCK", "", mine).await.0, StatusCode::OK);
    assert_eq!(world.state("UNLOCK", "", mine).await.0, StatusCode::OK, "unlocking twice is no error");
    assert_eq!(world.state("LOCK", "", other).await.0, StatusCode::OK);
    assert_eq!(world.state("LOCK", "", "nonsense").await.0, StatusCode::BAD_REQUEST);
}

/// Sends a request about the state of the attempt's workspace.
async fn state_as(executor: &Executor, method: &str, query: &str, body: &str) -> StatusCode {
    executor.send(method, &format!("state{query}"), body.as_bytes().to_vec()).await.0
}

#[tokio::test]
async fn accepts_states_of_live_attempts_only() {
    let world = World::new().await;
    let job = world.job(&["terraformApply"]).await;
    let executor = world.executor(&format!("job-{job}-100-1")).await;
    let (lock, state) = (r#"{"ID":"run"}"#, r#"{"version":4,"serial":1,"lineage":"l"}"#);
    assert_eq!(state_as(&executor, "POST", "", state).await, StatusCode::FORBIDDEN, "not claimed yet");
    executor.claim("e").await;
    assert_eq!(state_as(&executor, "LOCK", "", lock).await, StatusCode::OK);
    assert_eq!(state_as(&executor, "POST", "?ID=run", state).await, StatusCode::OK);
    // It holds the lock, so it may write without the id, as it does in place of a terraform that failed to.
    assert_eq!(state_as(&executor, "POST", "", state).await, StatusCode::OK);
    executor.report("completed", None).await;
    world.wait_for_status(job, "completed").await;
    assert_eq!(state_as(&executor, "POST", "?ID=run", state).await, StatusCode::GONE);
    assert_eq!(state_as(&executor, "LOCK", "", lock).await, StatusCode::GONE);
    // The lock that the executor left was released.
    assert_eq!(world.state("LOCK", "", r#"{"ID":"user"}"#).await.0, StatusCode::OK);
}

#[tokio::test]
async fn credentials_of_an_attempt_are_no_credentials_of_a_workspace() {
    let world = World::new().await;
    let job = world.job(&["terraformApply"]).await;
    let executor = world.executor(&format!("job-{job}-100-1")).await;
    executor.claim("e").await;
    let base = executor.url.split("/executor/").next().unwrap();
    let address = format!("{base}/state/v1/workspaces/{}", world.workspace);
    for token in [&executor.token, executor.session()] {
        let request = || reqwest::Client::new().get(&address);
        for request in [request().bearer_auth(token), request().basic_auth(executor.id(), Some(token))] {
            assert_eq!(request.send().await.unwrap().status(), StatusCode::UNAUTHORIZED);
        }
    }
}

#[tokio::test]
async fn lock_id_is_shown_to_its_holder_and_to_users_only() {
    let world = World::new().await;
    let job = world.job(&["terraformPlan"]).await;
    let executor = world.executor(&format!("job-{job}-100-1")).await;
    executor.claim("e").await;
    let of_user = json!({ "ID": "of-a-user", "Who": "me@laptop", "Operation": "apply" }).to_string();
    assert_eq!(world.state("LOCK", "", &of_user).await.0, StatusCode::OK);
    let (status, seen) = executor.send("LOCK", "state", br#"{"ID":"of-the-run"}"#.to_vec()).await;
    assert_eq!((status, &seen["Who"]), (StatusCode::LOCKED, &json!("me@laptop")));
    assert!(!seen.to_string().contains("of-a-user"), "{seen}");
    assert_eq!(world.state("LOCK", "", r#"{"ID":"two"}"#).await, (StatusCode::LOCKED, of_user.clone()));
    assert_eq!(world.state("UNLOCK", "", &of_user).await.0, StatusCode::OK);
    let mine = br#"{"ID":"of-the-run"}"#.to_vec();
    assert_eq!(executor.send("LOCK", "state", mine).await.0, StatusCode::OK);
    let (status, seen) = executor.send("LOCK", "state", br#"{"ID":"again"}"#.to_vec()).await;
    assert_eq!((status, &seen["ID"]), (StatusCode::LOCKED, &json!("of-the-run")));
}

#[tokio::test]
async fn plan_step_cannot_write_the_state() {
    let world = World::new().await;
    let job = world.job(&["terraformPlan"]).await;
    let executor = world.executor(&format!("job-{job}-100-1")).await;
    executor.claim("e").await;
    let state = r#"{"version":4,"serial":1,"lineage":"l"}"#;
    assert_eq!(state_as(&executor, "LOCK", "", r#"{"ID":"run"}"#).await, StatusCode::OK);
    assert_eq!(state_as(&executor, "POST", "?ID=run", state).await, StatusCode::FORBIDDEN);
    let rescued = executor.send("PUT", "rescued-state", state.as_bytes().to_vec()).await;
    assert_eq!(rescued.0, StatusCode::FORBIDDEN);
    assert_eq!(state_as(&executor, "UNLOCK", "", r#"{"ID":"run"}"#).await, StatusCode::OK);
    assert_eq!(world.state("GET", "", "").await.0, StatusCode::NO_CONTENT);
}
