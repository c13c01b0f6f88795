//! Scenarios of the Kubernetes backend on a real cluster: Kubernetes Jobs that succeed, fail,
//! wait or are cancelled.
//!
//! The backend has the rights of the account under test. Changes by other clients (deletions, quotas) use
//! `kubectl` with the rights of the operator. In reading order: [`catalog`] (the list),
//! [`context`], [`watched`], [`jobs`].

mod catalog;
mod changes;
mod context;
mod ends;
mod jobs;
mod pending;
#[cfg(test)]
mod tests;
mod watched;

use std::{
    path::Path,
    time::{Duration, Instant},
};

use anyhow::{Context as _, bail};
use futures::{StreamExt as _, stream};
use job_spec::labels;
use k8s_backend::kube::{
    Client, Config,
    config::{KubeConfigOptions, Kubeconfig},
};
use k8s_backend::{JobRules, KubeBackend, KubeOptions};

use self::{
    catalog::{SCENARIOS, Scenario},
    context::ScenarioContext,
};
use crate::{kubectl::Kubectl, report::Outcome, role::Role};

/// For a whole scenario. Each wait in it has a shorter timeout with a better error message.
const TIMEOUT: Duration = Duration::from_mins(6);

/// Which scenarios run, and how many at a time.
#[derive(Debug)]
pub(crate) struct Selection<'a> {
    pub(crate) only: Option<&'a str>,
    pub(crate) parallel: usize,
}

/// Runs the scenarios in the namespace of `operator` and reports each as it ends.
///
/// # Errors
/// Not even a Job that does nothing has run.
pub(crate) async fn run(
    backend: KubeBackend,
    operator: &Kubectl,
    image: &str,
    role: Role,
    selection: &Selection<'_>,
    mut report: impl FnMut(Outcome),
) -> anyhow::Result<()> {
    let context = ScenarioContext::new(backend, operator, image, role);
    let mut scenarios = SCENARIOS.iter().zip(0..);
    if selection.only.is_none()
        && let Some((first, id)) = scenarios.next()
    {
        let outcome = run_one(&context, first, id).await;
        let is_passed = outcome.is_passed();
        report(outcome);
        if !is_passed {
            bail!(
                "no other scenario was run, because a Job that does nothing failed; \
                 can the nodes run {image:?}?"
            );
        }
    }
    let is_selected = |scenario: &Scenario| {
        selection.only.is_none_or(|part| scenario.name.contains(part))
            && (role == Role::Extended || !scenario.needs_extended_role)
    };
    let selected = scenarios.filter(|(scenario, _)| is_selected(scenario));
    let (exclusive, parallel): (Vec<_>, Vec<_>) = selected.partition(|(scenario, _)| scenario.is_exclusive);
    let mut running = stream::iter(parallel)
        .map(|(scenario, id)| run_one(&context, scenario, id))
        .buffer_unordered(selection.parallel.max(1));
    while let Some(outcome) = running.next().await {
        report(outcome);
    }
    for (scenario, id) in exclusive {
        report(run_one(&context, scenario, id).await);
    }
    Ok(())
}

/// Connects to the cluster of a kubeconfig.
pub(crate) async fn connect(kubeconfig: &Path, namespace: &str) -> anyhow::Result<KubeBackend> {
    let file = Kubeconfig::read_from(kubeconfig).context("cannot read the kubeconfig")?;
    let config = Config::from_custom_kubeconfig(file, &KubeConfigOptions::default()).await;
    let client = Client::try_from(config.context("the kubeconfig is not usable")?);
    Ok(KubeBackend::new(client.context("the kubeconfig is not usable")?, options(namespace)))
}

/// The options that the api-server uses.
fn options(namespace: &str) -> KubeOptions {
    KubeOptions::new()
        .namespace(namespace)
        .managed_by(labels::MANAGED_BY_VALUE)
        .rules(JobRules::new().identity_annotation(labels::SPEC_HASH))
}

async fn run_one(context: &ScenarioContext, scenario: &Scenario, id: u64) -> Outcome {
    let start = Instant::now();
    let result = match tokio::time::timeout(TIMEOUT, (scenario.run)(context.for_scenario(id))).await {
        Ok(result) => result.map_err(|error| format!("{error:#}")),
        Err(_) => Err(format!("it did not end within {} s", TIMEOUT.as_secs())),
    };
    Outcome::new(scenario.name, scenario.description, start.elapsed().as_secs_f64(), result)
}
