//! The scenarios of `cargo xtask e2e`: a backend and a real cluster, acted out in one namespace as one account.
//!
//! `cargo xtask e2e` makes the namespace, the account and its rights, starts this program once for each role, reads its lines,
//! and removes everything. It is an example, not a part of the library, and its own program, because it links the Kubernetes
//! client, which xtask does not. What other people do to our objects (delete them, set quotas) it does through `kubectl` with
//! the operator's rights; everything else it does with the rights of the account, through the backend.
//!
//! Each line of its standard output is one scenario that has ended, as JSON.
//! Reading order: [`scenarios`] (what is shown), [`stage`] (what they act with), [`follow`], [`jobs`], [`others`].

mod follow;
mod jobs;
mod others;
#[cfg(test)]
mod rehearsal;
mod scenarios;
mod stage;

use std::{
    io::Write as _,
    path::PathBuf,
    process::ExitCode,
    time::{Duration, Instant},
};

use anyhow::{Context as _, bail};
use clap::Parser;
use futures::{StreamExt as _, stream};
use job_spec::labels;
use k8s_backend::{JobRules, KubeBackend, KubeOptions};
use kube::{
    Client, Config,
    config::{KubeConfigOptions, Kubeconfig},
};
use serde_json::json;

use self::{
    others::Others,
    scenarios::{ALL, Scenario},
    stage::{Rights, Stage},
};

/// A scenario that takes longer has found something; each of its waits has a bound of its own, which says more.
const LONGEST: Duration = Duration::from_mins(6);

#[derive(Debug, Parser)]
struct Arguments {
    /// Kubeconfig of the account under test
    #[arg(long)]
    kubeconfig: PathBuf,
    /// Context of the operator's kubeconfig, for what other people do
    #[arg(long)]
    context: String,
    /// Namespace, made for this run alone
    #[arg(long)]
    namespace: String,
    /// Image with a shell
    #[arg(long)]
    image: String,
    /// What the account may do
    #[arg(long, value_enum)]
    role: Rights,
    /// Scenarios at a time
    #[arg(long, default_value_t = 3)]
    parallel: usize,
    /// Only scenarios whose name holds this
    #[arg(long)]
    only: Option<String>,
}

#[tokio::main]
async fn main() -> ExitCode {
    match run(Arguments::parse()).await {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "error: {error:#}");
            ExitCode::from(2)
        }
    }
}

/// Plays the scenarios; tells whether all of them went as they should.
async fn run(arguments: Arguments) -> anyhow::Result<bool> {
    let backend = connect(&arguments).await?;
    let others = Others::new(&arguments.context, &arguments.namespace);
    let stage = Stage::new(backend, others, &arguments.namespace, &arguments.image, arguments.role);
    let first = usize::from(arguments.only.is_none());
    let wanted = |scenario: &Scenario| {
        arguments.only.as_ref().is_none_or(|part| scenario.name.contains(part.as_str()))
            && (arguments.role == Rights::Extended || !scenario.only_extended)
    };
    let wanted = ALL.iter().zip(0..).skip(first).filter(|(scenario, _)| wanted(scenario));
    let (alone, together): (Vec<_>, Vec<_>) =
        wanted.partition(|(scenario, _)| scenario.changes_the_namespace);
    if arguments.only.is_none() && !play(&stage, &ALL[0], 0).await {
        bail!(
            "not even a Job that does nothing has run, so nothing else was played; can the node run {:?}?",
            arguments.image
        );
    }
    let mut all_good = true;
    let mut played = stream::iter(together)
        .map(|(scenario, id)| play(&stage, scenario, id))
        .buffer_unordered(arguments.parallel.max(1));
    while let Some(good) = played.next().await {
        all_good &= good;
    }
    for (scenario, id) in alone {
        all_good &= play(&stage, scenario, id).await;
    }
    Ok(all_good)
}

/// The options that the api-server uses.
fn options(namespace: &str) -> KubeOptions {
    KubeOptions::new()
        .namespace(namespace)
        .managed_by(labels::MANAGED_BY_VALUE)
        .rules(JobRules::new().identity_annotation(labels::SPEC_HASH))
}

async fn connect(arguments: &Arguments) -> anyhow::Result<KubeBackend> {
    let file = Kubeconfig::read_from(&arguments.kubeconfig).context("cannot read the kubeconfig")?;
    let config = Config::from_custom_kubeconfig(file, &KubeConfigOptions::default()).await;
    let client = Client::try_from(config.context("the kubeconfig is not usable")?);
    Ok(KubeBackend::new(client.context("the kubeconfig is not usable")?, options(&arguments.namespace)))
}

/// Plays one scenario and prints how it went.
async fn play(stage: &Stage, scenario: &Scenario, id: u64) -> bool {
    let start = Instant::now();
    let result = match tokio::time::timeout(LONGEST, (scenario.play)(stage.for_scenario(id))).await {
        Ok(result) => result,
        Err(_) => Err(anyhow::anyhow!("it did not end within {} s", LONGEST.as_secs())),
    };
    let (passed, text) = match result {
        Ok(saw) => (true, saw),
        Err(error) => (false, format!("{error:#}")),
    };
    let line = json!({
        "scenario": scenario.name,
        "shows": scenario.shows,
        "passed": passed,
        "seconds": start.elapsed().as_secs_f64(),
        "text": text,
    });
    // Nobody reads any more when xtask is gone, and then nobody needs to know.
    let _ = writeln!(std::io::stdout(), "{line}");
    passed
}
