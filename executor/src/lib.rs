//! Runs one attempt at one step of a Terraform job, and says by its exit code how that went.
//!
//! The whole input comes in the environment (`EphemeralFlagBatch`, `EphemeralJobData`, `EphemeralAttemptUrl`,
//! `EphemeralAttemptToken`); the messages to the api-server are those of [`job_spec::attempt_api`]; the exit codes are
//! [`job_spec::ExitCode`]. It never runs a second attempt, and it downloads no terraform.
//!
//! ```text
//! input ─► claim ─► fetch ─► init ─► plan | apply | destroy ─► upload ─► result ─► exit code
//!           api     source   └──────── runner ────────┘         api       api      verdict
//! ```
//! Read the happy path first: `app.rs`, then `step.rs`, then `runner.rs`. Two rules hold it together: nothing
//! but `api.rs` speaks to the server, and what runs children (`runner.rs`, `process.rs`, `source`) waits for no network but
//! its children's own. The log goes through a file between the two, so an absent server never holds terraform up.

mod api;
mod app;
mod chain;
mod child_env;
mod engine;
mod input;
mod log;
mod patience;
mod places;
mod process;
mod runner;
mod source;
mod step;
mod stop;
mod verdict;
mod words;

pub use app::run;
