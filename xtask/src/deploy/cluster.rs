//! Selects the cluster, and finds what `deploy` has created in it.

use anyhow::{Context as _, bail};
use serde_json::Value;

use super::kubectl::Kubectl;
use crate::shell::{self, Shell};

/// The cluster.
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

/// Finds `kubectl` and the cluster, and prints context and version.
pub(crate) fn connect<'a>(shell: &'a Shell, target: &Target) -> anyhow::Result<Kubectl<'a>> {
    if shell.find_program("kubectl").is_none() {
        bail!(
            "kubectl is not on the PATH: https://kubernetes.io/docs/tasks/tools/; \
             without it, `cargo xtask manifests` prints what another tool can apply"
        );
    }
    let mut kubectl = Kubectl { shell, options: Vec::new() };
    let contexts = kubectl.output(&["config", "get-contexts", "-o", "name"])?;
    if !contexts.status.success() {
        bail!("cannot read the kubeconfig: {}", contexts.stderr.trim());
    }
    let known: Vec<_> = contexts.stdout.lines().collect();
    let name = match &target.context {
        Some(name) if known.contains(&name.as_str()) => name.clone(),
        Some(name) => bail!("the kubeconfig has no context {name:?}, found {}", list(&known)),
        None => current(&kubectl, &known)?,
    };
    // Explicit in every command, so that `kubectl config use-context` in another terminal has no effect.
    kubectl.options = vec!["--context".to_owned(), name.clone()];
    let version = kubectl.output(&["version", "-o", "json", "--request-timeout=15s"])?;
    if !version.status.success() {
        bail!("the cluster of context {name:?} does not answer: {}", version.stderr.trim());
    }
    let version = super::json(&version.stdout)?;
    let server = version.pointer("/serverVersion/gitVersion").and_then(Value::as_str);
    let server = server.with_context(|| format!("the cluster of context {name:?} reports no version"))?;
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
        bail!("the kubeconfig (KUBECONFIG, or ~/.kube/config) has no context");
    }
    bail!("the kubeconfig has no current context; choose one with --context: {}", list(known));
}

fn list(names: &[&str]) -> String {
    let quoted: Vec<_> = names.iter().map(|name| format!("{name:?}")).collect();
    if quoted.is_empty() { "none".to_owned() } else { quoted.join(", ") }
}

/// Returns whether the namespace exists. Without the right to read it, it is assumed to exist.
pub(crate) fn has_namespace(kubectl: &Kubectl<'_>, name: &str) -> anyhow::Result<bool> {
    let answer = kubectl.output(&["get", "namespace", name, "--ignore-not-found", "-o", "name"])?;
    if answer.status.success() {
        return Ok(!answer.stdout.trim().is_empty());
    }
    if answer.stderr.contains("Forbidden") {
        return Ok(true);
    }
    bail!("cannot read namespace {name:?}: {}", answer.stderr.trim());
}

/// Returns whether an object exists and was created by `deploy`.
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

/// Returns whether our field manager is among those of the object.
pub(crate) fn is_written_by_us(object: &Value) -> bool {
    let managers = object.pointer("/metadata/managedFields").and_then(Value::as_array);
    managers.into_iter().flatten().any(|entry| entry["manager"] == "ephemeral-agents")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn object_is_ours_if_our_field_manager_wrote_it() {
        let by = |names: &[&str]| {
            let managers: Vec<_> = names.iter().map(|name| json!({ "manager": name })).collect();
            json!({ "metadata": { "managedFields": managers } })
        };
        assert!(is_written_by_us(&by(&["helm", "ephemeral-agents"])));
        assert!(!is_written_by_us(&by(&["kubectl-create"])));
        assert!(!is_written_by_us(&json!({ "metadata": {} })));
    }
}
