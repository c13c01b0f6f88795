//! What decisions depend on beside the stored job.

use std::time::Duration;

use jiff::Timestamp;

use crate::{
    messages::Place,
    model::{Slot, WorkspaceHold},
};

/// The settings that decisions depend on.
#[derive(Debug, Clone)]
pub struct Rules {
    /// How long a Kubernetes Job may wait for one and the same thing before its executor calls the server.
    pub start_timeout: Duration,
    /// How long an executor that runs may be silent before its job says so.
    pub lost_contact_timeout: Duration,
    /// How often a claimed plan is repeated that was lost to the cluster.
    pub plan_retries: u32,
    /// When this server started: before that, no executor could have reached it.
    pub started_at: Timestamp,
    /// Where executors run and what they call, for messages.
    pub place: Place,
}

impl Rules {
    /// How often an executor that has nothing else to send calls the server: eight times before contact is
    /// lost, so that single calls may fail, and at least every 15 seconds.
    #[must_use]
    pub fn heartbeat_seconds(&self) -> u32 {
        let eighth = self.lost_contact_timeout.as_secs() / 8;
        u32::try_from(eighth.clamp(1, 15)).unwrap_or(15)
    }
}

/// What a decision depends on beside the job and the time.
#[derive(Debug, Clone)]
pub struct View<'a> {
    /// Who holds the workspace.
    pub hold: WorkspaceHold,
    /// Whether the job may start its next step.
    pub slot: Slot,
    /// The settings.
    pub rules: &'a Rules,
}
