//! The answers of the HTTP API, as far as it is read here.

use std::fmt;

use serde::Deserialize;

/// A list as the API answers it.
#[derive(Debug, Deserialize)]
pub(crate) struct Items<T> {
    pub(crate) items: Vec<T>,
}

/// Anything with an id and a name.
#[derive(Debug, Deserialize)]
pub(crate) struct Named {
    pub(crate) id: String,
    pub(crate) name: String,
}

/// One run of a template on a workspace.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Job {
    pub(crate) id: u64,
    pub(crate) status: Status,
    pub(crate) message: Option<String>,
    pub(crate) steps: Vec<Step>,
}

/// One step of a job.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Step {
    pub(crate) name: String,
    pub(crate) status: Status,
    pub(crate) message: Option<String>,
    pub(crate) started_at: Option<jiff::Timestamp>,
    pub(crate) ended_at: Option<jiff::Timestamp>,
    pub(crate) attempts: Vec<Attempt>,
}

/// One try at a step.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Attempt {
    pub(crate) id: String,
    pub(crate) kubernetes_job: String,
    pub(crate) message: Option<String>,
}

/// Where a job or a step stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum Status {
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
    pub(crate) fn is_final(self) -> bool {
        !matches!(self, Self::Pending | Self::Running | Self::WaitingApproval)
    }

    /// Tells whether this is how things should end.
    pub(crate) fn is_good(self) -> bool {
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
    pub(crate) fn attempts(&self) -> impl Iterator<Item = (&Step, &Attempt)> {
        self.steps.iter().flat_map(|step| step.attempts.iter().map(move |attempt| (step, attempt)))
    }

    /// Says why the job is where it is, in the most exact words there are.
    pub(crate) fn reason(&self) -> Option<&str> {
        let of_steps = self.steps.iter().filter(|step| !step.status.is_good()).find_map(|step| {
            step.message
                .as_deref()
                .or_else(|| step.attempts.last().and_then(|attempt| attempt.message.as_deref()))
        });
        of_steps.or(self.message.as_deref())
    }
}
