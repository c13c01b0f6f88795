//! Answers that do not come from the api-server, or not from this version of it.

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpListener,
};

use super::{Api, LogSink as _, error::ErrorKind};
use crate::error_chain::chain;

/// Starts a server that gives the same answer to every request, and returns the client of it.
async fn server(answer: &'static str) -> (Api, String) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/attempts/a", listener.local_addr().unwrap());
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            // The requests of these tests fit into one read.
            let _ = stream.read(&mut [0; 4096]).await.unwrap();
            stream.write_all(answer.as_bytes()).await.unwrap();
        }
    });
    (Api::new(&url, "token".into(), None).unwrap(), url)
}

const HTML_200: &str = "HTTP/1.1 200 OK\r\ncontent-type: text/html; charset=utf-8\r\n\
                        connection: close\r\n\r\n<html><title>Sign in</title></html>";
const HTML_404: &str =
    "HTTP/1.1 404 Not Found\r\ncontent-type: TEXT/HTML\r\nconnection: close\r\n\r\nnot here";
const REDIRECT: &str = "HTTP/1.1 302 Found\r\nlocation: https://login.example.com/?next=secret\r\n\
                        content-length: 0\r\nconnection: close\r\n\r\n";
const PROBLEM: &str = "HTTP/1.1 410 Gone\r\ncontent-type: application/problem+json\r\n\
                       connection: close\r\n\r\n{\"title\":\"Gone\",\"status\":410,\"detail\":\"the attempt \
                       is over\"}";
const OTHER_JSON: &str = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nconnection: close\r\n\r\n{}";

#[tokio::test]
async fn html_page_of_a_proxy_is_no_answer_whatever_its_status() {
    let (api, url) = server(HTML_200).await;
    let error = api.upload_plan(b"plan".to_vec()).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Unavailable);
    assert_eq!(
        chain(&error),
        format!(
            "could not upload the plan file at {url}/plan: the answer (200 OK) is an HTML page \
             titled \"Sign in\", so it does not come from the api-server; \
             check the address, and proxies and ingresses in front of the api-server"
        )
    );
    // A page must not be applied as a plan, nor count as a stored log.
    assert_eq!(api.download_plan().await.unwrap_err().kind, ErrorKind::Unavailable);
    assert_eq!(api.append(0, b"x".to_vec()).await.unwrap_err().kind, ErrorKind::Unavailable);
    let (api, _) = server(HTML_404).await;
    assert_eq!(api.download_plan().await.unwrap_err().kind, ErrorKind::Unavailable);
}

#[tokio::test]
async fn redirect_is_refused_and_named_without_its_query() {
    let (api, _) = server(REDIRECT).await;
    let error = api.download_plan().await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Refused);
    let message = chain(&error);
    assert!(message.contains("redirects to \"https://login.example.com/\""), "{message}");
}

#[tokio::test]
async fn problem_details_are_shown_as_a_sentence() {
    let (api, url) = server(PROBLEM).await;
    let error = api.append(0, b"x".to_vec()).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Closed);
    assert_eq!(
        chain(&error),
        format!(
            "could not store the log at {url}/log: the api-server answered 410 Gone: the attempt is over"
        )
    );
}

#[tokio::test]
async fn json_of_another_message_is_unavailable() {
    let (api, _) = server(OTHER_JSON).await;
    let error = api.append(0, b"x".to_vec()).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Unavailable);
    assert!(chain(&error).contains("missing field `offset`"), "{}", chain(&error));
}

#[tokio::test]
async fn refused_connection_names_the_address() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/attempts/a", listener.local_addr().unwrap());
    drop(listener);
    let error = Api::new(&url, "token".into(), None).unwrap().download_plan().await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Unavailable);
    assert!(
        chain(&error).starts_with(&format!("could not download the plan file at {url}/plan: ")),
        "{error}"
    );
}

#[test]
fn debug_shows_no_token() {
    let api = Api::new("http://127.0.0.1:1", "attempt-token".into(), None).unwrap();
    assert!(!format!("{api:?}").contains("attempt-token"));
}
