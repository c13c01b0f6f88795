//! What the orchestrator does: the results of [`decide`](super::decide()).

use std::time::Duration;

use jiff::Timestamp;
use k8s_backend::Cause;

use crate::model::{AttemptStatus, JobStatus, StepStatus};

/// One thing to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Take the workspace and start.
    StartJob,
    /// Wait for a user at this step.
    AskApproval {
        /// Id of the step.
        step: String,
    },
    /// Store a new attempt with its Kubernetes Job.
    CreateAttempt {
        /// Id of the step.
        step: String,
        /// Number of the attempt.
        number: u32,
        /// It is not submitted before this time.
        not_before: Option<Timestamp>,
    },
    /// Submit the Kubernetes Job to the backend.
    Submit {
        /// Id of the attempt.
        attempt: String,
    },
    /// Prevent executors from claiming the attempt. Does nothing if one has claimed it.
    Fence {
        /// Id of the attempt.
        attempt: String,
    },
    /// Store why the job waits, for users.
    SetMessage {
        /// The message; `None` where there is nothing to say.
        message: Option<String>,
    },
    /// End the Kubernetes Job at the backend.
    CancelKubernetesJob {
        /// Id of the attempt.
        attempt: String,
        /// How long its pod is kept, because it shows why it did not start; `None` ends and deletes it now.
        keep: Option<Duration>,
    },
    /// Give up the attempt, because its Kubernetes Job did not start in time: no executor can claim it any
    /// more. Does nothing if one has claimed it.
    GiveUp {
        /// Id of the attempt.
        attempt: String,
        /// Why.
        cause: Cause,
    },
    /// Close the attempt. Does nothing if it was claimed or reported meanwhile.
    EndAttempt {
        /// Id of the attempt.
        attempt: String,
        /// Where it ends.
        status: AttemptStatus,
        /// The message for users.
        message: Option<String>,
        /// Whether later writes of its executor are refused. Not where the outcome is unknown: then a late
        /// state or report is valuable, and no other attempt can write, because the workspace stays locked.
        fence: bool,
    },
    /// Close the step.
    EndStep {
        /// Id of the step.
        step: String,
        /// Where it ends.
        status: StepStatus,
        /// The message for users.
        message: Option<String>,
    },
    /// Close the job; steps that never started become `notExecuted`. The workspace is unlocked unless the
    /// status is unknown.
    EndJob {
        /// Where it ends.
        status: JobStatus,
        /// The message for users.
        message: Option<String>,
    },
}

impl Action {
    /// Returns whether other jobs may go on after this, or wait for something else: a place may be free, or
    /// what they wait for is in another state.
    #[must_use]
    pub const fn concerns_other_jobs(&self) -> bool {
        match self {
            Self::StartJob
            | Self::AskApproval { .. }
            | Self::CreateAttempt { .. }
            | Self::EndAttempt { .. }
            | Self::EndStep { .. }
            | Self::EndJob { .. } => true,
            Self::Submit { .. }
            | Self::Fence { .. }
            | Self::SetMessage { .. }
            | Self::CancelKubernetesJob { .. }
            | Self::GiveUp { .. } => false,
        }
    }
}

/// The result of [`decide`](super::decide()).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Next {
    /// Do this, then decide again.
    Do(Action),
    /// Nothing to do until something is stored, or until this time.
    Wait(Option<Timestamp>),
    /// The job is over.
    Done,
}
