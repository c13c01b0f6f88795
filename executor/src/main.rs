//! The program: reads the environment once, writes its own log to standard error and runs the attempt.
//!
//! Everything else is in the library, see [`executor`].

use std::process::ExitCode;

use config_core::EnvSnapshot;
use tracing_subscriber::EnvFilter;

#[tokio::main]
async fn main() -> ExitCode {
    #[expect(clippy::disallowed_methods, reason = "this is the one place that reads the environment")]
    let variables = std::env::vars_os();
    // A variable that is not UTF-8 cannot be one of ours, and no text protocol could carry it to terraform.
    let env: EnvSnapshot = variables
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .collect();
    let filter = EnvFilter::try_new(env.get("RUST_LOG").unwrap_or("info")).unwrap_or_default();
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).with_ansi(false).init();
    executor::close_process();
    ExitCode::from(executor::run(&env).await.code())
}
