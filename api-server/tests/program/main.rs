//! The built api-server with the local backend, real executors and real terraform.
//!
//! `program_tofu.rs` runs the same tests with tofu. These tests are few and slow. What needs no processes is
//! tested next to the code or in `tests/api`.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stderr,
    reason = "a failed test reports line and value"
)]

mod access;
mod bundles;
mod database_away;
mod explain;
mod failures;
mod main_job;
mod mounted_secrets;
mod planted_secrets;
#[path = "../support/postgres.rs"]
mod postgres;
mod replicas;
pub(crate) mod support;
