//! Clients without a token cost nothing: the token comes before the body, and heads must arrive in time.

use std::time::Duration;

use api_server::connections::Limits;
use reqwest::StatusCode;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

use super::support::{Operator, TOKEN, World};

const HALF_A_HEAD: &[u8] = b"GET /v1/organizations HTTP/1.1\r\nhost: a\r\nauthorization: Bea";

async fn world(limits: Limits) -> World {
    World::under(Operator { limits, ..Operator::default() }).await
}

async fn send(world: &World, bytes: &[u8]) -> TcpStream {
    let mut connection = world.connect().await;
    connection.write_all(bytes).await.unwrap();
    connection
}

/// Reads until the server closes the connection.
async fn answer(mut connection: TcpStream) -> String {
    let mut bytes = Vec::new();
    let read = tokio::time::timeout(Duration::from_secs(20), connection.read_to_end(&mut bytes));
    // A connection that is closed while it receives may be reset.
    let _ = read.await.expect("the server closes the connection");
    String::from_utf8(bytes).unwrap()
}

#[tokio::test]
async fn token_is_checked_before_a_byte_of_the_body() {
    let world = World::new().await;
    let id = uuid::Uuid::nil();
    let requests = [
        "POST /v1/organizations".to_owned(),
        format!("POST /v1/workspaces/{id}/variables"),
        format!("POST /state/v1/workspaces/{id}"),
        format!("LOCK /state/v1/workspaces/{id}"),
        format!("POST /executor/v1/attempts/{id}/claim"),
        format!("POST /executor/v1/attempts/{id}/log?offset=0"),
        format!("PUT /executor/v1/attempts/{id}/plan"),
        format!("POST /executor/v1/attempts/{id}/state"),
        format!("PUT /executor/v1/attempts/{id}/rescued-state"),
        format!("POST /executor/v1/attempts/{id}/result"),
    ];
    for request in requests {
        for token in ["", "authorization: Bearer nonsense\r\n"] {
            let head = format!("{request} HTTP/1.1\r\nhost: a\r\n{token}content-length: 250000000\r\n\r\n");
            // The body is never sent, so an answer proves that the server did not wait for it.
            let answer = answer(send(&world, head.as_bytes()).await).await;
            assert!(answer.starts_with("HTTP/1.1 401"), "{request}: {answer}");
        }
    }
}

#[tokio::test]
async fn connection_without_a_complete_head_is_closed() {
    let world = world(Limits { head: Duration::from_millis(100), ..Limits::default() }).await;
    for begin in [&b""[..], HALF_A_HEAD] {
        assert_eq!(answer(send(&world, begin).await).await, "");
    }
}

#[tokio::test]
async fn oldest_unproven_connection_makes_room_for_another() {
    let world = world(Limits { unproven: 2, ..Limits::default() }).await;
    // A client with a token keeps its connection, however many come later.
    let head = format!("GET /v1/organizations HTTP/1.1\r\nhost: a\r\nauthorization: Bearer {TOKEN}\r\n\r\n");
    let mut proven = send(&world, head.as_bytes()).await;
    let mut begin = [0; 12];
    proven.read_exact(&mut begin).await.unwrap();
    assert_eq!(&begin, b"HTTP/1.1 200");

    let first = send(&world, HALF_A_HEAD).await;
    let mut waiting = Vec::new();
    for _ in 0..20 {
        waiting.push(send(&world, HALF_A_HEAD).await);
    }
    assert_eq!(answer(first).await, "");
    let found = world.request("GET", "/v1/organizations").send().await.unwrap();
    assert_eq!(found.status(), StatusCode::OK);
    proven
        .write_all(head.replace("HTTP/1.1\r\n", "HTTP/1.1\r\nconnection: close\r\n").as_bytes())
        .await
        .unwrap();
    assert!(answer(proven).await.contains("HTTP/1.1 200"));
}

#[tokio::test]
async fn head_that_is_too_large_is_refused() {
    let world = World::new().await;
    let head = format!("GET /v1/organizations HTTP/1.1\r\nhost: a\r\nx: {}\r\n\r\n", "x".repeat(400_000));
    let mut connection = world.connect().await;
    // The server may close the connection before it has read everything.
    let _ = connection.write_all(head.as_bytes()).await;
    let answer = answer(connection).await;
    assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 431"), "{answer}");
}

#[tokio::test]
async fn bodies_have_a_limit_for_each_route() {
    let world = World::new().await;
    let job = world.job(&["terraformPlan"]).await;
    let executor = world.executor(&format!("job-{job}-100-1")).await;
    let large = || vec![b' '; 2 * 1024 * 1024];
    let claim = executor.send_with(&executor.token, "POST", "claim", large()).await;
    assert_eq!(claim.0, StatusCode::PAYLOAD_TOO_LARGE, "{}", claim.1);
    executor.claim("e").await;
    for path in ["log?offset=0", "result"] {
        assert_eq!(executor.send("POST", path, large()).await.0, StatusCode::PAYLOAD_TOO_LARGE, "{path}");
    }
    assert_eq!(executor.send("LOCK", "state", large()).await.0, StatusCode::PAYLOAD_TOO_LARGE);
    let request = world.request("POST", "/v1/organizations").header("content-type", "application/json");
    assert_eq!(request.body(large()).send().await.unwrap().status(), StatusCode::PAYLOAD_TOO_LARGE);
}

#[tokio::test]
async fn texts_of_executors_are_bounded_and_a_report_is_never_lost_for_its_length() {
    let world = World::new().await;
    let job = world.job(&["terraformPlan"]).await;
    let executor = world.executor(&format!("job-{job}-100-1")).await;
    assert_eq!(executor.claim(&"x".repeat(129)).await.0, StatusCode::UNPROCESSABLE_ENTITY);
    executor.claim("e").await;
    let result = serde_json::json!({
        "outcome": "failed", "hasChanges": null, "message": "ü".repeat(5000), "commitId": null,
        "timings": [], "logBytes": 0,
    });
    let sent = || executor.send("POST", "result", result.to_string().into_bytes());
    assert_eq!(sent().await.0, StatusCode::NO_CONTENT);
    assert_eq!(sent().await.0, StatusCode::NO_CONTENT, "the same again");
    let failed = world.wait_for_status(job, "failed").await;
    assert_eq!(failed["message"].as_str().unwrap(), "ü".repeat(4096));
}
