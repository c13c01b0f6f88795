//! A cluster whose pods are processes of this machine (`k8s-backend/examples/process_cluster.rs`),
//! and its kubeconfig.

use std::{
    fs::{self, File},
    path::PathBuf,
    process::Stdio,
    time::Duration,
};

use anyhow::{Context as _, bail};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::json;
use tempfile::TempDir;
use tokio::{
    process::{Child, Command},
    time::timeout,
};

use super::site::EXECUTOR_SECRET;
use crate::{server::listening_address, session::Session};

const START_TIMEOUT: Duration = Duration::from_secs(30);
pub(crate) const NAMESPACE: &str = "e2e";
/// The token allows to run programs on this machine. Other users can read arguments, but not the environment.
const TOKEN_VARIABLE: &str = "PROCESS_CLUSTER_TOKEN";

/// A running cluster; it is killed with this value. Its processes are not: end their jobs first.
#[derive(Debug)]
pub(crate) struct ProcessCluster {
    _child: Child,
    folder: TempDir,
}

impl ProcessCluster {
    /// Starts the cluster.
    pub(crate) async fn start(session: &Session) -> anyhow::Result<Self> {
        let folder = tempfile::Builder::new().prefix("ephemeral-agents-e2e-").tempdir();
        let folder = folder.context("cannot create a temporary folder")?;
        let secret = folder.path().join("secrets").join(EXECUTOR_SECRET);
        fs::create_dir_all(&secret).with_context(|| format!("cannot create {}", secret.display()))?;
        let log = folder.path().join("log");
        let mut command = Command::new(session.program("examples/process_cluster")?);
        let token = random_token()?;
        command.args(["--namespace", NAMESPACE, "--entry-point"]).arg(session.program("executor")?);
        command.arg("--folder").arg(folder.path()).env(TOKEN_VARIABLE, &token);
        command.stdin(Stdio::null()).stdout(Stdio::piped());
        command.stderr(File::create(&log).context("cannot create the log")?);
        // Ctrl-C reaches only this program, which cancels the jobs before it stops the cluster.
        command.process_group(0).kill_on_drop(true);
        let mut child = command.spawn().context("cannot start the cluster of processes")?;
        let output = child.stdout.take().context("the output is piped")?;
        let Ok(Some(url)) = timeout(START_TIMEOUT, listening_address(output)).await else {
            let log = fs::read_to_string(log).unwrap_or_default();
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
        let cluster = Self { _child: child, folder };
        fs::write(cluster.kubeconfig(), config.to_string()).context("cannot write a kubeconfig")?;
        Ok(cluster)
    }

    /// Returns the path of its kubeconfig.
    pub(crate) fn kubeconfig(&self) -> PathBuf {
        self.folder.path().join("kubeconfig")
    }

    /// Returns the folder with the records of its processes.
    pub(crate) fn jobs(&self) -> PathBuf {
        self.folder.path().join("jobs")
    }
}

fn random_token() -> anyhow::Result<String> {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes).context("the operating system has no random bytes")?;
    Ok(URL_SAFE_NO_PAD.encode(bytes))
}
