//! The server at a TCP address, for tests of tokens, timeouts and broken connections.

use std::{io, net::SocketAddr};

use http_body::Body as _;
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use tokio::{net::TcpListener, task::JoinSet};

use super::{ApiServer, response::Bytes};

/// A server that listens; dropping it closes the address and every connection.
#[derive(Debug)]
pub struct Listening {
    address: SocketAddr,
    _tasks: JoinSet<()>,
}

impl Listening {
    /// Returns the address.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Returns the URL for the configuration of a client.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }
}

impl ApiServer {
    /// Listens on a free port of this machine, without encryption.
    ///
    /// # Errors
    /// If there is no free port.
    pub async fn listen(&self) -> io::Result<Listening> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let address = listener.local_addr()?;
        let server = self.clone();
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            let mut connections = JoinSet::new();
            loop {
                tokio::select! {
                    accepted = listener.accept() => {
                        // After a failure the client connects again.
                        if let Ok((stream, _)) = accepted {
                            connections.spawn(server.clone().serve(TokioIo::new(stream)));
                        }
                    }
                    Some(_) = connections.join_next() => {}
                }
            }
        });
        Ok(Listening { address, _tasks: tasks })
    }

    async fn serve(self, stream: TokioIo<tokio::net::TcpStream>) {
        let service = service_fn(move |request: hyper::Request<Incoming>| {
            let server = self.clone();
            async move {
                let (head, body) = request.into_parts();
                let body = read(body).await?;
                server.receive(&head, &body).await.map_err(io::Error::other)
            }
        });
        // The client sees a broken connection too.
        let _ = http1::Builder::new().serve_connection(stream, service).await;
    }
}

async fn read(body: Incoming) -> io::Result<Vec<u8>> {
    let mut body = std::pin::pin!(body);
    let mut bytes = Vec::new();
    while let Some(frame) = std::future::poll_fn(|context| body.as_mut().poll_frame(context)).await {
        if let Ok(data) = frame.map_err(io::Error::other)?.into_data() {
            let data: Bytes = data;
            bytes.extend_from_slice(&data);
        }
    }
    Ok(bytes)
}
