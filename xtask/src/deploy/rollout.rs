//! Waits for the roll-out with `kubectl rollout status`, and prints meanwhile what
//! the pods and their events report.

use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};

use anyhow::bail;
use serde_json::Value;

use super::kubectl::Kubectl;
use crate::{manifests::SERVER, shell};

/// Between two reports.
const INTERVAL: Duration = Duration::from_secs(5);

/// Waits for the roll-out.
///
/// # Errors
/// The api-server was not ready in time; the message contains the last problem that the cluster reported.
pub(super) fn wait(kubectl: &Kubectl<'_>, namespace: &str, timeout: Duration) -> anyhow::Result<()> {
    let deadline = Instant::now() + timeout;
    let deployment = format!("deployment/{SERVER}");
    let mut reported = BTreeSet::new();
    loop {
        let left = deadline.saturating_duration_since(Instant::now()).min(INTERVAL);
        // kubectl takes 0 for no timeout.
        let limit = format!("--timeout={}s", left.as_secs().max(1));
        let status = kubectl.output(&["rollout", "status", &deployment, "-n", namespace, &limit])?;
        if status.status.success() {
            return Ok(());
        }
        let problems = problems(kubectl, namespace)?;
        for problem in &problems {
            if reported.insert(problem.clone()) {
                shell::note(problem);
                if let Some(hint) = hint(problem) {
                    shell::note(&format!("  hint: {hint}"));
                }
            }
        }
        if Instant::now() >= deadline {
            print_log(kubectl, namespace)?;
            let last = problems.last().map_or(status.stderr.trim(), String::as_str);
            bail!(
                "the api-server was not ready within {} s: {last}; the roll-out may still go on",
                timeout.as_secs()
            );
        }
    }
}

/// Lists the problems of the pods, the most specific last. Without the right to
/// read pods or events there are none.
fn problems(kubectl: &Kubectl<'_>, namespace: &str) -> anyhow::Result<Vec<String>> {
    let selector = format!("app.kubernetes.io/name={SERVER}");
    let pods = list(kubectl, &["get", "pods", "-n", namespace, "-l", &selector, "-o", "json"])?;
    let warnings = ["get", "events", "-n", namespace, "--field-selector=type=Warning", "-o", "json"];
    let mut problems: Vec<_> = list(kubectl, &warnings)?
        .iter()
        // Other objects of the namespace have warnings too, and a starting server is unhealthy.
        .filter(|event| event["involvedObject"]["name"].as_str().is_some_and(|name| name.starts_with(SERVER)))
        .filter(|event| event["reason"] != "Unhealthy")
        .filter_map(|event| Some(format!("{}: {}", event["reason"].as_str()?, event["message"].as_str()?)))
        .collect();
    problems.extend(pods.iter().flat_map(waiting));
    Ok(problems)
}

/// Returns why the containers of a pod are not running.
fn waiting(pod: &Value) -> Vec<String> {
    let statuses = pod["status"]["containerStatuses"].as_array();
    let waiting = statuses.into_iter().flatten().map(|status| &status["state"]["waiting"]);
    waiting
        .filter(|waiting| waiting["reason"] != "ContainerCreating")
        .filter_map(|waiting| {
            let message = waiting["message"].as_str().unwrap_or("no message");
            Some(format!("{}: {message}", waiting["reason"].as_str()?))
        })
        .collect()
}

fn hint(problem: &str) -> Option<&'static str> {
    let hints = [
        ("ersistent", "choose a --storage-class that the cluster has, or --storage empty-dir for a trial"),
        ("ErrImageNeverPull", "load the image into the node, or choose another one with --image"),
        (
            "ImagePull",
            "choose an image that the node can pull with --image, its login with --image-pull-secret, \
             or load it into the node",
        ),
        ("InvalidImageName", "choose the image with --image"),
        ("exceeded quota", "the quota of the namespace is too small"),
        ("secret", "a Secret is missing; deploy again to create it"),
    ];
    hints.iter().find(|(part, _)| problem.contains(part)).map(|(_, hint)| *hint)
}

fn list(kubectl: &Kubectl<'_>, arguments: &[&str]) -> anyhow::Result<Vec<Value>> {
    let output = kubectl.output(arguments)?;
    if !output.status.success() {
        return Ok(Vec::new());
    }
    Ok(super::json(&output.stdout)?["items"].as_array().cloned().unwrap_or_default())
}

fn print_log(kubectl: &Kubectl<'_>, namespace: &str) -> anyhow::Result<()> {
    let deployment = format!("deployment/{SERVER}");
    let log = kubectl.output(&["logs", &deployment, "-n", namespace, "--tail=20"])?;
    if log.status.success() && !log.stdout.trim().is_empty() {
        shell::note("the last lines of the api-server's log:");
        shell::line(log.stdout.trim_end());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn reports_containers_that_wait_for_more_than_their_creation() {
        let pod = |waiting: Value| json!({ "status": { "containerStatuses": [{ "state": { "waiting": waiting } }] } });
        assert_eq!(waiting(&pod(json!({ "reason": "ContainerCreating" }))), Vec::<String>::new());
        let crashed = pod(json!({ "reason": "CrashLoopBackOff", "message": "back-off 10s" }));
        assert_eq!(waiting(&crashed), ["CrashLoopBackOff: back-off 10s"]);
        assert_eq!(waiting(&json!({})), Vec::<String>::new());
    }

    #[test]
    fn gives_hints_for_known_problems() {
        for (problem, expected) in [
            ("FailedScheduling: unbound immediate PersistentVolumeClaims", "--storage-class"),
            ("FailedMount: MountVolume.SetUp failed: secret \"x\" not found", "deploy again"),
            ("ImagePullBackOff: Back-off pulling image", "--image"),
        ] {
            assert!(hint(problem).unwrap().contains(expected), "{problem}");
        }
        assert_eq!(hint("FailedScheduling: 0/1 nodes are available"), None);
    }
}
