//! A cluster whose pods are processes of this machine (`k8s-backend/examples/process_cluster.rs`), and a way into it.

use std::{
    fs::{self, File},
    io::{BufRead as _, BufReader},
    os::unix::process::CommandExt as _,
    path::PathBuf,
    process::{Child, Command, Stdio},
    sync::mpsc,
    thread,
    time::Duration,
};

use anyhow::{Context as _, bail};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::json;
use tempfile::TempDir;

use crate::{manifests::EXECUTOR_SECRET, test::Programs};

const READY_WITHIN: Duration = Duration::from_secs(30);
const READY_LINE: &str = "listening on ";
pub(super) const NAMESPACE: &str = "e2e";
/// Who knows the token can run programs on this machine in our name, so it is in no argument, which everybody can read.
const TOKEN_VARIABLE: &str = "PROCESS_CLUSTER_TOKEN";

/// A running cluster of processes; it ends with this value. Its processes do not: end their jobs first.
#[derive(Debug)]
pub(super) struct Processes {
    child: Child,
    folder: TempDir,
}

impl Processes {
    /// Starts it.
    pub(super) fn start(programs: &Programs) -> anyhow::Result<Self> {
        let program = programs.process_cluster.as_ref().context("the cluster of processes was not built")?;
        let folder = tempfile::Builder::new().prefix("ephemeral-agents-e2e-").tempdir();
        let folder = folder.context("could not make a temporary folder")?;
        let secret = folder.path().join("secrets").join(EXECUTOR_SECRET);
        fs::create_dir_all(&secret).with_context(|| format!("could not make {}", secret.display()))?;
        let log = File::create(folder.path().join("log")).context("could not make a log")?;
        let mut command = Command::new(program);
        let token = random_token()?;
        command.args(["--namespace", NAMESPACE, "--entry-point"]).arg(&programs.executor);
        command.arg("--folder").arg(folder.path()).env(TOKEN_VARIABLE, &token);
        // A group of its own: Ctrl-C must reach this program alone, which ends the jobs first.
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(log).process_group(0);
        let mut child = command.spawn().context("could not start the cluster of processes")?;
        let output = child.stdout.take().context("a piped output is there")?;
        let processes = Self { child, folder };
        let url = first_line(output).and_then(|line| Some(line.strip_prefix(READY_LINE)?.to_owned()));
        let Some(url) = url else {
            let log = fs::read_to_string(processes.folder.path().join("log")).unwrap_or_default();
            bail!("the cluster of processes did not start: {}", log.trim());
        };
        let config = json!({
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{ "name": "cluster", "cluster": { "server": url } }],
            "users": [{ "name": "account", "user": { "token": token } }],
            "contexts": [{ "name": "e2e", "context": { "cluster": "cluster", "user": "account" } }],
            "current-context": "e2e",
        });
        fs::write(processes.kubeconfig(), config.to_string()).context("could not write a kubeconfig")?;
        Ok(processes)
    }

    /// The way into it.
    pub(super) fn kubeconfig(&self) -> PathBuf {
        self.folder.path().join("kubeconfig")
    }
}

impl Drop for Processes {
    fn drop(&mut self) {
        // It keeps nothing that outlives it.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn random_token() -> anyhow::Result<String> {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes).context("the operating system has no random bytes")?;
    Ok(URL_SAFE_NO_PAD.encode(bytes))
}

fn first_line(output: impl std::io::Read + Send + 'static) -> Option<String> {
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        BufReader::new(output).lines().map_while(Result::ok).for_each(|line| drop(sender.send(line)));
    });
    receiver.recv_timeout(READY_WITHIN).ok()
}
