//! Which cluster is meant, whether it answers, and what in it is ours.

use anyhow::{Context as _, bail};
use serde_json::Value;

use super::kubectl::Kubectl;
use crate::shell::{self, Shell};

/// The cluster to speak to.
#[derive(Debug, clap::Args)]
pub(crate) struct Target {
    /// Context of the kubeconfig [default: the current one]
    #[arg(long, value_name = "NAME")]
    context: Option<String>,
}

impl Target {
    /// Returns whether the user has chosen a context.
    pub(crate) fn is_chosen(&self) -> bool {
        self.context.is_some()
    }
}

/// Finds `kubectl` and the cluster, and says which cluster that is.
pub(crate) fn reach<'a>(shell: &'a Shell, target: &Target) -> anyhow::Result<Kubectl<'a>> {
    if shell.find_program("kubectl").is_none() {
        bail!(
            "kubectl is not on the PATH: https://kubernetes.io/docs/tasks/tools/; \
             without it, `cargo xtask manifests` prints what another tool can apply"
        );
    }
    let mut kubectl = Kubectl { shell, options: Vec::new() };
    let contexts = kubectl.output(&["config", "get-contexts", "-o", "name"])?;
    if !contexts.status.success() {
        bail!("the kubeconfig cannot be read: {}", contexts.stderr.trim());
    }
    let known: Vec<_> = contexts.stdout.lines().collect();
    let name = match &target.context {
        Some(name) if known.contains(&name.as_str()) => name.clone(),
        Some(name) => bail!("there is no context {name:?} in the kubeconfig, only {}", list(&known)),
        None => current(&kubectl, &known)?,
    };
    // Always named, so that nobody's `kubectl config use-context` meanwhile leads to another cluster.
    kubectl.options = vec!["--context".to_owned(), name.clone()];
    let version = kubectl.output(&["version", "-o", "json", "--request-timeout=15s"])?;
    if !version.status.success() {
        bail!("the cluster of context {name:?} does not answer: {}", version.stderr.trim());
    }
    let version = super::json(&version.stdout)?;
    let server = version.pointer("/serverVersion/gitVersion").and_then(Value::as_str);
    let server = server.with_context(|| format!("the cluster of context {name:?} tells no version"))?;
    shell::note(&format!("cluster: context {name:?}, Kubernetes {server}"));
    Ok(kubectl)
}

fn current(kubectl: &Kubectl<'_>, known: &[&str]) -> anyhow::Result<String> {
    let answer = kubectl.output(&["config", "current-context"])?;
    let name = answer.stdout.trim();
    if answer.status.success() && !name.is_empty() {
        return Ok(name.to_owned());
    }
    if known.is_empty() {
        bail!("there is no cluster: the kubeconfig (KUBECONFIG, or ~/.kube/config) names none");
    }
    bail!("the kubeconfig has no current context; choose one with --context: {}", list(known));
}

fn list(names: &[&str]) -> String {
    let quoted: Vec<_> = names.iter().map(|name| format!("{name:?}")).collect();
    if quoted.is_empty() { "none at all".to_owned() } else { quoted.join(", ") }
}

/// Tells whether the namespace is there.
///
/// Who may work in a namespace may not always look at it; that it is there is known then, because somebody gave that right.
pub(crate) fn has_namespace(kubectl: &Kubectl<'_>, name: &str) -> anyhow::Result<bool> {
    let answer = kubectl.output(&["get", "namespace", name, "--ignore-not-found", "-o", "name"])?;
    if answer.status.success() {
        return Ok(!answer.stdout.trim().is_empty());
    }
    if answer.stderr.contains("Forbidden") {
        return Ok(true);
    }
    bail!("could not look for namespace {name:?}: {}", answer.stderr.trim());
}

/// Tells whether an object is there and was made by a deployment of ours.
pub(crate) fn is_ours(
    kubectl: &Kubectl<'_>,
    reference: &str,
    namespace: Option<&str>,
) -> anyhow::Result<bool> {
    match kubectl.get(reference, namespace) {
        Ok(found) => Ok(found.is_some_and(|object| is_written_by_us(&object))),
        Err(error) if format!("{error:#}").contains("Forbidden") => Ok(false),
        Err(error) => Err(error),
    }
}

/// Tells whether the cluster has noted our name among those who wrote the object.
pub(crate) fn is_written_by_us(object: &Value) -> bool {
    let managers = object.pointer("/metadata/managedFields").and_then(Value::as_array);
    managers.into_iter().flatten().any(|entry| entry["manager"] == "ephemeral-agents")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_object_is_ours_if_we_wrote_it_whoever_else_did() {
        let by = |names: &[&str]| {
            let managers: Vec<_> = names.iter().map(|name| json!({ "manager": name })).collect();
            json!({ "metadata": { "managedFields": managers } })
        };
        assert!(is_written_by_us(&by(&["helm", "ephemeral-agents"])));
        assert!(!is_written_by_us(&by(&["kubectl-create"])));
        assert!(!is_written_by_us(&json!({ "metadata": {} })));
    }
}
