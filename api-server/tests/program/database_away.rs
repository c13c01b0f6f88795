//! The database goes away and comes back: requests are refused meanwhile, and nothing acknowledged is lost.

use std::{os::unix::fs::symlink, path::Path, process::Command};

use reqwest::{Client, Method, StatusCode};
use serde_json::{Value, json};

use super::{
    postgres::new_database,
    support::{launch, path_variable},
};

/// Name of the socket of a PostgreSQL server.
const SOCKET: &str = ".s.PGSQL.5432";

async fn send(base: &str, token: &str, method: Method, path: &str, body: &Value) -> (StatusCode, Value) {
    let request = Client::new().request(method, format!("{base}{path}")).bearer_auth(token).json(body);
    let response = request.send().await.unwrap();
    let status = response.status();
    (status, response.json().await.unwrap_or_default())
}

/// Ends all connections to a database, as its restart does.
fn end_connections(database: &str) {
    let query = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND \
                 pid <> pg_backend_pid()";
    let mut command = Command::new("psql");
    let ended =
        command.arg(database).args(["--command", query]).env("PATH", path_variable()).output().unwrap();
    assert!(ended.status.success(), "{}", String::from_utf8_lossy(&ended.stderr));
}

#[tokio::test]
async fn database_that_comes_back_has_everything_that_was_acknowledged() {
    let Some(database) = new_database() else { return };
    let _ = rustls::crypto::ring::default_provider().install_default();
    let folder = tempfile::tempdir().unwrap();
    // The server finds the database by a link, which the test can remove.
    let (address, real) = database.split_once("?host=").unwrap();
    let link = folder.path().join(SOCKET);
    symlink(Path::new(real).join(SOCKET), &link).unwrap();
    let own = format!("{address}?host={}", folder.path().display());
    let (_program, base) = launch(folder.path(), "127.0.0.1:0", &[], &[("API_SERVER_DATABASE", &own)]);
    let token = std::fs::read_to_string(folder.path().join("data/admin-token")).unwrap();
    let create = |name: &str| {
        let body = json!({ "name": name });
        let (base, token) = (base.clone(), token.clone());
        async move { send(&base, &token, Method::POST, "/v1/organizations", &body).await.0 }
    };
    assert_eq!(create("before").await, StatusCode::CREATED);

    std::fs::remove_file(&link).unwrap();
    end_connections(&database);
    let (status, problem) =
        send(&base, &token, Method::POST, "/v1/organizations", &json!({ "name": "x" })).await;
    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE, "{problem:#}");
    assert_eq!(problem["detail"], "the store is unavailable; try again");
    let ready = Client::new().get(format!("{base}/readyz")).send().await.unwrap();
    assert_eq!(ready.status(), StatusCode::SERVICE_UNAVAILABLE);

    symlink(Path::new(real).join(SOCKET), &link).unwrap();
    assert_eq!(create("after").await, StatusCode::CREATED);
    let (_, listed) = send(&base, &token, Method::GET, "/v1/organizations", &Value::Null).await;
    let names: Vec<_> = listed["items"].as_array().unwrap().iter().map(|item| item["name"].clone()).collect();
    assert_eq!(names, ["before", "after"]);
}
