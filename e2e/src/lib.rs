//! The product as its users meet it: its programs, its HTTP API, its live logs,
//! on one machine and on a cluster.
//!
//! Five programs share this library: `demo` ([`demo`]), `e2e` ([`scenarios`]), `chaos` ([`chaos`]), `memory`
//! ([`memory`]) and `search` ([`search`]). `cargo xtask` with the name of one builds it together with the
//! api-server and the executor, whose programs it finds beside its own. The search needs neither.
//!
//! In reading order: [`demo`]; `registration`, `follow` and `settle` (what a user does with the HTTP API);
//! `server` (starts an api-server); [`scenarios`] with `backend_scenarios` (Kubernetes Jobs that succeed and
//! fail) and `main_job` (plan, approval, apply, cancel, restarts).

mod account;
mod backend_scenarios;
pub mod chaos;
pub mod demo;
mod environment;
mod follow;
mod kubectl;
mod log_lines;
mod main_job;
pub mod memory;
#[path = "../../api-server/tests/support/postgres.rs"]
#[expect(clippy::unwrap_used, clippy::expect_used, clippy::print_stderr, reason = "shared with tests")]
mod postgres;
mod registration;
mod report;
mod role;
pub mod scenarios;
pub mod search;
mod server;
mod session;
mod settle;
mod signals;
mod state;
mod summary;
mod tool;
mod ui;

use std::process::ExitCode;

/// Prints how a program ended, and returns its exit code.
#[must_use]
pub fn exit_code(result: &anyhow::Result<()>) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) if error.is::<signals::Interrupted>() => {
            ui::Ui::for_terminal().note("interrupted");
            ExitCode::from(130)
        }
        Err(error) => {
            ui::Ui::for_terminal().error(error);
            ExitCode::FAILURE
        }
    }
}
