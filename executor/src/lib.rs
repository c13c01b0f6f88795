//! Runs one attempt at one step of a Terraform job and reports the result by its exit code.
//!
//! The whole input comes in the environment (`EphemeralFlagBatch`, `EphemeralJobData`, `EphemeralAttemptUrl`,
//! `EphemeralAttemptToken`). The messages to the api-server are those of [`job_spec::attempt_api`], the exit
//! codes are [`job_spec::ExitCode`]. The process runs one attempt, never a second one.
//!
//! The folder `phase` holds the phases in their order:
//!
//! ```text
//! decode ─► claim ─► fetch ─► engine ─► init ─► run ─► store ─► report ─► exit code
//! ```
//! Reading order: `attempt.rs` (the whole), `step.rs` (fetch to store), then one phase after another. Each
//! module imports only modules further down in this list:
//!
//! | module | subject |
//! |---|---|
//! | `attempt` | one attempt, from the environment to the exit code |
//! | `step` | one step, from its work directory to its report |
//! | `phase` | the phases |
//! | `child` | child processes: environment, arguments, output, signals |
//! | `log` | the log: masked, spooled to a file, uploaded, copied to standard output |
//! | `memory` | watches the memory limit of the container |
//! | `state_proxy` | the address of the state that terraform gets |
//! | `network`, `authorities` | proxies and certificates for children and downloads |
//! | `api` | HTTP client for the api-server, with the only retries of this crate |
//! | `hardening` | protects the memory of this process |
//! | `file_tree` | the files of a folder, to see what has changed |
//! | `archive` | tar.gz archives: sources, and what a plan leaves behind |
//! | `step_report`, `stop`, `termination`, `timeouts`, `work_paths`, `error_chain` | values and helpers |
//!
//! Child processes never wait for the api-server: the log goes through a file between the two.

mod api;
pub mod archive;
mod attempt;
mod authorities;
mod child;
mod error_chain;
mod file_tree;
mod hardening;
mod log;
mod memory;
mod network;
mod phase;
mod regular_file;
mod state_proxy;
mod step;
mod step_report;
mod stop;
mod termination;
mod timeouts;
mod work_paths;

pub use attempt::run;
pub use child::launcher::{launch, own_children};
pub use hardening::close_process;
