//! What the parts of the server share: store, files, backend and settings.

use std::{sync::Arc, time::Duration};

use config_core::{EphemeralSettings, Policy};
use k8s_backend::JobBackend;

use crate::{blobs::Blobs, logs::Logs, store::Store};

/// The parts that routes and the orchestrator work with; handed around in an `Arc`.
#[derive(Debug)]
pub struct Services {
    /// Records.
    pub store: Store,
    /// Plan files and states.
    pub blobs: Blobs,
    /// Logs of attempts.
    pub logs: Logs,
    /// Where Kubernetes Jobs run.
    pub backend: Arc<dyn JobBackend>,
    /// The operator's settings for executors.
    pub settings: EphemeralSettings,
    /// What the operator permits workspaces.
    pub policy: Policy,
    /// This server's address as executors reach it, without a slash at the end.
    pub api_url: String,
    /// How long a Kubernetes Job may wait for one and the same thing before its container starts.
    pub pod_start_timeout: Duration,
    /// Workspaces may name a folder of this machine as their source: only where executors run here too.
    pub local_sources: bool,
}

impl Services {
    /// Returns the address of an attempt, for its executor.
    #[must_use]
    pub fn attempt_url(&self, attempt_id: &str) -> String {
        format!("{}/executor/v1/attempts/{attempt_id}", self.api_url)
    }

    /// Returns the address of a workspace's state, for Terraform's `http` backend.
    #[must_use]
    pub fn state_url(&self, workspace_id: &str) -> String {
        format!("{}/state/v1/workspaces/{workspace_id}", self.api_url)
    }
}

/// Writes an error with its sources: `a: b: c`.
#[must_use]
pub fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        text.push_str(": ");
        text.push_str(&error.to_string());
        source = error.source();
    }
    text
}
