//! The timeouts of the executor, in one place.

use std::time::Duration;

/// How long the executor waits or retries.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Timeouts {
    /// For the claim. Nothing has happened yet, so the cluster can start the attempt again.
    pub(crate) claim: Duration,
    /// For the lock of the work directory.
    pub(crate) work_dir: Duration,
    /// For the rest of the log.
    pub(crate) log: Duration,
    /// For the result. Without it the api-server does not know what terraform did.
    pub(crate) report: Duration,
    /// For the rest of the copy on standard output.
    pub(crate) stdout: Duration,
    /// For downloading and uploading the plan file, and for a state that terraform could not store itself.
    /// The grace period ends it earlier, by KILL.
    pub(crate) transfer: Duration,
    /// For a request of terraform about the state. Terraform waits meanwhile: a failure would end the apply.
    pub(crate) lost_contact: Duration,
    /// The same after a stop request, so that terraform can write its state to a file within the grace
    /// period. It is shorter where the grace period is.
    pub(crate) lost_contact_after_stop: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            claim: Duration::from_mins(2),
            work_dir: Duration::from_secs(2),
            log: Duration::from_mins(10),
            report: Duration::from_hours(4),
            stdout: Duration::from_secs(10),
            transfer: Duration::from_mins(10),
            lost_contact: Duration::from_hours(4),
            lost_contact_after_stop: Duration::from_mins(1),
        }
    }
}
