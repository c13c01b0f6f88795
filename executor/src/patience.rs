//! How long the executor keeps trying when somebody does not answer.
//!
//! Only numbers, in one place.

use std::time::Duration;

/// The bounds of waiting.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Patience {
    /// For the claim. Nothing has happened yet, so the cluster may as well start the attempt anew.
    pub(crate) claim: Duration,
    /// For the rest of the log and for the result. What terraform did is lost to the server if it is not told.
    pub(crate) deliver: Duration,
    /// For the rest of the copy on stdout.
    pub(crate) copy: Duration,
    /// For downloading and uploading the plan file, and for a state that terraform could not store itself.
    pub(crate) transfer: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self {
            claim: Duration::from_mins(2),
            deliver: Duration::from_mins(10),
            copy: Duration::from_secs(10),
            transfer: Duration::from_mins(10),
        }
    }
}
