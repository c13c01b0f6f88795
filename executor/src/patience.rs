//! How long the executor keeps trying when somebody does not answer.
//!
//! Only numbers. They are arguments of the library so that tests of the impatient end need not wait.

use std::time::Duration;

/// The bounds of waiting for the api-server.
#[derive(Debug, Clone, Copy)]
pub struct Patience {
    /// For the claim. Nothing has happened yet, so the cluster may as well start the attempt anew.
    pub claim: Duration,
    /// For the rest of the log and for the result. What terraform did is lost to the server if it is not told.
    pub deliver: Duration,
    /// For downloading and uploading the plan file, and for a state that terraform could not store itself.
    pub transfer: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self {
            claim: Duration::from_mins(2),
            deliver: Duration::from_mins(10),
            transfer: Duration::from_mins(10),
        }
    }
}
