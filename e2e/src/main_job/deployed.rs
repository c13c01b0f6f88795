//! An api-server in the cluster, deployed by `cargo xtask deploy` and reached through `kubectl port-forward`.

use anyhow::{Context as _, ensure};
use api_server::client::Client;
use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::Value;
use tokio::process::Command;

use super::{
    port_forward::PortForward,
    site::{Site, Stop, only_pod},
};
use crate::{
    account::{SERVER, xtask},
    kubectl::Kubectl,
    role::Role,
    session::Session,
};

const ADMIN_TOKEN: &str = "admin-token";
const DEFAULT_CLASS: &str = "storageclass.kubernetes.io/is-default-class";

/// A deployed api-server.
#[derive(Debug)]
pub(super) struct Deployed<'a> {
    session: &'a Session,
    kubectl: &'a Kubectl,
    has_volume: bool,
    port: u16,
    /// `None` while there is no pod.
    port_forward: Option<PortForward>,
    client: Client,
}

impl<'a> Deployed<'a> {
    /// Deploys into the namespace of `kubectl`, which exists, and waits until the server is ready.
    pub(super) async fn start(
        session: &'a Session,
        kubectl: &'a Kubectl,
        image: Option<&str>,
        executor_image: &str,
        role: Role,
    ) -> anyhow::Result<Self> {
        let has_volume = has_default_class(&kubectl.json(&["get", "storageclasses"]).await?);
        let mut command = Command::from(xtask(session));
        command.args(["deploy", "--yes", "--context", &kubectl.context, "--namespace", &kubectl.namespace]);
        // An IP address works in a cluster with DNS too.
        command.args(["--executor-image", executor_image, "--no-cluster-dns", "--storage-size=1Gi"]);
        command.args(image.iter().flat_map(|image| ["--image", image]));
        command.args((role == Role::Extended).then_some("--extended-role"));
        command.args((!has_volume).then_some("--storage=empty-dir"));
        let status = command.kill_on_drop(true).status().await.context("cannot start cargo")?;
        ensure!(status.success(), "`cargo xtask deploy` ended with {status}");
        let port_forward = PortForward::open(kubectl, 0).await?;
        let port = port_forward.port;
        let client = Client::new(&format!("http://127.0.0.1:{port}"), &admin_token(kubectl).await?)?;
        Ok(Self { session, kubectl, has_volume, port, port_forward: Some(port_forward), client })
    }
}

/// Returns whether a claim without a class gets a volume.
fn has_default_class(classes: &Value) -> bool {
    let classes = classes["items"].as_array().into_iter().flatten();
    classes.into_iter().any(|class| class["metadata"]["annotations"][DEFAULT_CLASS] == "true")
}

async fn admin_token(kubectl: &Kubectl) -> anyhow::Result<String> {
    let secret = kubectl.json(&["get", &format!("secret/{SERVER}")]).await?;
    let token = secret["data"][ADMIN_TOKEN].as_str().context("the deployment has no admin token")?;
    let token = STANDARD.decode(token).context("the admin token is not base64")?;
    String::from_utf8(token).context("the admin token is not UTF-8")
}

impl Site for Deployed<'_> {
    fn client(&self) -> &Client {
        &self.client
    }

    async fn restart(&mut self, stop: Stop) -> anyhow::Result<()> {
        self.port_forward = None;
        let ui = &self.session.ui;
        let selector = format!("--selector=app.kubernetes.io/name={SERVER}");
        let grace = match stop {
            Stop::Terminate => "--grace-period=30",
            // With less than a second, two servers could run at the same time.
            Stop::Kill => "--grace-period=1",
        };
        let delete = ["delete", "pods", &selector, grace, "--timeout=90s"];
        self.kubectl.run_printed(ui, &delete, None).await?;
        let deployment = format!("deployment/{SERVER}");
        let wait = ["rollout", "status", deployment.as_str(), "--timeout=300s"];
        self.kubectl.run_printed(ui, &wait, None).await?;
        self.port_forward = Some(PortForward::open(self.kubectl, self.port).await?);
        Ok(())
    }

    async fn stop(&mut self) {
        self.port_forward = None;
    }

    fn restart_obstacle(&self) -> Option<&'static str> {
        (!self.has_volume)
            .then_some("the cluster has no default storage class, so the data is lost with the pod")
    }

    async fn pod_of(&self, kubernetes_job: &str) -> anyhow::Result<Option<String>> {
        only_pod(self.kubectl, kubernetes_job).await.map(Some)
    }

    async fn last_lines(&self) -> Vec<String> {
        let deployment = format!("deployment/{SERVER}");
        let log = self.kubectl.run(&["logs", &deployment, "--tail=20"], None).await.unwrap_or_default();
        log.lines().map(str::to_owned).collect()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn storage_class_is_the_default_if_its_annotation_is_true() {
        let class = |value: &str| json!({ "metadata": { "annotations": { DEFAULT_CLASS: value } } });
        assert!(has_default_class(&json!({ "items": [{ "metadata": {} }, class("true")] })));
        assert!(!has_default_class(&json!({ "items": [class("false")] })));
        assert!(!has_default_class(&json!({ "items": [] })));
    }
}
