//! The tests of `tests/api` on PostgreSQL, and those of several replicas.

#![expect(clippy::unwrap_used, reason = "a failed test reports line and value")]

#[path = "api/main.rs"]
mod api;
#[path = "api_postgres/replicas.rs"]
mod replicas;
