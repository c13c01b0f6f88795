//! What routes and orchestrator share: store, files, backend and settings.

use std::{sync::Arc, time::Duration};

use config_core::{EphemeralSettings, Policy};
use k8s_backend::JobBackend;

use crate::{blobs::Blobs, logs::Logs, store::Store};

/// The services that routes and orchestrator use, shared in an `Arc`.
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
    /// The operator's rules for workspaces.
    pub policy: Policy,
    /// This server's address as executors reach it, without a slash at the end.
    pub api_url: String,
    /// How long a Kubernetes Job may wait for the same condition before its container starts.
    pub pod_start_timeout: Duration,
    /// Whether workspaces may use a folder of this machine as source, because executors run on this machine.
    pub local_sources: bool,
}

impl Services {
    /// Returns the address of an attempt, for its executor.
    #[must_use]
    pub fn attempt_url(&self, attempt_id: &str) -> String {
        format!("{}/executor/v1/attempts/{attempt_id}", self.api_url)
    }
}

/// Formats an error with its sources: `a: b: c`.
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
