//! `cargo xtask undeploy`: deletes what `deploy` has created, and nothing that other clients have.
//!
//! Objects with data (Secrets, the claim, the namespace with everything in it)
//! are deleted only after a question, or with `--yes`.

use anyhow::bail;
use serde_json::Value;

use super::{cluster, kubectl::Kubectl};
use crate::{
    manifests,
    shell::{self, Shell},
};

/// Longer than the grace period of the pod.
const TERMINATION_TIMEOUT: &str = "--timeout=60s";

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    target: cluster::Target,
    /// Namespace of the api-server
    #[arg(long, default_value = "terrakube")]
    namespace: String,
    /// Delete data without a question: Secrets, claim, namespace
    #[arg(long)]
    yes: bool,
}

/// Deletes the objects of `deploy`.
pub(crate) fn run(shell: &Shell, args: &Args) -> anyhow::Result<()> {
    let kubectl = cluster::connect(shell, &args.target)?;
    let namespace = args.namespace.as_str();
    if !cluster::has_namespace(&kubectl, namespace)? {
        shell::success(&format!("namespace {namespace:?} does not exist"));
        return Ok(());
    }
    shell::title(&format!("Deleting from namespace {namespace:?}"));
    let (data, others) = ours(&kubectl, namespace)?;
    warn_of_running_jobs(&kubectl, namespace)?;
    for reference in &others {
        delete(&kubectl, reference, Some(namespace))?;
    }
    if others.iter().any(|reference| reference.starts_with("deployment/")) {
        wait_for_termination(&kubectl, namespace)?;
    }
    for reference in &data {
        let question = format!("delete {reference} with its data?");
        if agreed(args, &question) {
            delete(&kubectl, reference, Some(namespace))?;
        } else {
            shell::note(&format!("{reference} stays"));
        }
    }
    let reference = format!("namespace/{namespace}");
    if cluster::is_ours(&kubectl, &reference, None)? {
        let question =
            format!("delete {reference} with everything in it, also the objects of other clients?");
        if agreed(args, &question) {
            delete(&kubectl, &reference, None)?;
        } else {
            shell::note(&format!("{reference} stays"));
        }
    } else {
        shell::note(&format!("{reference} was not created by deploy and stays"));
    }
    Ok(())
}

/// Waits until no pod of the api-server is left, so that a new deployment finds the data folder unlocked.
fn wait_for_termination(kubectl: &Kubectl<'_>, namespace: &str) -> anyhow::Result<()> {
    let selector = format!("app.kubernetes.io/name={}", manifests::SERVER);
    let arguments = ["wait", "--for=delete", "pod", "-l", &selector, "-n", namespace, TERMINATION_TIMEOUT];
    let answer = kubectl.output_logged(&arguments, None)?;
    if !answer.status.success() {
        shell::warning(&format!(
            "the pod of the api-server may still be terminating: {}; \
             a new api-server waits for it at most a minute",
            answer.stderr.trim()
        ));
    }
    Ok(())
}

/// Returns the existing objects of `deploy`: those with data, and the others, the Deployment first.
fn ours(kubectl: &Kubectl<'_>, namespace: &str) -> anyhow::Result<(Vec<String>, Vec<String>)> {
    let settings = everything(namespace);
    let mut objects = manifests::objects(&settings);
    objects.retain(|object| object["kind"] != "Namespace");
    objects.reverse();
    objects.sort_by_key(|object| object["kind"] != "Deployment");
    let mut found = Vec::new();
    for object in objects {
        if cluster::is_ours(kubectl, &manifests::reference(&object), Some(namespace))? {
            found.push(object);
        }
    }
    let holds_data =
        |object: &&Value| ["Secret", "PersistentVolumeClaim"].iter().any(|kind| object["kind"] == *kind);
    let (data, others): (Vec<_>, Vec<_>) = found.iter().partition(holds_data);
    let references = |objects: Vec<&Value>| objects.into_iter().map(manifests::reference).collect();
    Ok((references(data), references(others)))
}

/// Returns settings with which all objects are rendered.
fn everything(namespace: &str) -> manifests::Settings {
    let mut settings = manifests::Settings::defaults();
    namespace.clone_into(&mut settings.namespace);
    settings.extended_role = true;
    settings
}

/// Kubernetes Jobs are not deleted: an apply may be running in one.
fn warn_of_running_jobs(kubectl: &Kubectl<'_>, namespace: &str) -> anyhow::Result<()> {
    let selector = "app.kubernetes.io/managed-by=ephemeral-agents";
    let answer = kubectl.output(&["get", "jobs", "-n", namespace, "-l", selector, "-o", "json"])?;
    if !answer.status.success() {
        return Ok(());
    }
    let jobs = super::json(&answer.stdout)?;
    let jobs = jobs["items"].as_array().cloned().unwrap_or_default();
    let running = jobs.iter().filter(|job| job["status"]["active"].as_i64().unwrap_or_default() > 0).count();
    if running > 0 {
        shell::warning(&format!(
            "{running} executors are running; without the api-server they cannot \
             report their result and their state"
        ));
    }
    Ok(())
}

fn agreed(args: &Args, question: &str) -> bool {
    args.yes || Shell::can_ask() && Shell::confirm(question)
}

fn delete(kubectl: &Kubectl<'_>, reference: &str, namespace: Option<&str>) -> anyhow::Result<()> {
    let mut arguments = vec!["delete", reference, "--ignore-not-found"];
    arguments.extend(namespace.iter().flat_map(|name| ["--namespace", name]));
    let answer = kubectl.output_logged(&arguments, None)?;
    if !answer.status.success() {
        bail!("cannot delete {reference}: {}", answer.stderr.trim());
    }
    shell::success(&format!("{reference} deleted"));
    Ok(())
}
