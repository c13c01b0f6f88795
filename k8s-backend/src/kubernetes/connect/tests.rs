//! A real client over a real connection, against the API server in memory.

use std::{
    fs,
    sync::atomic::{AtomicU32, Ordering},
};

use k8s_openapi::api::batch::v1::Job;
use kube::{
    Api,
    api::{ListParams, PostParams},
};

use super::*;
use crate::testing::{ApiServer, Fault, ResponseFault};

fn config(url: &str) -> Config {
    Config::new(url.parse().unwrap())
}

async fn list(client: &Client) -> kube::Result<usize> {
    let jobs: Api<Job> = Api::namespaced(client.clone(), "terrakube");
    Ok(jobs.list(&ListParams::default()).await?.items.len())
}

#[tokio::test]
async fn reads_replaced_token_again() {
    let server = ApiServer::new("terrakube");
    let listening = server.listen().await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let token = folder.path().join("token");
    fs::write(&token, "first").unwrap();
    server.accept_only_token("first");
    let mut config = config(&listening.url());
    config.auth_info.token_file = Some(token.to_str().unwrap().to_owned());
    let client = client(config, &KubeOptions::new()).unwrap();
    assert_eq!(list(&client).await.unwrap(), 0);

    server.accept_only_token("second");
    fs::write(&token, "second").unwrap();
    assert_eq!(list(&client).await.unwrap(), 0);

    // A token that stays wrong is an error, not a reason for endless retries.
    server.accept_only_token("third");
    let kube::Error::Api(status) = list(&client).await.unwrap_err() else {
        unreachable!("the server responded")
    };
    assert_eq!(status.code, 401);
}

#[tokio::test]
async fn retries_busy_server_after_retry_after() {
    let server = ApiServer::new("terrakube");
    let listening = server.listen().await.unwrap();
    let client = client(config(&listening.url()), &KubeOptions::new()).unwrap();
    let requests = Arc::new(AtomicU32::new(0));
    let count = Arc::clone(&requests);
    server.inject_faults(move |_| {
        let times = count.fetch_add(1, Ordering::Relaxed);
        if times == 0 { Fault::refused(429) } else { Fault::default() }
    });
    let started = Instant::now();
    assert_eq!(list(&client).await.unwrap(), 0);
    assert_eq!(requests.load(Ordering::Relaxed), 2);
    assert!(started.elapsed() >= Duration::from_secs(1), "Retry-After was 1");
}

#[tokio::test]
async fn refused_creation_is_an_error_at_once() {
    let server = ApiServer::new("terrakube");
    let listening = server.listen().await.unwrap();
    let client = client(config(&listening.url()), &KubeOptions::new()).unwrap();
    let requests = Arc::new(AtomicU32::new(0));
    let count = Arc::clone(&requests);
    server.inject_faults(move |_| {
        count.fetch_add(1, Ordering::Relaxed);
        Fault::refused(429)
    });
    let jobs: Api<Job> = Api::namespaced(client, "terrakube");
    let kube::Error::Api(status) = jobs.create(&PostParams::default(), &Job::default()).await.unwrap_err()
    else {
        unreachable!("the server responded")
    };
    assert_eq!((status.code, requests.load(Ordering::Relaxed)), (429, 1));
}

#[tokio::test(start_paused = true)]
async fn request_to_silent_server_times_out() {
    let response = within_head(Duration::from_secs(30), std::future::pending()).await;
    assert_eq!(response.unwrap_err().to_string(), "no response within 30 s");
}

#[tokio::test(start_paused = true)]
async fn long_retry_after_is_cut() {
    let mut busy = Response::new(Body::empty());
    busy.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("7200"));
    let response = within_head(Duration::from_secs(30), async { Ok(busy) }).await.unwrap();
    assert_eq!(response.headers()[header::RETRY_AFTER], "30");
}

#[tokio::test]
async fn broken_connection_is_an_error() {
    let server = ApiServer::new("terrakube");
    let listening = server.listen().await.unwrap();
    let client = client(config(&listening.url()), &KubeOptions::new()).unwrap();
    server.inject_faults(|_| Fault::new().response(ResponseFault::ConnectionReset));
    let error = list(&client).await.unwrap_err();
    assert!(!matches!(error, kube::Error::Api(_)), "{error:?}");
    server.clear_faults();
    assert_eq!(list(&client).await.unwrap(), 0);
}
