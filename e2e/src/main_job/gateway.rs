//! One address for everything that pods need of this machine: the api-server,
//! and the repository of the configuration.
//!
//! Pods have to reach only this address, and it stays the same when the api-server restarts at another port.
//! The first byte decides: a request of the Git protocol begins with its length in digits,
//! a request of HTTP with a letter.

use std::{
    net::{SocketAddr, TcpListener as StdListener},
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::Context as _;
use tokio::{
    io::copy_bidirectional,
    net::{TcpListener, TcpStream},
    sync::watch,
};

use super::repository;

/// For the first byte of a client.
const FIRST_BYTE_TIMEOUT: Duration = Duration::from_secs(30);

/// The open address.
#[derive(Debug)]
pub(super) struct Gateway {
    address: SocketAddr,
    server: watch::Sender<Option<SocketAddr>>,
}

impl Gateway {
    /// Opens the address. Must be called in a Tokio runtime.
    pub(super) fn open(listen: SocketAddr, repository: PathBuf) -> anyhow::Result<Self> {
        let listener = StdListener::bind(listen).with_context(|| format!("cannot listen on {listen}"))?;
        listener.set_nonblocking(true).context("cannot configure the listener")?;
        let listener = TcpListener::from_std(listener).context("cannot use the listener")?;
        let address = listener.local_addr().context("the listener has no address")?;
        let (server, route) = watch::channel(None);
        tokio::spawn(async move {
            loop {
                let Ok((client, _)) = listener.accept().await else { continue };
                let (server, repository) = (*route.borrow(), repository.clone());
                // A client whose connection fails tries again.
                tokio::spawn(async move { drop(serve(client, server, &repository).await) });
            }
        });
        Ok(Self { address, server })
    }

    /// Returns the address.
    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Routes new connections to an api-server; `None` while it is stopped.
    pub(super) fn route_to(&self, server: Option<SocketAddr>) {
        self.server.send_replace(server);
    }
}

async fn serve(mut client: TcpStream, server: Option<SocketAddr>, repository: &Path) -> anyhow::Result<()> {
    let mut first = [0];
    tokio::time::timeout(FIRST_BYTE_TIMEOUT, client.peek(&mut first)).await??;
    if first[0].is_ascii_digit() {
        let client = client.into_std()?;
        client.set_nonblocking(false)?;
        let repository = repository.to_path_buf();
        return tokio::task::spawn_blocking(move || repository::serve(client, &repository)).await?;
    }
    let mut server = TcpStream::connect(server.context("the api-server is stopped")?).await?;
    copy_bidirectional(&mut client, &mut server).await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use tokio::{
        io::{AsyncReadExt as _, AsyncWriteExt as _},
        process::Command,
    };

    use super::{super::repository::Repository, *};
    use crate::session::Session;

    fn any_port() -> SocketAddr {
        ([127, 0, 0, 1], 0).into()
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn shallow_clone_through_the_gateway_contains_the_configuration() {
        let repository = Repository::create(&Session::new().unwrap()).unwrap();
        let gateway = Gateway::open(any_port(), repository.path()).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let clone = folder.path().join("clone");
        let source = format!("git://{}{}", gateway.address(), repository::PATH);
        let arguments = ["clone", "--quiet", "--depth=1", "--branch=main", &source];
        let output = Command::new("git").args(arguments).arg(&clone).output().await.unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        assert!(clone.join("main.tf").is_file() && clone.join("service/main.tf").is_file());
    }

    async fn request(address: SocketAddr) -> std::io::Result<String> {
        let mut client = TcpStream::connect(address).await?;
        client.write_all(b"GET").await?;
        client.shutdown().await?;
        let mut answer = String::new();
        client.read_to_string(&mut answer).await.map(|_| answer)
    }

    #[tokio::test]
    async fn http_requests_reach_the_current_server() {
        let gateway = Gateway::open(any_port(), PathBuf::from("/nonexistent")).unwrap();
        let answer = request(gateway.address()).await;
        assert!(!matches!(answer, Ok(answer) if !answer.is_empty()), "there is no server yet");
        for name in ["one", "two"] {
            let server = TcpListener::bind(any_port()).await.unwrap();
            gateway.route_to(Some(server.local_addr().unwrap()));
            let answering = tokio::spawn(async move {
                let (mut client, _) = server.accept().await.unwrap();
                let mut request = String::new();
                client.read_to_string(&mut request).await.unwrap();
                client.write_all(format!("{request} {name}").as_bytes()).await.unwrap();
            });
            assert_eq!(request(gateway.address()).await.unwrap(), format!("GET {name}"));
            answering.await.unwrap();
        }
    }
}
