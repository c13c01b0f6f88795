//! Terraform's `http` backend: versions, locks and the fence.

use reqwest::StatusCode;
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

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
async fn nothing_acknowledged_is_lost_while_the_blob_store_is_away() {
    let world = World::new().await;
    let first = r#"{"version":4,"serial":1,"lineage":"l","resources":[]}"#;
    let second = r#"{"version":4,"serial":2,"lineage":"l","resources":[]}"#;
    assert_eq!(world.state("POST", "", first).await.0, StatusCode::OK);
    world.take_blobs_away(true);
    let (refused, answer) = world.state("POST", "", second).await;
    assert!(refused.is_server_error(), "{refused} {answer}");
    let (unread, answer) = world.state("GET", "", "").await;
    assert!(
        unread.is_server_error(),
        "an empty state would make terraform create everything again: {answer}"
    );
    world.take_blobs_away(false);
    assert_eq!(world.state("GET", "", "").await, (StatusCode::OK, first.to_owned()));
    assert_eq!(world.state("POST", "", second).await.0, StatusCode::OK);
    assert_eq!(world.state("GET", "", "").await, (StatusCode::OK, second.to_owned()));
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

/// A state with this serial, lineage and content.
fn document(serial: u32, lineage: &str, content: &str) -> String {
    json!({ "version": 4, "serial": serial, "lineage": lineage, "resources": [], "outputs": { "a": content } })
        .to_string()
}

#[tokio::test]
async fn state_must_follow_the_current_one_unless_an_administrator_forces_it() {
    let world = World::new().await;
    assert_eq!(world.state("POST", "", &document(5, "l", "first")).await.0, StatusCode::OK);
    let job = world.job(&["terraformApply"]).await;
    let executor = world.executor(&format!("job-{job}-100-1")).await;
    executor.claim("e").await;
    let refused = [
        (document(4, "l", "x"), ["serial 4", "has 5"]),
        (document(6, "m", "x"), [r#"lineage "m""#, r#"has "l""#]),
        (document(5, "l", "x"), ["serial 5", "other content of another writer"]),
    ];
    for (state, expected) in refused {
        let (status, answer) = executor.send("POST", "state", state.clone().into_bytes()).await;
        assert_eq!(status, StatusCode::CONFLICT, "{answer}");
        let detail = answer["detail"].as_str().unwrap();
        assert!(expected.iter().all(|text| detail.contains(text)), "{detail}");
        let forced = executor.send("POST", "state?force=true", state.into_bytes()).await;
        assert_eq!(forced.0, StatusCode::FORBIDDEN, "executors cannot force");
    }
    assert_eq!(state_as(&executor, "POST", "", &document(5, "l", "first")).await, StatusCode::OK, "the same");
    assert_eq!(state_as(&executor, "POST", "", &document(6, "l", "x")).await, StatusCode::OK);
    let again = state_as(&executor, "POST", "", &document(6, "l", "y")).await;
    assert_eq!(again, StatusCode::OK, "the writer of the current version may replace it");
    let (status, answer) = world.state("POST", "", &document(1, "m", "z")).await;
    assert_eq!(status, StatusCode::CONFLICT, "{answer}");
    assert_eq!(world.state("POST", "?force=true", &document(1, "m", "z")).await.0, StatusCode::OK);
    assert_eq!(world.state("GET", "", "").await.1, document(1, "m", "z"));
}

#[tokio::test]
async fn refuses_what_is_no_state() {
    let world = World::new().await;
    for body in ["{}", r#"{"version":3,"serial":1,"lineage":"l"}"#, r#"{"version":4,"serial":1}"#, "[", ""] {
        let (status, answer) = world.state("POST", "", body).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{body}: {answer}");
    }
    let encrypted =
        r#"{"serial":1,"lineage":"l","meta":{},"encrypted_data":"AA==","encryption_version":"v0"}"#;
    assert_eq!(world.state("POST", "", encrypted).await.0, StatusCode::OK);
    assert_eq!(world.blobs("states"), 1, "what was refused is not kept");
}

#[tokio::test]
async fn every_version_of_a_state_is_kept_and_can_be_restored() {
    let world = World::new().await;
    for serial in 1..=3 {
        world.state("POST", "", &document(serial, "l", &format!("content {serial}"))).await;
    }
    let path = format!("/v1/workspaces/{}/states", world.workspace);
    let listed = world.get(&path).await;
    let items = listed["items"].as_array().unwrap();
    let serials: Vec<_> = items.iter().map(|item| item["serial"].as_i64().unwrap()).collect();
    assert_eq!(serials, [3, 2, 1]);
    assert_eq!((&items[0]["writtenBy"], &items[0]["attemptId"]), (&json!("admin"), &json!(null)));
    assert_eq!(items[0]["size"], document(3, "l", "content 3").len());
    let older = world.get(&format!("{path}?before={}", items[1]["id"])).await;
    assert_eq!(older["items"].as_array().unwrap().len(), 1);

    let first = items[2]["id"].as_i64().unwrap();
    assert_eq!(world.get(&format!("{path}/{first}")).await["outputs"]["a"], "content 1");
    let (status, restored) = world.post(&format!("{path}/{first}/restore"), json!(null)).await;
    assert_eq!((status, &restored["serial"]), (StatusCode::OK, &json!(4)), "{restored}");
    // Byte for byte, but for the serial.
    assert_eq!(world.state("GET", "", "").await.1, document(4, "l", "content 1"));
    assert_eq!(world.get(&path).await["items"].as_array().unwrap().len(), 4, "nothing is lost");
    assert_eq!(world.post(&format!("{path}/999/restore"), json!(null)).await.0, StatusCode::NOT_FOUND);

    world.state("LOCK", "", r#"{"ID":"held"}"#).await;
    let (status, _) = world.post(&format!("{path}/{first}/restore"), json!(null)).await;
    assert_eq!(status, StatusCode::LOCKED);
}

#[tokio::test]
async fn rescued_state_is_kept_beside_the_attempt_whatever_it_is() {
    let world = World::new().await;
    let job = world.job(&["terraformApply"]).await;
    let executor = world.executor(&format!("job-{job}-100-1")).await;
    executor.claim("e").await;
    let path = format!("/v1/attempts/{}/rescued-state", executor.id());
    assert_eq!(world.request("GET", &path).send().await.unwrap().status(), StatusCode::NOT_FOUND);
    let stored = executor.send("PUT", "rescued-state", b"half a state".to_vec()).await;
    assert_eq!(stored.0, StatusCode::NO_CONTENT);
    let seen = world.read(job).await;
    assert_eq!(seen["steps"][0]["attempts"][0]["hasRescuedState"], true);
    let read = world.request("GET", &path).send().await.unwrap();
    assert_eq!(read.bytes().await.unwrap(), "half a state");
    assert_eq!(world.state("GET", "", "").await.0, StatusCode::NO_CONTENT, "it is no version");
}

#[tokio::test]
async fn refuses_large_upload_before_it_arrives() {
    let world = World::new().await;
    let job = world.job(&["terraformPlan"]).await;
    let executor = world.executor(&format!("job-{job}-100-1")).await;
    executor.claim("e").await;
    let address = executor.url.strip_prefix("http://").unwrap();
    let (host, path) = address.split_at(address.find('/').unwrap());
    let mut connection = tokio::net::TcpStream::connect(host).await.unwrap();
    let head = format!(
        "PUT {path}/plan HTTP/1.1\r\nhost: {host}\r\nauthorization: Bearer {}\r\n\
         content-length: 268435457\r\n\r\n",
        executor.session()
    );
    connection.write_all(head.as_bytes()).await.unwrap();
    let mut answer = [0; 12];
    connection.read_exact(&mut answer).await.unwrap();
    assert_eq!(&answer, b"HTTP/1.1 413");
}
