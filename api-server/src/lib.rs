//! The api-server of ephemeral agents: turns each step of a Terraform job into one throwaway Kubernetes Job.
//!
//! The program is in `main.rs`; this library is its parts, so that tests can take them one by one. Read in this order:
//! [`model`] (the words), [`orchestrator`] (what happens when; its heart, [`orchestrator::decide`], is pure), [`store`]
//! (what is kept), [`routes`] (who may ask for what), [`app`] (how it is put together).
//!
//! It composes `config-core`, `job-spec` and `k8s-backend`, and holds no knowledge of theirs.

pub mod app;
pub mod attempt_building;
pub mod auth;
pub mod blobs;
pub mod cli;
mod explain;
pub mod logs;
pub mod model;
pub mod orchestrator;
pub mod prepared;
pub mod problem;
pub mod routes;
pub mod secret_box;
pub mod services;
pub mod store;
pub mod template;
pub mod token;
