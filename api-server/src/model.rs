//! The records of the store: plain data.

use jiff::Timestamp;
use job_spec::StepType;
use k8s_backend::{Cause, Waiting};
use serde::Serialize;

mod load;
mod source;
mod status;
mod step_settings;
mod variables;

pub use load::{Ahead, Candidate, Limits, Load, Slot, SlotWait};
pub use source::SourceAddress;
pub use status::{AttemptPhase, AttemptStatus, IacType, JobStatus, StepStatus, VariableCategory};
pub use step_settings::StepSettings;
pub use variables::{Collection, CollectionLayer, Variable, VariableLayers, VariableOwner};

/// An organization.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
#[expect(missing_docs, reason = "the fields are those of the API")]
pub struct Organization {
    pub id: String,
    pub name: String,
    pub created_at: Timestamp,
}

/// A workspace: one Terraform configuration with one state.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
#[expect(missing_docs, reason = "the fields are those of the API")]
pub struct Workspace {
    pub id: String,
    pub organization_id: String,
    pub name: String,
    pub source: SourceAddress,
    pub branch: String,
    pub folder: String,
    pub iac_type: IacType,
    pub terraform_version: String,
    pub locked_by_job: Option<i64>,
    pub created_at: Timestamp,
}

impl Workspace {
    /// Returns a workspace that does not exist, to check variables that belong to none.
    #[must_use]
    pub fn example(organization_id: &str) -> Self {
        Self {
            id: uuid::Uuid::nil().to_string(),
            organization_id: organization_id.to_owned(),
            name: "example".to_owned(),
            source: "https://git.example.com/example.git".into(),
            branch: "main".to_owned(),
            folder: "/".to_owned(),
            iac_type: IacType::Terraform,
            terraform_version: String::new(),
            locked_by_job: None,
            created_at: Timestamp::UNIX_EPOCH,
        }
    }
}

/// The lock of a workspace, seen from one job.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WorkspaceHold {
    /// Unlocked, and no earlier job waits for it.
    Free,
    /// Another job holds it, but this one only plans, and the other one is at rest: it waits for an approval,
    /// or this job checks its unknown outcome.
    Beside,
    /// Another job holds it, or an earlier one waits for it.
    Other(Blocker),
    /// This job holds it.
    This,
}

/// The job that another one waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Blocker {
    /// The job.
    pub job: i64,
    /// Its status.
    pub status: JobStatus,
}

/// A template: the steps that a job goes through.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
#[expect(missing_docs, reason = "the fields are those of the API")]
pub struct Template {
    pub id: String,
    pub organization_id: String,
    pub name: String,
    pub tcl: String,
}

/// A step of a new job.
#[derive(Debug, Clone)]
#[expect(missing_docs, reason = "the fields are those of the template")]
pub struct NewStep {
    pub number: u32,
    pub name: String,
    pub step_type: StepType,
    pub settings: StepSettings,
}

/// A job with its steps and their attempts.
#[derive(Debug, Clone)]
#[expect(missing_docs, reason = "the fields are those of the API")]
pub struct Job {
    pub id: i64,
    pub organization_id: String,
    pub workspace_id: String,
    pub template_id: String,
    pub status: JobStatus,
    pub message: Option<String>,
    pub cancel_requested: bool,
    /// The job with an unknown outcome that this one checks by a plan.
    pub recheck_of: Option<i64>,
    pub created_at: Timestamp,
    pub ended_at: Option<Timestamp>,
    /// In the order of their numbers.
    pub steps: Vec<Step>,
}

/// A step of a job.
#[derive(Debug, Clone)]
#[expect(missing_docs, reason = "the fields are those of the API")]
pub struct Step {
    pub id: String,
    pub number: u32,
    pub name: String,
    pub step_type: StepType,
    pub status: StepStatus,
    pub message: Option<String>,
    pub has_changes: Option<bool>,
    /// What the template says about it.
    pub settings: StepSettings,
    /// Who approved or rejected, when, and the digest of the plan that was approved.
    pub answer: Option<Answer>,
    pub started_at: Option<Timestamp>,
    pub ended_at: Option<Timestamp>,
    /// In the order of their numbers.
    pub attempts: Vec<Attempt>,
}

/// The answer of a user to an approval.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Answer {
    /// Name of the user's token.
    pub by: String,
    /// When.
    pub at: Timestamp,
    /// Digest of the plan that was approved, if there was one.
    pub plan_digest: Option<String>,
    /// Digest of what the plan step left beside the plan, which is approved with it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bundle_digest: Option<String>,
}

/// What a Kubernetes Job waits for, and since when.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WaitingSince {
    /// What the backend reported last.
    pub waiting: Waiting,
    /// When the backend first reported this kind of waiting.
    pub since: Timestamp,
}

impl WaitingSince {
    /// Updates with a newer report of the backend: a report of the same kind keeps the time of the first one.
    #[must_use]
    pub fn after(before: Option<&Self>, waiting: &Waiting, now: Timestamp) -> Self {
        let since = match before {
            Some(before) if before.waiting.is_same_kind(waiting) => before.since,
            _ => now,
        };
        Self { waiting: waiting.clone(), since }
    }
}

/// What the executor of an attempt may still do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AttemptAccess {
    /// Claim it.
    Unclaimed,
    /// Everything of a claimed attempt.
    Live,
    /// Nothing but to repeat its report.
    Reported,
    /// Nothing: it ended without a report.
    Ended,
}

impl AttemptAccess {
    /// Every variant.
    pub const ALL: [Self; 4] = [Self::Unclaimed, Self::Live, Self::Reported, Self::Ended];
}

impl Job {
    /// Returns the digest of the plan file that a step of this job would apply.
    #[must_use]
    pub fn plan_digest_before(&self, step_number: u32) -> Option<&str> {
        self.planned_before(step_number)?.plan_digest.as_deref()
    }

    /// Returns the attempt whose plan a step of this job would apply: that of the last completed plan step
    /// before it.
    #[must_use]
    pub fn planned_before(&self, step_number: u32) -> Option<&Attempt> {
        let planned = |step: &&Step| step.number < step_number && step.status == StepStatus::Completed;
        let mut attempts = self.steps.iter().filter(planned).flat_map(|step| &step.attempts);
        attempts.rfind(|attempt| attempt.status == AttemptStatus::Completed && attempt.plan_digest.is_some())
    }
}

/// One attempt at a step: one Kubernetes Job, one executor process.
#[derive(Debug, Clone)]
pub struct Attempt {
    /// Id (UUID).
    pub id: String,
    /// Counts from 1 within the step.
    pub number: u32,
    /// Name of its Kubernetes Job.
    pub kubernetes_job: String,
    /// Progress of the Kubernetes Job.
    pub phase: AttemptPhase,
    /// Whether its executor may still claim, write and report.
    pub live: bool,
    /// How many times submitting it failed because the backend was unavailable.
    pub submit_failures: u32,
    /// The next submit is not before this time.
    pub retry_at: Option<Timestamp>,
    /// Why the backend rejected its Kubernetes Job for good.
    pub refusal: Option<String>,
    /// Whether the backend accepted a request to cancel it.
    pub cancel_sent: bool,
    /// When an executor claimed it.
    pub claimed_at: Option<Timestamp>,
    /// When its executor was last heard of, to the second.
    pub last_contact_at: Option<Timestamp>,
    /// Digest of the plan file that its executor has stored.
    pub plan_digest: Option<String>,
    /// Digest of the bundle that its executor has stored beside the plan.
    pub bundle_digest: Option<String>,
    /// Whether its executor has handed in a state that could not be stored as a version.
    pub has_rescued_state: bool,
    /// What its executor reported.
    pub result: Option<job_spec::attempt_api::StepResult>,
    /// Why its Kubernetes Job ended, as the backend reported.
    pub cause: Option<Cause>,
    /// What its Kubernetes Job waits for, if it is not running yet.
    pub waiting: Option<WaitingSince>,
    /// How far it got.
    pub progress: Progress,
    /// Its status.
    pub status: AttemptStatus,
    /// A message for users.
    pub message: Option<String>,
    /// When it was stored.
    pub created_at: Timestamp,
    /// When it ended.
    pub ended_at: Option<Timestamp>,
}

impl Attempt {
    /// Returns an attempt that was just stored: nothing has happened to it.
    #[must_use]
    pub fn new(id: String, number: u32, kubernetes_job: String, created_at: Timestamp) -> Self {
        Self {
            id,
            number,
            kubernetes_job,
            phase: AttemptPhase::Prepared,
            live: true,
            submit_failures: 0,
            retry_at: None,
            refusal: None,
            cancel_sent: false,
            claimed_at: None,
            last_contact_at: None,
            plan_digest: None,
            bundle_digest: None,
            has_rescued_state: false,
            result: None,
            cause: None,
            waiting: None,
            progress: Progress::default(),
            status: AttemptStatus::Pending,
            message: None,
            created_at,
            ended_at: None,
        }
    }
}

/// How far an attempt got.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Progress {
    /// Why the last call of the backend failed; `None` after one that succeeded.
    pub last_error: Option<String>,
    /// Since when the cluster has refused its Kubernetes Job, if it still does.
    pub refused_since: Option<Timestamp>,
    /// When its container was first seen running.
    pub running_at: Option<Timestamp>,
    /// When its executor reported.
    pub reported_at: Option<Timestamp>,
    /// Its deadline and what has set it, as users read it: `1h30m (workspace variable …)`.
    pub deadline: Option<String>,
}

#[cfg(test)]
mod tests {
    use jiff::SignedDuration;

    use super::*;

    #[test]
    fn keeps_the_start_time_while_the_kind_of_waiting_is_the_same() {
        let (first, later) = (Timestamp::UNIX_EPOCH, Timestamp::UNIX_EPOCH + SignedDuration::from_mins(5));
        let no_node = |message: &str| Waiting::Unschedulable { message: message.to_owned() };
        let seen = WaitingSince::after(None, &no_node("0/1 nodes are available"), first);
        let again = WaitingSince::after(Some(&seen), &no_node("0/2 nodes are available"), later);
        assert_eq!((again.since, &again.waiting), (first, &no_node("0/2 nodes are available")));
        assert_eq!(WaitingSince::after(Some(&again), &Waiting::Starting, later).since, later);
    }
}
