//! `cargo xtask bench dispatch`: how fast Jobs are handed to a cluster, beside bare POSTs over the same client.
//!
//! The measuring program is an example of k8s-backend, so that this one need not link a Kubernetes client.

use crate::{cmd::Cmd, environment::Environment};

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// How many Jobs each side sends
    #[arg(long, default_value_t = 2000)]
    jobs: usize,
    /// A context of the kubeconfig; without it an API server in memory
    #[arg(long)]
    context: Option<String>,
}

/// Builds the measuring program and runs it.
pub(crate) fn run(environment: &Environment, args: &Args) -> anyhow::Result<()> {
    let jobs = args.jobs.to_string();
    Cmd::cargo(["run", "--quiet", "--release", "-p", "k8s-backend", "--example", "dispatch", "--", &jobs])
        .args(args.context.as_deref())
        .run(environment)
}
