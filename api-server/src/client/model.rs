//! The answers of the API, as far as clients read them.

use jiff::Timestamp;
use serde::Deserialize;

use crate::model::{JobStatus, StepStatus};

/// A list of resources.
#[derive(Debug, Clone, Deserialize)]
#[non_exhaustive]
pub struct List<T> {
    /// The resources.
    pub items: Vec<T>,
}

/// An organization, a workspace or a template, by ID and name.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[non_exhaustive]
pub struct Named {
    /// The ID.
    pub id: String,
    /// The name.
    pub name: String,
}

/// One run of a template on a workspace.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Job {
    /// The ID.
    pub id: i64,
    /// The status.
    pub status: JobStatus,
    /// Why it has this status, if there is more to say.
    pub message: Option<String>,
    /// The steps, in order.
    pub steps: Vec<Step>,
}

/// One step of a job.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Step {
    /// The name in the template.
    pub name: String,
    /// The status.
    pub status: StepStatus,
    /// Why it has this status, if there is more to say.
    pub message: Option<String>,
    /// When its first attempt started.
    pub started_at: Option<Timestamp>,
    /// When it ended.
    pub ended_at: Option<Timestamp>,
    /// The attempts, in order.
    pub attempts: Vec<Attempt>,
}

/// One attempt at a step: one Kubernetes Job.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Attempt {
    /// The ID.
    pub id: String,
    /// The name of its Kubernetes Job.
    pub kubernetes_job: String,
    /// Why it ended, if there is more to say.
    pub message: Option<String>,
}

impl Job {
    /// Returns every attempt with its step, in order.
    pub fn attempts(&self) -> impl Iterator<Item = (&Step, &Attempt)> {
        self.steps.iter().flat_map(|step| step.attempts.iter().map(move |attempt| (step, attempt)))
    }

    /// Returns the most specific reason for the status of the job.
    #[must_use]
    pub fn reason(&self) -> Option<&str> {
        let is_success = |step: &Step| matches!(step.status, StepStatus::Completed | StepStatus::NotExecuted);
        let failed = self.steps.iter().filter(|step| !is_success(step));
        let mut reasons = failed.filter_map(|step| {
            let last = step.attempts.last().and_then(|attempt| attempt.message.as_deref());
            step.message.as_deref().or(last)
        });
        reasons.next().or(self.message.as_deref())
    }
}
