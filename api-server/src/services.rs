//! What routes and orchestrator share: store, files, backend and settings.

use std::{path::PathBuf, sync::Arc, time::Duration};

use config_core::{EphemeralSettings, Policy};
use jiff::Timestamp;
use k8s_backend::JobBackend;

use crate::{blobs::Blobs, decision_rules::Rules, logs::Logs, messages::Place, model::Limits, store::Store};

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
    /// What decisions about jobs depend on.
    pub rules: Rules,
    /// Folder for temporary files of executors, where they run on this machine.
    pub executor_temp: Option<PathBuf>,
    /// Whether workspaces may use a folder of this machine as source, because executors run on this machine.
    pub local_sources: bool,
}

impl Services {
    /// Returns the address of an attempt, for its executor.
    #[must_use]
    pub fn attempt_url(&self, attempt_id: &str) -> String {
        format!("{}/executor/v1/attempts/{attempt_id}", self.api_url)
    }

    /// Returns how many steps may run at a time.
    #[must_use]
    pub fn limits(&self) -> Limits {
        let limit = |count: u32| (count > 0).then_some(count);
        Limits {
            server: limit(self.settings.max_running_steps.value.get()),
            organization: limit(self.settings.max_running_steps_per_organization.value.get()),
        }
    }
}

/// Returns the rules of decisions that the settings of the operator make. `namespace` is that of the
/// Kubernetes Jobs, `None` where they run as processes of this machine.
#[must_use]
pub fn rules(
    settings: &EphemeralSettings,
    api_url: &str,
    namespace: Option<String>,
    start_timeout: Duration,
) -> Rules {
    Rules {
        start_timeout,
        lost_contact_timeout: settings.lost_contact_timeout.value.into(),
        plan_retries: settings.plan_retries.value.get(),
        started_at: Timestamp::now(),
        place: Place { api_url: api_url.to_owned(), namespace },
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
