//! A namespace with the account under test: the objects of a deployment without the api-server,
//! and a kubeconfig.

use std::{io::Write as _, path::Path, process::Command};

use anyhow::{Context as _, bail};
use serde_json::{Value, json};
use tempfile::NamedTempFile;

use crate::{
    kubectl::{Kubectl, wait_for},
    role::Role,
    session::Session,
};

/// Label of the namespaces, by which those of a killed run can be found.
pub(crate) const LABEL: &str = "ephemeral-agents.dev/e2e";
/// The name of everything that belongs to the api-server alone.
pub(crate) const SERVER: &str = "ephemeral-agents-api";
/// Longer than any run.
const TOKEN_DURATION: &str = "--duration=3h";

/// The kubeconfig of the account; it is removed with this value.
#[derive(Debug)]
pub(crate) struct Account(NamedTempFile);

impl Account {
    /// Creates the namespace of `kubectl` and everything in it.
    pub(crate) async fn create(session: &Session, kubectl: &Kubectl, role: Role) -> anyhow::Result<Self> {
        let namespace = kubectl.namespace.as_str();
        let objects = objects(session, namespace, role)?;
        let documents: Vec<_> = objects.iter().map(Value::to_string).collect();
        let text = documents.join("\n---\n");
        let apply = ["apply", "--server-side", "--field-manager=ephemeral-agents", "-f", "-"];
        kubectl.run_printed(&session.ui, &apply, Some(&text)).await?;
        // Without it the namespace accepts no pod.
        wait_for("the default service account", async || {
            Ok(kubectl.exists("serviceaccount/default").await?.then_some(()))
        })
        .await?;
        let account = objects.iter().find(|object| object["kind"] == "ServiceAccount");
        let account = account.and_then(|object| object["metadata"]["name"].as_str());
        let account = account.context("a deployment has a service account")?;
        let token = kubectl.run(&["create", "token", account, TOKEN_DURATION], None).await?;
        let operator = kubectl.json(&["config", "view", "--minify", "--flatten", "--raw"]).await?;
        let config = kubeconfig(&operator, namespace, token.trim())?;
        let mut file = NamedTempFile::new().context("cannot create a temporary file")?;
        file.write_all(config.to_string().as_bytes()).context("cannot write the kubeconfig")?;
        Ok(Self(file))
    }

    /// Returns the path of the kubeconfig; only its owner can read it.
    pub(crate) fn kubeconfig(&self) -> &Path {
        self.0.path()
    }
}

/// Returns the objects of a deployment without those of the api-server alone.
fn objects(session: &Session, namespace: &str, role: Role) -> anyhow::Result<Vec<Value>> {
    let mut command = xtask(session);
    command.args(["manifests", "--namespace", namespace]);
    if role == Role::Extended {
        command.arg("--extended-role");
    }
    let output = command.output().context("cannot start cargo")?;
    if !output.status.success() {
        bail!("`cargo xtask manifests` failed: {}", String::from_utf8_lossy(&output.stderr).trim());
    }
    let text = String::from_utf8(output.stdout).context("the manifests are not UTF-8")?;
    let objects: Vec<Value> = serde_saphyr::from_multiple(&text).context("the manifests are not YAML")?;
    Ok(of_account(objects))
}

/// The command of the repository that knows how a deployment looks.
pub(crate) fn xtask(session: &Session) -> Command {
    let mut command = Command::new("cargo");
    command.arg("xtask").current_dir(&session.root);
    command
}

fn of_account(mut objects: Vec<Value>) -> Vec<Value> {
    let kinds = ["Namespace", "ServiceAccount", "Role", "RoleBinding", "Secret"];
    objects.retain(|object| kinds.iter().any(|kind| object["kind"] == *kind));
    objects.retain(|object| object["metadata"]["name"] != SERVER);
    for object in objects.iter_mut().filter(|object| object["kind"] == "Namespace") {
        object["metadata"]["labels"][LABEL] = json!("true");
    }
    objects
}

/// The operator's cluster, with the token of the account in place of the operator's credentials.
fn kubeconfig(operator: &Value, namespace: &str, token: &str) -> anyhow::Result<Value> {
    let cluster = operator["clusters"][0]["cluster"].clone();
    if !cluster.is_object() {
        bail!("the kubeconfig names no cluster for this context");
    }
    Ok(json!({
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{ "name": "cluster", "cluster": cluster }],
        "users": [{ "name": "account", "user": { "token": token } }],
        "contexts": [
            { "name": "e2e", "context": { "cluster": "cluster", "user": "account", "namespace": namespace } },
        ],
        "current-context": "e2e",
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn account_has_no_object_of_the_api_server() {
        let object = |kind: &str, name: &str| json!({ "kind": kind, "metadata": { "name": name } });
        let objects = of_account(vec![
            object("Namespace", "ns"),
            object("Secret", SERVER),
            object("Secret", "terrakube-executor-secrets"),
            object("Deployment", SERVER),
            object("Role", "terrakube-api-role"),
        ]);
        let names: Vec<_> =
            objects.iter().map(|object| object["metadata"]["name"].as_str().unwrap()).collect();
        assert_eq!(names, ["ns", "terrakube-executor-secrets", "terrakube-api-role"]);
        assert_eq!(objects[0]["metadata"]["labels"][LABEL], "true");
    }

    #[test]
    fn kubeconfig_does_not_contain_the_credentials_of_the_operator() {
        let operator = json!({
            "clusters": [{ "name": "c", "cluster": { "server": "https://x", "certificate-authority-data": "QQ==" } }],
            "users": [{ "name": "admin", "user": { "client-key-data": "c2VjcmV0" } }],
        });
        let config = kubeconfig(&operator, "ns", "token-of-account").unwrap();
        assert!(!config.to_string().contains("c2VjcmV0"));
        assert_eq!(config["clusters"][0]["cluster"]["certificate-authority-data"], "QQ==");
        assert_eq!(config["users"][0]["user"]["token"], "token-of-account");
        assert_eq!(config["contexts"][0]["context"]["namespace"], "ns");
        assert!(kubeconfig(&json!({}), "ns", "t").is_err());
    }
}
