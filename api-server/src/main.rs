//! The api-server program: reads the environment once, sets up logging, runs the library, and says what went wrong.

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
            complain(&error);
            ExitCode::FAILURE
        }
    }
}

/// Variables that are not Unicode are none of ours.
#[expect(clippy::disallowed_methods, reason = "the one place that reads the environment")]
fn environment() -> EnvSnapshot {
    let unicode = |(name, value): (std::ffi::OsString, std::ffi::OsString)| {
        Some((name.into_string().ok()?, value.into_string().ok()?))
    };
    std::env::vars_os().filter_map(unicode).collect()
}

/// Says what and why, a line each; a backtrace helps nobody who has to mend a setting.
#[expect(clippy::print_stderr, reason = "the log may be switched off, this may not")]
fn complain(error: &anyhow::Error) {
    eprintln!("error: {error}");
    for cause in error.chain().skip(1) {
        eprintln!("{cause}");
    }
}
