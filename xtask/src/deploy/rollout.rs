//! Waits until the api-server is ready, and says meanwhile what it waits for.

use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};

use anyhow::bail;
use serde_json::Value;

use super::{
    diagnosis::{self, Reason, Rollout},
    kubectl::Kubectl,
};
use crate::manifests::SERVER;

/// Between two looks at the cluster.
const PAUSE: Duration = Duration::from_secs(1);
/// Lines of the log that are shown when the server does not stay up.
const LOG_LINES: &str = "--tail=20";

/// Waits for the roll-out, up to a bound.
pub(crate) fn wait(kubectl: &Kubectl<'_>, namespace: &str, bound: Duration) -> anyhow::Result<()> {
    let ui = &kubectl.environment.ui;
    let end = Instant::now() + bound;
    let mut told = BTreeSet::new();
    loop {
        ui.phase("waiting until the api-server is ready");
        let (deployment, pods, events) = observe(kubectl, namespace)?;
        let reasons = match diagnosis::look(&deployment, &pods, &events) {
            Rollout::Done => {
                ui.quiet();
                return Ok(());
            }
            Rollout::Waiting(reasons) => reasons,
        };
        for reason in &reasons {
            // A pod that fails again and again says its reason in ever other numbers; the hint comes once all the same.
            if told.insert(reason.words.clone()) {
                tell(kubectl, reason, told.len());
            }
        }
        if Instant::now() >= end {
            ui.quiet();
            if reasons.iter().any(|reason| reason.see_log) {
                show_log(kubectl, namespace)?;
            }
            let last = reasons.last().map_or("the cluster does not say why", |reason| reason.words.as_str());
            bail!(
                "the api-server was not ready within {} s: {last}; it is left as it is, and the roll-out may still go on",
                bound.as_secs()
            );
        }
        pause(kubectl)?;
    }
}

fn tell(kubectl: &Kubectl<'_>, reason: &Reason, number: usize) {
    // Twenty different reasons are enough to understand; a message may hold a counter.
    if number > 20 {
        return;
    }
    kubectl.environment.ui.note(&reason.words);
    if let Some(hint) = reason.hint {
        kubectl.environment.ui.note(&format!("  hint: {hint}"));
    }
}

fn pause(kubectl: &Kubectl<'_>) -> anyhow::Result<()> {
    let end = Instant::now() + PAUSE;
    while Instant::now() < end {
        kubectl.environment.interrupt.check()?;
        std::thread::park_timeout(Duration::from_millis(50));
    }
    Ok(())
}

/// Looks at everything that can say something. A look that fails for a moment is taken again.
fn observe(kubectl: &Kubectl<'_>, namespace: &str) -> anyhow::Result<(Value, Vec<Value>, Vec<Value>)> {
    let deployment = kubectl.get(&format!("deployment/{SERVER}"), Some(namespace))?.unwrap_or_default();
    let selector = format!("app.kubernetes.io/name={SERVER}");
    let pods = list(kubectl, &["get", "pods", "-n", namespace, "-l", &selector, "-o", "json"])?;
    let events = list(kubectl, &["get", "events", "-n", namespace, "-o", "json"])?;
    Ok((deployment, pods, events))
}

/// Lists what may be listed; who may not see pods or events waits all the same, with fewer words.
fn list(kubectl: &Kubectl<'_>, arguments: &[&str]) -> anyhow::Result<Vec<Value>> {
    let answer = kubectl.ask(arguments)?;
    if !answer.status.success() {
        return Ok(Vec::new());
    }
    Ok(super::json(&answer.output)?["items"].as_array().cloned().unwrap_or_default())
}

fn show_log(kubectl: &Kubectl<'_>, namespace: &str) -> anyhow::Result<()> {
    let deployment = format!("deployment/{SERVER}");
    let now = ["logs", &deployment, "-n", namespace, LOG_LINES];
    let before = ["logs", &deployment, "-n", namespace, LOG_LINES, "--previous"];
    for arguments in [&before[..], &now] {
        let answer = kubectl.ask(arguments)?;
        if answer.status.success() && !answer.output.trim().is_empty() {
            kubectl.environment.ui.note("the last lines of the api-server's log:");
            answer.output.lines().for_each(|line| kubectl.environment.ui.log(line));
            break;
        }
    }
    Ok(())
}
