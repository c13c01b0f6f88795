//! The commands around `deploy/`, run as a user runs them, without a cluster.
//!
//! Judges from outside: the JSON schemas of Kubernetes for every object, `helm` for the chart, `kubectl kustomize` for the
//! base. `.ci/run` brings all three; a laptop without them skips with a message, a pipeline fails.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail by a panic too")]

mod chart;
mod commands;
mod kustomize;
mod schemas;
mod support;
