//! A cluster for trying things out on one machine: an API server in memory whose Jobs run as processes.
//!
//! Clients speak to it as to a real API server; there is no scheduler, no node and no image, and its pods are
//! not to be seen. `cargo xtask e2e --full --local` runs the main job on it.

use std::{collections::BTreeMap, io::Write as _, path::PathBuf, sync::Arc, time::Duration};

use anyhow::Context as _;
use clap::Parser;
use futures::StreamExt as _;
use k8s_backend::{
    Cause, JobBackend as _, JobPhase, LocalBackend, LocalOptions,
    testing::{ApiServer, PodEnd},
};
use k8s_openapi::api::batch::v1::Job;

/// How often it checks for created and deleted Jobs.
const POLL_INTERVAL: Duration = Duration::from_millis(50);

#[derive(Debug, Parser)]
struct Arguments {
    /// The one namespace
    #[arg(long)]
    namespace: String,
    /// The only accepted bearer token; its owner can run programs on this machine
    #[arg(env = "PROCESS_CLUSTER_TOKEN", hide_env_values = true)]
    token: String,
    /// The program that is run in place of every image's entry point
    #[arg(long)]
    entry_point: PathBuf,
    /// Folder for what the processes leave behind, with the Secrets of the namespace in `secrets`
    #[arg(long)]
    folder: PathBuf,
}

#[tokio::main]
#[expect(
    clippy::disallowed_methods,
    reason = "this program acts as a node, whose processes inherit the environment"
)]
async fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    let options = LocalOptions::new(arguments.folder.join("jobs"))
        .secrets(arguments.folder.join("secrets"))
        .entry_point(arguments.entry_point)
        .environment(std::env::vars());
    let local =
        Arc::new(LocalBackend::open(options).await.context("processes cannot be run in this folder")?);
    let server = ApiServer::new(&arguments.namespace);
    server.accept_only_token(&arguments.token);
    let listening = server.listen().await.context("there is no free port")?;
    writeln!(std::io::stdout(), "listening on {}", listening.url())?;
    control(&server, &local).await;
    Ok(())
}

/// Does the work of the Job controller and the kubelet, for as long as this program runs.
async fn control(server: &ApiServer, local: &Arc<LocalBackend>) {
    let mut known: BTreeMap<String, bool> = BTreeMap::new();
    loop {
        let names = server.names("jobs");
        known.retain(|name, _| names.contains(name));
        for name in names {
            let is_cancelled = known.entry(name.clone()).or_insert_with(|| {
                tokio::spawn(run(server.clone(), Arc::clone(local), name.clone()));
                false
            });
            if !*is_cancelled && server.is_terminating(&name) {
                *is_cancelled = true;
                server.terminate_pod(&name);
                if let Err(error) = local.cancel(&name).await {
                    say(&name, &error);
                }
            }
        }
        tokio::time::sleep(POLL_INTERVAL).await;
    }
}

/// Runs one Job to its end.
async fn run(server: ApiServer, local: Arc<LocalBackend>, name: String) {
    server.create_pod(&name);
    let end = match follow(&server, &local, &name).await {
        Ok(end) => end,
        Err(error) => {
            say(&name, &error);
            PodEnd::Fails
        }
    };
    if server.object("jobs", &name).is_none() {
        return;
    }
    // A foreground deletion has waited for this; the end itself is no longer visible.
    if server.is_terminating(&name) {
        server.collect(&name);
    } else {
        server.end_pod(&name, &end);
    }
}

async fn follow(server: &ApiServer, local: &LocalBackend, name: &str) -> anyhow::Result<PodEnd> {
    let job: Job = serde_json::from_value(server.object("jobs", name).context("it is gone")?)?;
    local.submit(&job.into()).await?;
    let mut phases = local.watch(name);
    while let Some(phase) = phases.next().await {
        match phase? {
            JobPhase::Running if server.object("jobs", name).is_some() => server.start_pod(name),
            JobPhase::Ended(cause) => return Ok(end_of(&cause)),
            _ => {}
        }
    }
    anyhow::bail!("the watch ended before the process")
}

/// What a pod failure policy that names every exit code writes down about it.
fn end_of(cause: &Cause) -> PodEnd {
    match cause {
        Cause::Completed => PodEnd::Succeeds,
        Cause::ExitCode(Some(code)) => PodEnd::FailsByPolicy(*code),
        Cause::Signal(signal) => PodEnd::FailsByPolicy(128 + signal),
        Cause::DeadlineExceeded => PodEnd::ExceedsDeadline,
        _ => PodEnd::Fails,
    }
}

fn say(name: &str, error: &dyn std::fmt::Display) {
    let _ = writeln!(std::io::stderr(), "{name}: {error}");
}
