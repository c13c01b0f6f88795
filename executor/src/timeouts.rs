//! The timeouts of the executor, in one place.

use std::time::Duration;

/// How long the executor waits or retries.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Timeouts {
    /// For the claim. Nothing has happened yet, so the cluster can start the attempt again.
    pub(crate) claim: Duration,
    /// For the rest of the log, and for the result. Without them the api-server does not know what terraform
    /// did.
    pub(crate) report: Duration,
    /// For the rest of the copy on standard output.
    pub(crate) stdout: Duration,
    /// For downloading and uploading the plan file, and for a state that terraform could not store itself.
    pub(crate) transfer: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            claim: Duration::from_mins(2),
            report: Duration::from_mins(10),
            stdout: Duration::from_secs(10),
            transfer: Duration::from_mins(10),
        }
    }
}
