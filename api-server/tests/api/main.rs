//! The HTTP API and the orchestrator in one process, over an in-memory backend that each test controls.

#![expect(clippy::unwrap_used, reason = "a failed test reports line and value")]

mod attempts;
mod collections;
mod policy;
mod problems;
mod reference;
mod repository;
mod states;
mod support;
mod variables;
