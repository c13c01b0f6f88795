//! The api-server program: reads the environment once, sets up logging, runs the library, and prints its
//! error.

use std::{
    io::{IsTerminal as _, stderr},
    process::ExitCode,
};

use api_server::{app, cli::Cli};
use clap::Parser as _;
use config_core::EnvSnapshot;
use tracing_subscriber::EnvFilter;

#[tokio::main]
async fn main() -> ExitCode {
    let cli = Cli::parse();
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(stderr)
        .with_ansi(stderr().is_terminal())
        .init();
    match app::run(cli, environment()).await {
        Ok(code) => code,
        Err(error) => {
            print_error(&error);
            ExitCode::FAILURE
        }
    }
}

/// Returns the variables of the environment that are Unicode; no setting is another one.
#[expect(clippy::disallowed_methods, reason = "the one place that reads the environment")]
fn environment() -> EnvSnapshot {
    let unicode = |(name, value): (std::ffi::OsString, std::ffi::OsString)| {
        Some((name.into_string().ok()?, value.into_string().ok()?))
    };
    std::env::vars_os().filter_map(unicode).collect()
}

/// Prints an error and its causes, a line each.
#[expect(clippy::print_stderr, reason = "the log can be disabled, this must be seen")]
fn print_error(error: &anyhow::Error) {
    eprintln!("error: {error}");
    for cause in error.chain().skip(1) {
        eprintln!("{cause}");
    }
}
