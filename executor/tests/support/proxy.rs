//! A proxy on the loopback interface. It connects every host to the loopback interface, so that tests can use
//! names of other hosts, which are not excluded from proxies.

use std::sync::{Arc, Mutex};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _, copy_bidirectional},
    net::{TcpListener, TcpStream},
};

/// The name of the certificates that `tls_in_front` makes, besides those of the loopback interface.
pub(crate) const HOST: &str = "services.example";

/// What the proxy does with a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Answer {
    /// Connects who has the password, and asks others for it.
    Connect,
    /// Answers with 407.
    Refuse,
    /// Closes the connection.
    Hang,
}

pub(crate) struct Proxy {
    /// With user name and password.
    pub(crate) url: String,
    /// As messages show it.
    pub(crate) shown: String,
    /// The first line of each request, and whether it had the password.
    requests: Arc<Mutex<Vec<(String, bool)>>>,
}

impl Proxy {
    pub(crate) async fn start(answer: Answer) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let requests = Arc::<Mutex<Vec<_>>>::default();
        let seen = Arc::clone(&requests);
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                tokio::spawn(serve(stream, answer, Arc::clone(&seen)));
            }
        });
        Self { url: format!("http://user:hunter2@{address}"), shown: format!("http://{address}"), requests }
    }

    pub(crate) fn requests(&self) -> Vec<(String, bool)> {
        self.requests.lock().unwrap().clone()
    }
}

async fn serve(mut client: TcpStream, answer: Answer, requests: Arc<Mutex<Vec<(String, bool)>>>) {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let Ok(byte) = client.read_u8().await else { return };
        head.push(byte);
    }
    let text = String::from_utf8_lossy(&head).into_owned();
    let line = text.lines().next().unwrap_or_default().to_owned();
    let credential = format!("Basic {}", STANDARD.encode("user:hunter2"));
    requests.lock().unwrap().push((line.clone(), text.contains(&credential)));
    match answer {
        Answer::Hang => return,
        Answer::Refuse => {
            let refusal = b"HTTP/1.1 407 Proxy Authentication Required\r\ncontent-length: 0\r\n\r\n";
            let _ = client.write_all(refusal).await;
            return;
        }
        Answer::Connect if !text.contains(&credential) => {
            let challenge = b"HTTP/1.1 407 Proxy Authentication Required\r\nproxy-authenticate: Basic \
                              realm=\"proxy\"\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
            let _ = client.write_all(challenge).await;
            return;
        }
        Answer::Connect => {}
    }
    let target = line.split(' ').nth(1).unwrap_or_default();
    let authority = target.strip_prefix("http://").unwrap_or(target).split('/').next().unwrap_or_default();
    let port: u16 = authority.rsplit(':').next().unwrap_or_default().parse().unwrap();
    let mut server = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
    if line.starts_with("CONNECT ") {
        client.write_all(b"HTTP/1.1 200 Connection established\r\n\r\n").await.unwrap();
    } else {
        server.write_all(&head).await.unwrap();
    }
    let _ = copy_bidirectional(&mut client, &mut server).await;
}
