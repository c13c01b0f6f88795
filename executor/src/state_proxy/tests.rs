//! The address of the state, with a small api-server behind it.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use axum::{Router, http::StatusCode};
use reqwest::Client;

use super::*;
use crate::api::Api;

/// Starts a server that answers like this, and an address in front of it.
async fn proxy(
    answer: impl Fn(usize, &Method) -> StatusCode + Clone + Send + Sync + 'static,
    stop: &Stop,
    timeouts: Timeouts,
) -> (StateProxy, tempfile::TempDir) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let url = format!("http://{}/attempt", listener.local_addr().unwrap());
    let count = Arc::new(AtomicUsize::new(0));
    let app = Router::new().fallback(move |request: Request| {
        let (count, answer) = (Arc::clone(&count), answer.clone());
        async move {
            let right = request.uri().path() == "/attempt/state"
                && request.headers()[header::AUTHORIZATION] == "Bearer session";
            let status = answer(count.fetch_add(1, Ordering::SeqCst), request.method());
            if right { (status, "from the server") } else { (StatusCode::UNAUTHORIZED, "") }
        }
    });
    tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
    let folder = tempfile::tempdir().unwrap();
    let pushes = Pushes::new(folder.path().join("kept"));
    let api = Api::new(&url, "session".into(), None).unwrap();
    (StateProxy::start(api, stop.clone(), timeouts, Some(pushes)).await.unwrap(), folder)
}

fn client() -> Client {
    // The address needs no certificates.
    Client::builder().tls_certs_only([]).build().unwrap()
}

#[tokio::test]
async fn repeats_requests_until_the_server_answers() {
    let stop = Stop::default();
    let answer = |count, _: &Method| {
        if count < 3 { StatusCode::BAD_GATEWAY } else { StatusCode::OK }
    };
    let (proxy, folder) = proxy(answer, &stop, Timeouts::default()).await;
    let answered = client().post(format!("{}?ID=1", proxy.url())).body("a state").send().await.unwrap();
    assert_eq!(answered.status(), 200);
    assert_eq!(answered.text().await.unwrap(), "from the server");
    assert_eq!(proxy.close().await, LastPush::Stored(StateDigest::new(b"a state")));
    assert!(!folder.path().join("kept").exists());
}

#[tokio::test]
async fn state_that_the_server_refuses_is_not_forgotten() {
    let stop = Stop::default();
    let refuse = |_, method: &Method| {
        if *method == Method::POST { StatusCode::CONFLICT } else { StatusCode::OK }
    };
    let (proxy, folder) = proxy(refuse, &stop, Timeouts::default()).await;
    let client = client();
    let answered = client.post(proxy.url()).body("a state").send().await.unwrap();
    assert_eq!(answered.status(), 409);
    // Reading does not change what is known about the last write.
    assert_eq!(client.get(proxy.url()).send().await.unwrap().status(), 200);
    assert_eq!(proxy.close().await, LastPush::NotStored("a state".into()));
    assert_eq!(std::fs::read_to_string(folder.path().join("kept")).unwrap(), "a state");
    assert!(client.get(proxy.url()).send().await.is_err());
}

#[tokio::test]
async fn request_fails_soon_after_a_stop_request_and_410_stops_the_step() {
    let stop = Stop::default();
    let timeouts =
        Timeouts { lost_contact_after_stop: std::time::Duration::from_millis(50), ..Timeouts::default() };
    let away = |_, _: &Method| StatusCode::SERVICE_UNAVAILABLE;
    let (first, _folder) = proxy(away, &stop, timeouts).await;
    stop.request();
    let answered = client().post(first.url()).body("a state").send().await.unwrap();
    assert_eq!(answered.status(), 504);
    assert_eq!(first.close().await, LastPush::NotStored("a state".into()));

    let stop = Stop::default();
    let (second, _folder) = proxy(|_, _: &Method| StatusCode::GONE, &stop, timeouts).await;
    assert_eq!(client().get(second.url()).send().await.unwrap().status(), 410);
    assert!(stop.is_fenced());
}

#[tokio::test]
async fn lock_information_is_bounded_and_other_paths_are_not_found() {
    let stop = Stop::default();
    let (proxy, _folder) = proxy(|_, _: &Method| StatusCode::OK, &stop, Timeouts::default()).await;
    let lock = Method::from_bytes(b"LOCK").unwrap();
    let client = client();
    let send = async |url: String, bytes: usize| {
        let request = client.request(lock.clone(), url).body("x".repeat(bytes));
        request.send().await.unwrap().status().as_u16()
    };
    assert_eq!(send(proxy.url().to_owned(), MAX_LOCK_BYTES).await, 200);
    assert_eq!(send(proxy.url().to_owned(), MAX_LOCK_BYTES + 1).await, 413);
    assert_eq!(send(format!("{}/x", proxy.url()), 1).await, 404);
}
