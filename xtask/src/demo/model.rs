//! The answers of the HTTP API, as far as a demo reads them.

use std::fmt;

use serde::Deserialize;

/// A list as the API answers it.
#[derive(Debug, Deserialize)]
pub(super) struct Items<T> {
    pub(super) items: Vec<T>,
}

/// Anything with an id and a name.
#[derive(Debug, Deserialize)]
pub(super) struct Named {
    pub(super) id: String,
    pub(super) name: String,
}

/// One run of a template on a workspace.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Job {
    pub(super) id: u64,
    pub(super) status: Status,
    pub(super) message: Option<String>,
    pub(super) steps: Vec<Step>,
}

/// One step of a job.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Step {
    pub(super) name: String,
    pub(super) status: Status,
    pub(super) message: Option<String>,
    pub(super) started_at: Option<jiff::Timestamp>,
    pub(super) ended_at: Option<jiff::Timestamp>,
    pub(super) attempts: Vec<Attempt>,
}

/// One try at a step.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Attempt {
    pub(super) id: String,
    pub(super) kubernetes_job: String,
    pub(super) message: Option<String>,
}

/// Where a job or a step stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) enum Status {
    Pending,
    Running,
    WaitingApproval,
    Completed,
    NoChanges,
    NotExecuted,
    Failed,
    Rejected,
    Cancelled,
    Unknown,
}

impl Status {
    /// Tells whether nothing follows unless a person does something. An unknown job counts: only a person can decide it.
    pub(super) fn is_final(self) -> bool {
        !matches!(self, Self::Pending | Self::Running | Self::WaitingApproval)
    }

    /// Tells whether this is how things should end.
    pub(super) fn is_good(self) -> bool {
        matches!(self, Self::Completed | Self::NoChanges | Self::NotExecuted)
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Pending => "pending",
            Self::Running => "running",
            Self::WaitingApproval => "waiting for approval",
            Self::Completed => "completed",
            Self::NoChanges => "no changes",
            Self::NotExecuted => "not executed",
            Self::Failed => "failed",
            Self::Rejected => "rejected",
            Self::Cancelled => "cancelled",
            Self::Unknown => "unknown",
        })
    }
}

impl Job {
    /// Lists every attempt with its step, in order.
    pub(super) fn attempts(&self) -> impl Iterator<Item = (&Step, &Attempt)> {
        self.steps.iter().flat_map(|step| step.attempts.iter().map(move |attempt| (step, attempt)))
    }

    /// Says why the job is where it is, in the most exact words there are.
    pub(super) fn reason(&self) -> Option<&str> {
        let of_steps = self.steps.iter().filter(|step| !step.status.is_good()).find_map(|step| {
            step.message
                .as_deref()
                .or_else(|| step.attempts.last().and_then(|attempt| attempt.message.as_deref()))
        });
        of_steps.or(self.message.as_deref())
    }
}
