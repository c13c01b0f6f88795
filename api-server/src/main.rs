//! The api-server program: reads the environment once, sets up logging, and runs the library.

use std::io::{IsTerminal as _, stderr};

use api_server::{app, cli::Cli};
use clap::Parser as _;
use config_core::EnvSnapshot;
use tracing_subscriber::EnvFilter;

#[tokio::main]
#[expect(clippy::disallowed_methods, reason = "the one place that reads the environment")]
async fn main() -> anyhow::Result<()> {
    let cli = Cli::parse();
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(stderr)
        .with_ansi(stderr().is_terminal())
        .init();
    // Variables that are not Unicode are none of ours.
    let variables = std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)));
    app::run(cli, variables.collect::<EnvSnapshot>()).await
}
