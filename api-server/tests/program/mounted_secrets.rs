//! Encryption key and admin token in files outside of the data folder, as a pod mounts them from a Secret.

use std::{fs, path::Path, process::Command};

use reqwest::{Method, StatusCode};

use super::support::Server;

/// 32 bytes in base64.
const KEY: &str = "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=";

fn options(folder: &Path) -> [String; 2] {
    ["encryption-key", "admin-token"]
        .map(|name| format!("--{name}-file={}", folder.join("secrets").join(name).display()))
}

#[tokio::test]
async fn uses_mounted_secrets_and_creates_none_in_the_data_folder() {
    let folder = tempfile::tempdir().unwrap();
    let token = "a token of sixteen or more";
    fs::create_dir(folder.path().join("secrets")).unwrap();
    fs::write(folder.path().join("secrets/encryption-key"), KEY).unwrap();
    fs::write(folder.path().join("secrets/admin-token"), token).unwrap();
    let options = options(folder.path());
    let server = Server::start_with(folder, token, &options.each_ref().map(String::as_str));
    assert_eq!(server.get("/v1/organizations").await["items"], serde_json::json!([]));
    let stranger =
        server.anonymous(Method::GET, "/v1/organizations").bearer_auth("another token of that length");
    assert_eq!(stranger.send().await.unwrap().status(), StatusCode::UNAUTHORIZED);
    for name in ["encryption-key", "admin-token"] {
        assert!(!server.data().join(name).exists(), "{name}");
    }
}

#[test]
fn fails_if_mounted_secrets_are_missing() {
    let folder = tempfile::tempdir().unwrap();
    for option in options(folder.path()) {
        let output = Command::new(env!("CARGO_BIN_EXE_api-server"))
            .args(["serve", "--listen=127.0.0.1:0", "--backend=kubernetes", &option, "--data-dir"])
            .arg(folder.path().join("data"))
            .output()
            .unwrap();
        let text = String::from_utf8(output.stderr).unwrap();
        assert!(
            !output.status.success() && text.contains("secrets/") && text.contains("No such file"),
            "{text}"
        );
        assert!(!folder.path().join("secrets").exists());
    }
}
