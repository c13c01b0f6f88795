//! A namespace with the account under test: the objects of a deployment without the api-server, and a kubeconfig.

use std::{io::Write as _, path::Path, time::Duration};

use anyhow::{Context as _, bail};
use serde_json::{Value, json};
use tempfile::NamedTempFile;

use super::Role;
use crate::{
    deploy::{
        json as parse,
        kubectl::{FIELD_MANAGER, Kubectl},
    },
    manifests::{self, SERVER, Settings, yaml},
    poll,
};

/// Marks our namespaces, so that those of a killed run can be found.
pub(super) const MARK: &str = "ephemeral-agents.dev/e2e";
/// A token lives longer than any run takes.
const TOKEN: &str = "--duration=3h";
/// A new namespace gets its default account within this time.
const SETTLES_WITHIN: Duration = Duration::from_mins(1);

/// The account, as a kubeconfig that is removed with this value.
#[derive(Debug)]
pub(super) struct Account(NamedTempFile);

impl Account {
    /// Makes the namespace and everything in it.
    pub(super) fn make(kubectl: &Kubectl<'_>, namespace: &str, role: Role) -> anyhow::Result<Self> {
        let objects = objects(namespace, role);
        let text = yaml::documents("", &objects)?;
        kubectl.tell(&["apply", "--server-side", FIELD_MANAGER, "-f", "-"], Some(text))?;
        // Until it is there, no pod of the namespace can be made.
        let default = || kubectl.get("serviceaccount/default", Some(namespace)).transpose();
        match poll::until(SETTLES_WITHIN, default) {
            Some(found) => drop(found?),
            None => bail!("namespace {namespace:?} got no default account within a minute"),
        }
        let account = objects.iter().find(|object| object["kind"] == "ServiceAccount");
        let account = account.and_then(|object| object["metadata"]["name"].as_str());
        let account = account.context("a deployment has an account")?;
        let token = secret_answer(kubectl, &["create", "token", account, "--namespace", namespace, TOKEN])?;
        let view =
            secret_answer(kubectl, &["config", "view", "--minify", "--flatten", "--raw", "-o", "json"])?;
        let config = kubeconfig(&parse(&view)?, namespace, token.trim())?;
        let mut file = NamedTempFile::new().context("could not make a temporary file")?;
        file.write_all(config.to_string().as_bytes()).context("could not write the kubeconfig")?;
        Ok(Self(file))
    }

    /// The kubeconfig; only its owner can read it.
    pub(super) fn kubeconfig(&self) -> &Path {
        self.0.path()
    }
}

/// The answer is never shown.
fn secret_answer(kubectl: &Kubectl<'_>, arguments: &[&str]) -> anyhow::Result<String> {
    let answer = kubectl.ask(arguments)?;
    if !answer.status.success() {
        bail!("`{}` failed: {}", kubectl.typed(arguments), answer.errors.trim());
    }
    Ok(answer.output)
}

/// What a deployment would make, without the api-server and what is only its own.
fn objects(namespace: &str, role: Role) -> Vec<Value> {
    let mut settings = Settings::defaults();
    namespace.clone_into(&mut settings.namespace);
    settings.extended_role = role == Role::Extended;
    let kinds = ["Namespace", "ServiceAccount", "Role", "RoleBinding", "Secret"];
    let mut objects = manifests::objects(&settings);
    objects.retain(|object| kinds.iter().any(|kind| object["kind"] == *kind));
    objects.retain(|object| object["metadata"]["name"] != SERVER);
    for object in objects.iter_mut().filter(|object| object["kind"] == "Namespace") {
        object["metadata"]["labels"][MARK] = json!("true");
    }
    objects
}

/// The operator's way to the cluster, with the token of the account in place of the operator's own login.
fn kubeconfig(operators: &Value, namespace: &str, token: &str) -> anyhow::Result<Value> {
    let cluster = operators["clusters"][0]["cluster"].clone();
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
    fn the_account_has_the_documented_rights_and_the_extended_ones_only_with_that_role() {
        let references = |role| objects("ns", role).iter().map(manifests::reference).collect::<Vec<_>>();
        let seed = references(Role::Seed);
        let expected = [
            "namespace/ns",
            "serviceaccount/terrakube-api-service-account",
            "role/terrakube-api-role",
            "rolebinding/terrakube-api-role-binding",
            "secret/terrakube-executor-secrets",
        ];
        assert_eq!(seed, expected);
        let extended = references(Role::Extended);
        assert_eq!(extended.len(), seed.len() + 2);
        assert!(extended.contains(&"role/terrakube-api-extended-role".to_owned()));
    }

    #[test]
    fn the_login_of_the_operator_does_not_go_into_the_kubeconfig() {
        let operators = json!({
            "clusters": [{ "name": "c", "cluster": { "server": "https://x", "certificate-authority-data": "QQ==" } }],
            "users": [{ "name": "admin", "user": { "client-key-data": "c2VjcmV0" } }],
        });
        let config = kubeconfig(&operators, "ns", "token-of-account").unwrap();
        assert!(!config.to_string().contains("c2VjcmV0"));
        assert_eq!(config["clusters"][0]["cluster"]["certificate-authority-data"], "QQ==");
        assert_eq!(config["users"][0]["user"]["token"], "token-of-account");
        assert_eq!(config["contexts"][0]["context"]["namespace"], "ns");
        assert!(kubeconfig(&json!({}), "ns", "t").is_err());
    }
}
