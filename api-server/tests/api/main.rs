//! The HTTP API and the orchestrator in one process, over an in-memory backend that each test controls.

#![expect(clippy::unwrap_used, reason = "a failed test reports line and value")]

mod approvals;
mod attempts;
mod bundles;
mod collections;
mod limits;
mod logs;
mod policy;
#[path = "../support/postgres.rs"]
#[expect(clippy::print_stderr, reason = "skipped tests say so")]
mod postgres;
mod problems;
mod reference;
mod repository;
mod scheduling;
mod states;
pub(crate) mod support;
mod templates;
mod unknown;
mod variables;
