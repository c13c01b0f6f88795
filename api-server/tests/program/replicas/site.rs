//! What two replicas need: a cluster whose pods are processes, a repository, and one address for both
//! servers.

use std::{
    collections::BTreeMap,
    io::{BufRead as _, BufReader},
    net::SocketAddr,
    os::fd::OwnedFd,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::{Arc, Mutex},
};

use serde_json::json;
use tokio::{
    io::copy_bidirectional,
    net::{TcpListener, TcpStream},
};
use tokio_util::sync::CancellationToken;

use crate::support::{Program, path_variable};

const NAMESPACE: &str = "replicas";
/// The Secret of all executors.
const SECRET: &str = "executors";
const TOKEN: &str = "the-only-token-of-this-cluster";

/// A cluster whose pods are processes of this machine. Returns it with the path of its kubeconfig.
pub(super) fn start_cluster(folder: &Path) -> (Program, PathBuf) {
    let server = Path::new(env!("CARGO_BIN_EXE_api-server"));
    let program = server.with_file_name("examples").join("process_cluster");
    assert!(program.is_file(), "{program:?} is not built; `cargo xtask test` builds what tests need");
    std::fs::create_dir_all(folder.join("cluster/secrets").join(SECRET)).unwrap();
    let child = Command::new(program)
        .args(["--namespace", NAMESPACE, "--entry-point"])
        .arg(server.with_file_name("executor"))
        .arg("--folder")
        .arg(folder.join("cluster"))
        .env_clear()
        .env("PATH", path_variable())
        .env("HOME", folder)
        .env("TMPDIR", folder)
        .env("PROCESS_CLUSTER_TOKEN", TOKEN)
        .stdout(Stdio::piped())
        .stderr(std::fs::File::create(folder.join("cluster.log")).unwrap())
        .spawn()
        .unwrap();
    let mut cluster = Program(child);
    let mut line = String::new();
    BufReader::new(cluster.0.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let url = line.trim().strip_prefix("listening on ").expect("the cluster says where it listens");
    let config = json!({
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{ "name": "cluster", "cluster": { "server": url } }],
        "users": [{ "name": "user", "user": { "token": TOKEN } }],
        "contexts": [{ "name": "context", "context": { "cluster": "cluster", "user": "user" } }],
        "current-context": "context",
    });
    let path = folder.join("kubeconfig");
    std::fs::write(&path, config.to_string()).unwrap();
    (cluster, path)
}

/// The environment of a server that uses the cluster and the database.
pub(super) fn environment(kubeconfig: &Path, database: &str) -> Vec<(&'static str, String)> {
    vec![
        ("KUBECONFIG", kubeconfig.display().to_string()),
        ("API_SERVER_DATABASE", database.to_owned()),
        ("ExecutorEphemeralNamespace", NAMESPACE.to_owned()),
        ("ExecutorEphemeralImage", "localhost/executor:1".to_owned()),
        ("ExecutorEphemeralSecret", SECRET.to_owned()),
    ]
}

/// Creates a repository with one file, and serves it. Returns its address.
pub(super) async fn serve_repository(folder: &Path, configuration: &str) -> String {
    let (work, bare) = (folder.join("work"), folder.join("repositories/configuration.git"));
    std::fs::create_dir_all(&work).unwrap();
    std::fs::create_dir_all(bare.parent().unwrap()).unwrap();
    std::fs::write(work.join("main.tf"), configuration).unwrap();
    let author = ["-c", "user.name=test", "-c", "user.email=test@example.com", "-c", "commit.gpgsign=false"];
    let (work, bare) = (work.to_str().unwrap(), bare.to_str().unwrap());
    git(&["init", "--quiet", "--initial-branch=main", work]);
    git(&["-C", work, "add", "--all"]);
    git(&[&author[..], &["-C", work, "commit", "--quiet", "--no-verify", "-m", "test"]].concat());
    git(&["clone", "--quiet", "--bare", work, bare]);
    let root = format!("--base-path={}", folder.join("repositories").display());
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            let root = root.clone();
            tokio::task::spawn_blocking(move || serve_git(client, &root));
        }
    });
    format!("git://{address}/configuration.git")
}

fn git(arguments: &[&str]) {
    let output = Command::new("git").args(arguments).output().unwrap();
    assert!(output.status.success(), "git {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
}

fn serve_git(client: TcpStream, root: &str) {
    let client = client.into_std().unwrap();
    client.set_nonblocking(false).unwrap();
    let output = OwnedFd::from(client.try_clone().unwrap());
    let status = Command::new("git")
        .args(["daemon", "--inetd", "--export-all", root])
        .envs([
            ("GIT_CONFIG_COUNT", "1"),
            ("GIT_CONFIG_KEY_0", "safe.directory"),
            ("GIT_CONFIG_VALUE_0", "*"),
        ])
        .stdin(Stdio::from(OwnedFd::from(client)))
        .stdout(Stdio::from(output))
        .stderr(Stdio::null())
        .status();
    assert!(status.is_ok(), "{status:?}");
}

/// Prints the ends of the logs when the test fails.
pub(super) struct Logs(pub(super) PathBuf);

impl Drop for Logs {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            return;
        }
        for name in ["server.log", "cluster.log"] {
            let log = std::fs::read_to_string(self.0.join(name)).unwrap_or_default();
            let lines: Vec<_> = log.lines().collect();
            eprintln!("{name}:\n{}", lines[lines.len().saturating_sub(60)..].join("\n"));
        }
        for pod in std::fs::read_dir(self.0.join("cluster/jobs")).into_iter().flatten().flatten() {
            let log = std::fs::read_to_string(pod.path().join("pod.log")).unwrap_or_default();
            eprintln!("{:?}:\n{log}", pod.file_name());
        }
    }
}

/// One address for all replicas that are ready, as a Service of Kubernetes has it.
#[derive(Clone, Default)]
pub(super) struct Balancer(Arc<Mutex<BTreeMap<SocketAddr, CancellationToken>>>);

impl Balancer {
    /// Listens, and returns the URL.
    pub(super) async fn listen(&self) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let balancer = self.clone();
        tokio::spawn(async move {
            for turn in 0.. {
                let Ok((client, _)) = listener.accept().await else { return };
                let chosen = balancer.choose(turn);
                // A client without a server tries again.
                tokio::spawn(async move {
                    if let Some((address, away)) = chosen {
                        away.run_until_cancelled(forward(client, address)).await;
                    }
                });
            }
        });
        url
    }

    /// Sends new connections to this replica, too.
    pub(super) fn add(&self, replica: SocketAddr) {
        self.0.lock().unwrap().insert(replica, CancellationToken::new());
    }

    /// Breaks the connections to a replica, and opens no more.
    pub(super) fn remove(&self, replica: SocketAddr) {
        if let Some(away) = self.0.lock().unwrap().remove(&replica) {
            away.cancel();
        }
    }

    fn choose(&self, turn: usize) -> Option<(SocketAddr, CancellationToken)> {
        let replicas = self.0.lock().unwrap();
        let (address, away) = replicas.iter().nth(turn % replicas.len().max(1))?;
        Some((*address, away.clone()))
    }
}

async fn forward(mut client: TcpStream, address: SocketAddr) {
    if let Ok(mut server) = TcpStream::connect(address).await {
        let _ = copy_bidirectional(&mut client, &mut server).await;
    }
}
