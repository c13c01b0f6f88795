//! An api-server in the cluster, as `cargo xtask deploy` makes it, reached through `kubectl port-forward`.

use std::time::Duration;

use anyhow::{Context as _, bail};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::Value;

use super::{
    forward::Forward,
    site::{Pods, Site, Stop},
};
use crate::{
    deploy::{self, kubectl::Kubectl, rollout},
    manifests::{SERVER, Settings, Storage, secrets::ADMIN_TOKEN},
    product::api::Api,
};

/// An image may have to come from far away.
const READY_WITHIN: Duration = Duration::from_mins(5);
const DEFAULT_CLASS: &str = "storageclass.kubernetes.io/is-default-class";

/// A deployment of ours.
#[derive(Debug)]
pub(super) struct Deployed<'a> {
    kubectl: &'a Kubectl<'a>,
    namespace: &'a str,
    storage: Storage,
    port: u16,
    /// Taken away while the pod behind it is.
    forward: Option<Forward>,
    api: Api,
}

impl<'a> Deployed<'a> {
    /// Deploys into a namespace that is there, and waits until the server is ready.
    pub(super) fn start(
        kubectl: &'a Kubectl<'a>,
        namespace: &'a str,
        image: &str,
        executor_image: &str,
        extended_role: bool,
    ) -> anyhow::Result<Self> {
        let storage = if has_default_class(kubectl)? { Storage::Claim } else { Storage::EmptyDir };
        let mut settings = Settings::defaults();
        namespace.clone_into(&mut settings.namespace);
        image.clone_into(&mut settings.image);
        executor_image.clone_into(&mut settings.executor_image);
        (settings.storage, settings.extended_role) = (storage, extended_role);
        "1Gi".clone_into(&mut settings.storage_size);
        // Works in a cluster with DNS as well.
        settings.no_cluster_dns = true;
        deploy::install(kubectl, &settings, false)?;
        rollout::wait(kubectl, namespace, READY_WITHIN)?;
        let forward = Forward::open(kubectl, namespace, 0)?;
        let port = forward.port;
        let api = Api::new(&format!("http://127.0.0.1:{port}"), token(kubectl, namespace)?);
        Ok(Self { kubectl, namespace, storage, port, forward: Some(forward), api })
    }
}

/// Tells whether a claim that names no class gets a volume.
fn has_default_class(kubectl: &Kubectl<'_>) -> anyhow::Result<bool> {
    let answer = kubectl.ask(&["get", "storageclasses", "-o", "json"])?;
    if !answer.status.success() {
        bail!("could not look for storage classes: {}", answer.errors.trim());
    }
    Ok(names_default(&deploy::json(&answer.output)?))
}

fn names_default(classes: &Value) -> bool {
    let classes = classes["items"].as_array().into_iter().flatten();
    classes.into_iter().any(|class| class["metadata"]["annotations"][DEFAULT_CLASS] == "true")
}

fn token(kubectl: &Kubectl<'_>, namespace: &str) -> anyhow::Result<String> {
    let secret = kubectl.get(&format!("secret/{SERVER}"), Some(namespace))?;
    let token = secret.as_ref().and_then(|secret| secret["data"][ADMIN_TOKEN].as_str());
    let token = STANDARD.decode(token.context("the deployment made no admin token")?);
    let token = String::from_utf8(token.context("the admin token is not base64")?);
    token.context("the admin token is no text")
}

impl Site for Deployed<'_> {
    fn api(&self) -> &Api {
        &self.api
    }

    fn restart(&mut self, how: Stop) -> anyhow::Result<()> {
        self.forward = None;
        let selector = format!("--selector=app.kubernetes.io/name={SERVER}");
        let grace = match how {
            Stop::Told => "--grace-period=30",
            // The node kills it after one second: less would let two servers run at once.
            Stop::Killed => "--grace-period=1",
        };
        let arguments = ["delete", "pods", "--namespace", self.namespace, &selector, grace, "--timeout=90s"];
        self.kubectl.tell(&arguments, None)?;
        rollout::wait(self.kubectl, self.namespace, READY_WITHIN)?;
        self.forward = Some(Forward::open(self.kubectl, self.namespace, self.port)?);
        Ok(())
    }

    fn stays(&self) -> Option<&'static str> {
        (self.storage == Storage::EmptyDir)
            .then_some("the cluster has no default storage class, so its data would go with its pod")
    }

    fn pod_of(&self, kubernetes_job: &str) -> anyhow::Result<Option<String>> {
        let pods = Pods { kubectl: self.kubectl, namespace: self.namespace };
        pods.of(kubernetes_job).map(Some)
    }

    fn last_lines(&self) -> Vec<String> {
        let deployment = format!("deployment/{SERVER}");
        let arguments = ["logs", &deployment, "--namespace", self.namespace, "--tail=20"];
        let answer = self.kubectl.ask(&arguments).map(|answer| answer.output).unwrap_or_default();
        answer.lines().map(str::to_owned).collect()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_class_is_the_default_only_if_it_says_so() {
        let class = |value: &str| json!({ "metadata": { "annotations": { DEFAULT_CLASS: value } } });
        assert!(names_default(&json!({ "items": [{ "metadata": {} }, class("true")] })));
        assert!(!names_default(&json!({ "items": [class("false")] })));
        assert!(!names_default(&json!({ "items": [] })));
    }
}
