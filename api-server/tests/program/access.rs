//! Authentication, and secrets that are write-only.

use reqwest::{Method, StatusCode};
use serde_json::json;

use super::support::Server;

#[tokio::test]
async fn requires_a_token_for_all_but_health() {
    let server = Server::start();
    let id = "00000000-0000-0000-0000-000000000000";
    let closed = [
        ("GET", "/v1/organizations".to_owned()),
        ("POST", "/v1/organizations".to_owned()),
        ("GET", format!("/v1/organizations/{id}/workspaces")),
        ("POST", format!("/v1/organizations/{id}/templates")),
        ("GET", format!("/v1/workspaces/{id}")),
        ("GET", format!("/v1/workspaces/{id}/variables")),
        ("DELETE", format!("/v1/workspaces/{id}/variables/{id}")),
        ("GET", format!("/v1/organizations/{id}/variables")),
        ("POST", format!("/v1/organizations/{id}/variables")),
        ("DELETE", format!("/v1/organizations/{id}/variables/{id}")),
        ("GET", format!("/v1/organizations/{id}/collections")),
        ("POST", format!("/v1/organizations/{id}/collections")),
        ("DELETE", format!("/v1/organizations/{id}/collections/{id}")),
        ("GET", format!("/v1/organizations/{id}/collections/{id}/variables")),
        ("POST", format!("/v1/organizations/{id}/collections/{id}/variables")),
        ("DELETE", format!("/v1/organizations/{id}/collections/{id}/variables/{id}")),
        ("GET", format!("/v1/workspaces/{id}/collections")),
        ("PUT", format!("/v1/workspaces/{id}/collections/{id}")),
        ("DELETE", format!("/v1/workspaces/{id}/collections/{id}")),
        ("POST", format!("/v1/workspaces/{id}/jobs")),
        ("GET", "/v1/jobs/1".to_owned()),
        ("POST", "/v1/jobs/1/approve".to_owned()),
        ("POST", "/v1/jobs/1/reject".to_owned()),
        ("POST", "/v1/jobs/1/cancel".to_owned()),
        ("GET", format!("/v1/attempts/{id}/kubernetes-job")),
        ("GET", format!("/v1/attempts/{id}/log")),
        ("GET", format!("/v1/attempts/{id}/log/stream")),
        ("POST", format!("/executor/v1/attempts/{id}/log?offset=0")),
        ("PUT", format!("/executor/v1/attempts/{id}/plan")),
        ("GET", format!("/executor/v1/attempts/{id}/plan")),
        ("GET", format!("/state/v1/workspaces/{id}")),
        ("POST", format!("/state/v1/workspaces/{id}")),
        ("LOCK", format!("/state/v1/workspaces/{id}")),
        ("UNLOCK", format!("/state/v1/workspaces/{id}")),
    ];
    for (method, path) in closed {
        let method = Method::from_bytes(method.as_bytes()).unwrap();
        for request in [
            server.anonymous(method.clone(), &path),
            server.anonymous(method.clone(), &path).bearer_auth("wrong"),
            server.anonymous(method.clone(), &path).basic_auth(id, Some("wrong")),
        ] {
            let response = request.send().await.unwrap();
            assert_eq!(response.status(), StatusCode::UNAUTHORIZED, "{method} {path}");
            assert_eq!(response.headers()["content-type"], "application/problem+json");
        }
    }
    for path in ["/healthz", "/readyz"] {
        let response = server.anonymous(Method::GET, path).send().await.unwrap();
        assert_eq!(response.status(), StatusCode::NO_CONTENT, "{path}");
    }
}

#[tokio::test]
async fn does_not_show_value_of_sensitive_variable() {
    let server = Server::start();
    let workspace = server.workspace("").await;
    let path = format!("/v1/workspaces/{}/variables", workspace.id);
    let body = json!({ "key": "password", "value": "hunter2", "category": "TERRAFORM", "sensitive": true });
    let created = server.create(&path, body).await;
    assert_eq!(created["value"], serde_json::Value::Null);
    let (status, problem) =
        server.post(&path, json!({ "key": "password", "value": "x", "category": "TERRAFORM" })).await;
    assert_eq!(status, StatusCode::CONFLICT, "{problem}");
    assert!(!server.get(&path).await.to_string().contains("hunter2"));
    let one = format!("{path}/{}", created["id"].as_str().unwrap());
    let deleted = server.request(Method::DELETE, &one).send().await.unwrap();
    assert_eq!(deleted.status(), StatusCode::NO_CONTENT);
    assert_eq!(server.get(&path).await["items"], json!([]));
}

#[tokio::test]
async fn reports_every_invalid_field_at_once() {
    let server = Server::start();
    let organization = server.create("/v1/organizations", json!({ "name": "acme" })).await;
    let path = format!("/v1/organizations/{}/workspaces", organization["id"].as_str().unwrap());
    let body =
        json!({ "name": "", "source": "--upload-pack=x", "folder": "../..", "terraformVersion": "latest" });
    let (status, problem) = server.post(&path, body).await;
    assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY);
    let keys: Vec<_> =
        problem["problems"].as_array().unwrap().iter().map(|problem| problem["key"].clone()).collect();
    assert_eq!(keys, ["name", "source", "folder", "terraformVersion"]);
    let (status, problem) = server.post(&path, json!({ "nmae": "x" })).await;
    assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(problem["detail"].as_str().unwrap().contains("nmae"), "{problem}");
    let (status, _) = server.post("/v1/nothing-here", json!({})).await;
    assert_eq!(status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn second_server_cannot_use_the_data_folder() {
    let server = Server::start();
    let second = std::process::Command::new(env!("CARGO_BIN_EXE_api-server"))
        .args(["serve", "--listen", "127.0.0.1:0", "--data-dir"])
        .arg(server.data())
        .output()
        .unwrap();
    assert!(!second.status.success());
    let error = String::from_utf8_lossy(&second.stderr);
    assert!(error.contains("another api-server uses data folder"), "{error}");
}
