//! The program: reads the environment once, writes its own log to standard error and runs the attempt.
//!
//! Everything else is in the library, see [`executor`].

use std::process::ExitCode;

use config_core::EnvSnapshot;
use tracing_subscriber::EnvFilter;

/// Number of threads beside the main one: for the log and the requests, while the main one reads output.
const WORKERS: usize = 2;

fn main() -> ExitCode {
    if let Some(code) = executor::launch(std::env::args_os()) {
        return code;
    }
    #[expect(clippy::disallowed_methods, reason = "this is the one place that reads the environment")]
    let variables = std::env::vars_os();
    // A variable that is not UTF-8 cannot be one of ours, and no text protocol could carry it to terraform.
    let env: EnvSnapshot = variables
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .collect();
    let filter = EnvFilter::try_new(env.get("RUST_LOG").unwrap_or("info")).unwrap_or_default();
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).with_ansi(false).init();
    executor::close_process();
    executor::own_children();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(WORKERS).enable_all().build();
    let runtime = match runtime {
        Ok(runtime) => runtime,
        Err(error) => {
            tracing::error!(%error, "could not start the threads of the executor");
            return ExitCode::from(job_spec::ExitCode::Internal.code());
        }
    };
    // The main thread starts the children: it is the thread whose death they are told of.
    let code = runtime.block_on(executor::run(&env));
    // What still waits, such as a write to a closed pipe, must not hold up the end.
    runtime.shutdown_background();
    ExitCode::from(code.code())
}
