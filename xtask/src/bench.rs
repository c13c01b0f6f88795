//! `cargo xtask bench`: how long things take, one file for each thing that is measured.
//!
//! Numbers of a busy machine say little; a ratio of two numbers of one run says more.

mod dispatch;
mod spec;

use clap::Subcommand;

use crate::environment::Environment;

#[derive(Debug, Subcommand)]
pub(crate) enum Bench {
    /// From settings and a payload to a Kubernetes Job, as a ratio to writing the same Job down as JSON
    Spec,
    /// Jobs a second through the Kubernetes backend, as a ratio to bare POSTs; memory and time to the first observation
    Dispatch(dispatch::Args),
}

/// Measures one thing and prints it.
pub(crate) fn run(environment: &Environment, bench: &Bench) -> anyhow::Result<()> {
    match bench {
        Bench::Spec => spec::run(environment),
        Bench::Dispatch(args) => dispatch::run(environment, args),
    }
}
