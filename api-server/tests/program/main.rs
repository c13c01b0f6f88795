//! The program as people run it: the built api-server with the local backend, real executors, real terraform.
//!
//! Few and slow on purpose; what can be tested without processes is tested beside the code or in `tests/api`.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stderr,
    reason = "a test that fails says where and why"
)]

mod access;
mod explain;
mod failures;
mod main_job;
mod mounted_secrets;
mod support;
