//! The api-server of ephemeral agents: turns each step of a Terraform job into one throwaway Kubernetes Job.
//!
//! The program is in `main.rs`; this library is its parts, so that tests can use them one by one. From top to
//! bottom, each importing only modules below it: [`app`] (the commands), `serve` (assembles the server),
//! [`http`] (routes, one file per resource), [`orchestrator`] (pure decisions in [`orchestrator::decide`],
//! and a driver), [`attempt_building`] (from records to a Kubernetes Job), [`services`] (what all of them
//! share), [`store`], [`blobs`] and [`logs`] (what is kept), [`model`] (the records).
//!
//! It composes `config-core`, `job-spec` and `k8s-backend`, and holds no knowledge of theirs.

pub mod app;
pub mod attempt_building;
pub mod backend;
pub mod blobs;
pub mod cli;
pub mod client;
pub mod connections;
mod data_folder;
pub mod decision_rules;
pub mod encryption;
pub mod evidence;
mod explain;
pub mod http;
pub mod limits;
pub mod logs;
pub mod messages;
pub mod model;
mod operator_files;
pub mod orchestrator;
mod redaction;
mod serve;
pub mod services;
pub mod state_document;
pub mod store;
pub mod template;
pub mod token;
mod variable_checks;
