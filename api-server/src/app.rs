//! Runs the command of the command line.

use std::process::ExitCode;

use config_core::EnvSnapshot;

use crate::{
    cli::{Cli, Command},
    explain, serve,
};

/// Runs the command of the command line.
///
/// # Errors
/// The server could not start or stopped with an error; a Kubernetes Job could not be explained.
pub async fn run(cli: Cli, environment: EnvSnapshot) -> anyhow::Result<ExitCode> {
    match cli.command {
        Command::Serve(options) => serve::serve(options, &environment).await.map(|()| ExitCode::SUCCESS),
        Command::Explain(options) => explain::run(&options, &environment),
    }
}
