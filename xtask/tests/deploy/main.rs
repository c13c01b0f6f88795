//! The commands for `deploy/`, run as users run them, without a cluster.
//!
//! The results are checked by the JSON schemas of Kubernetes, `helm` and `kubectl kustomize`. `.ci/run`
//! installs all three; without them tests are skipped with a message on a laptop, and fail in a pipeline.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail by a panic")]

mod chart;
mod commands;
mod kustomize;
mod schemas;
mod support;
