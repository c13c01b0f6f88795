//! One address for all servers that are ready, as a Service of Kubernetes has it, and one for repositories.

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    os::fd::OwnedFd,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::{Arc, Mutex, PoisonError},
};

use anyhow::Context as _;
use tokio::{
    io::copy_bidirectional,
    net::{TcpListener, TcpStream},
    sync::watch,
};

/// The servers that are ready. The connections to one end when its sender is dropped.
type Servers = Arc<Mutex<BTreeMap<SocketAddr, watch::Sender<()>>>>;

/// The open address.
#[derive(Debug)]
pub(super) struct Balancer {
    url: String,
    servers: Servers,
}

impl Balancer {
    /// Opens a free port.
    pub(super) async fn listen() -> anyhow::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.context("there is no free port")?;
        let url = format!("http://{}", listener.local_addr().context("the listener has no address")?);
        let servers = Servers::default();
        let chosen_of = Arc::clone(&servers);
        tokio::spawn(async move {
            for turn in 0.. {
                let Ok((client, _)) = listener.accept().await else { continue };
                let chosen = choose(&chosen_of, turn);
                // A client without a server tries again.
                if let Some((address, until)) = chosen {
                    tokio::spawn(forward(client, address, until));
                }
            }
        });
        Ok(Self { url, servers })
    }

    /// Returns the URL of all servers.
    pub(super) fn url(&self) -> &str {
        &self.url
    }

    /// Sends new connections to a server, or breaks its connections and sends no more.
    pub(super) fn route(&self, server: SocketAddr, is_ready: bool) {
        let mut servers = self.servers.lock().unwrap_or_else(PoisonError::into_inner);
        if is_ready {
            servers.insert(server, watch::Sender::new(()));
        } else {
            servers.remove(&server);
        }
    }
}

fn choose(servers: &Servers, turn: usize) -> Option<(SocketAddr, watch::Receiver<()>)> {
    let servers = servers.lock().unwrap_or_else(PoisonError::into_inner);
    let (address, until) = servers.iter().nth(turn % servers.len().max(1))?;
    Some((*address, until.subscribe()))
}

async fn forward(mut client: TcpStream, address: SocketAddr, mut until: watch::Receiver<()>) {
    let copy = async {
        if let Ok(mut server) = TcpStream::connect(address).await {
            let _ = copy_bidirectional(&mut client, &mut server).await;
        }
    };
    tokio::select! {
        () = copy => {}
        _ = until.changed() => {}
    }
}

/// Serves all repositories below a folder. Returns the address, `git://HOST:PORT`.
pub(super) async fn serve_repositories(root: PathBuf) -> anyhow::Result<String> {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.context("there is no free port")?;
    let address = format!("git://{}", listener.local_addr().context("the listener has no address")?);
    tokio::spawn(async move {
        loop {
            let Ok((client, _)) = listener.accept().await else { continue };
            let root = root.clone();
            // A client whose connection fails tries again.
            tokio::task::spawn_blocking(move || drop(serve(client, &root)));
        }
    });
    Ok(address)
}

fn serve(client: TcpStream, root: &Path) -> anyhow::Result<()> {
    let client = client.into_std()?;
    client.set_nonblocking(false)?;
    let output = OwnedFd::from(client.try_clone()?);
    let mut command = Command::new("git");
    command.args(["daemon", "--inetd", "--export-all"]).arg(format!("--base-path={}", root.display()));
    // The owner of the folder may differ from the user of this process.
    command
        .env("GIT_CONFIG_COUNT", "1")
        .env("GIT_CONFIG_KEY_0", "safe.directory")
        .env("GIT_CONFIG_VALUE_0", "*");
    command.stdin(Stdio::from(OwnedFd::from(client))).stdout(Stdio::from(output)).stderr(Stdio::null());
    command.status().context("cannot run git daemon")?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use super::*;

    async fn server(answer: &'static str) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move {
            while let Ok((mut client, _)) = listener.accept().await {
                let _ = client.write_all(answer.as_bytes()).await;
                // Open until the client or the balancer closes it.
                tokio::spawn(async move { client.read(&mut [0]).await });
            }
        });
        address
    }

    #[tokio::test]
    async fn connections_of_a_server_end_when_it_is_not_ready_any_more() {
        let balancer = Balancer::listen().await.unwrap();
        let (one, two) = (server("1").await, server("2").await);
        balancer.route(one, true);
        let connect = async || {
            let mut client = TcpStream::connect(balancer.url().trim_start_matches("http://")).await.unwrap();
            let mut first = [0];
            client.read_exact(&mut first).await.unwrap();
            (client, first[0])
        };
        let (mut open, answer) = connect().await;
        assert_eq!(answer, b'1');
        balancer.route(two, true);
        balancer.route(one, false);
        assert_eq!(open.read(&mut [0]).await.unwrap_or(0), 0, "it is closed");
        assert_eq!(connect().await.1, b'2');
    }
}
