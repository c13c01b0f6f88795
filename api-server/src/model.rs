//! The records of the store and the statuses they go through.
//!
//! Plain data; names of statuses are those of Terrakube's API where it has them.

use jiff::Timestamp;
use job_spec::StepType;
use k8s_backend::{Cause, Waiting};
use serde::{Deserialize, Serialize};

/// Makes an enumeration whose members are stored and sent as fixed texts.
macro_rules! text_enum {
    ($(#[$doc:meta])* $name:ident { $($(#[$member_doc:meta])* $member:ident = $text:literal,)+ }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
        pub enum $name {
            $($(#[$member_doc])* #[serde(rename = $text)] $member,)+
        }

        impl $name {
            /// Returns the text that stands for this member in the store and in the API.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$member => $text,)+ }
            }

            /// Finds the member of a text.
            ///
            /// # Errors
            /// The text itself, if it stands for no member.
            pub fn parse(text: &str) -> Result<Self, String> {
                match text { $($text => Ok(Self::$member),)+ other => Err(format!(concat!("unknown ", stringify!($name), " {:?}"), other)) }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl TryFrom<String> for $name {
            type Error = String;
            fn try_from(text: String) -> Result<Self, String> {
                Self::parse(&text)
            }
        }
    };
}

text_enum! {
    /// Where a job stands.
    JobStatus {
        /// It waits for its workspace.
        Pending = "pending",
        /// A step runs or is about to.
        Running = "running",
        /// A person has to approve.
        WaitingApproval = "waitingApproval",
        /// Every step was done.
        Completed = "completed",
        /// The plan found nothing to change; the later steps were not needed.
        NoChanges = "noChanges",
        /// A step failed.
        Failed = "failed",
        /// A person rejected it.
        Rejected = "rejected",
        /// A person cancelled it.
        Cancelled = "cancelled",
        /// An executor that may have changed infrastructure vanished without a report. The workspace stays held until a
        /// person has looked.
        Unknown = "unknown",
    }
}

impl JobStatus {
    /// Tells whether the job will do nothing more by itself.
    #[must_use]
    pub const fn is_final(self) -> bool {
        !matches!(self, Self::Pending | Self::Running | Self::WaitingApproval)
    }
}

text_enum! {
    /// Where a step stands.
    StepStatus {
        /// Its turn has not come.
        Pending = "pending",
        /// It has an attempt.
        Running = "running",
        /// It waits for a person.
        WaitingApproval = "waitingApproval",
        /// Done.
        Completed = "completed",
        /// Failed.
        Failed = "failed",
        /// Rejected by a person.
        Rejected = "rejected",
        /// Stopped because the job was cancelled.
        Cancelled = "cancelled",
        /// Never started, because the job ended before.
        NotExecuted = "notExecuted",
        /// Nobody knows what happened.
        Unknown = "unknown",
    }
}

text_enum! {
    /// Where an attempt stands, as people see it.
    AttemptStatus {
        /// No executor has taken it yet.
        Pending = "pending",
        /// An executor has claimed it.
        Running = "running",
        /// The executor reported success.
        Completed = "completed",
        /// The executor reported failure, or the attempt could not start.
        Failed = "failed",
        /// Stopped.
        Cancelled = "cancelled",
        /// It ended without a report.
        Lost = "lost",
    }
}

text_enum! {
    /// How far the server got with an attempt's Kubernetes Job.
    AttemptPhase {
        /// Stored; nobody knows whether its Kubernetes Job exists.
        Prepared = "prepared",
        /// The backend has taken the Kubernetes Job.
        Submitted = "submitted",
        /// Over.
        Ended = "ended",
    }
}

text_enum! {
    /// What a variable becomes.
    VariableCategory {
        /// A Terraform input variable.
        Terraform = "TERRAFORM",
        /// An environment variable.
        Env = "ENV",
    }
}

text_enum! {
    /// Which program runs the configuration.
    IacType {
        /// HashiCorp Terraform.
        Terraform = "terraform",
        /// OpenTofu.
        Tofu = "tofu",
    }
}

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
    pub source: String,
    pub branch: String,
    pub folder: String,
    pub iac_type: IacType,
    pub terraform_version: String,
    pub locked_by_job: Option<i64>,
    pub created_at: Timestamp,
}

/// Who holds a workspace, seen from one job.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WorkspaceHold {
    /// Nobody, and no earlier job waits for it.
    Free,
    /// Another job, or an earlier one has the next turn.
    Other,
    /// This job.
    This,
}

/// A variable of a workspace. `Debug` does not show its value.
#[derive(Clone)]
#[expect(missing_docs, reason = "the fields are those of the API")]
pub struct Variable {
    pub id: String,
    pub category: VariableCategory,
    pub key: String,
    pub value: String,
    pub sensitive: bool,
    pub hcl: bool,
}

impl std::fmt::Debug for Variable {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Variable")
            .field("key", &self.key)
            .field("category", &self.category)
            .finish_non_exhaustive()
    }
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
    pub started_at: Option<Timestamp>,
    pub ended_at: Option<Timestamp>,
    /// In the order of their numbers.
    pub attempts: Vec<Attempt>,
}

/// What a Kubernetes Job waits for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WaitingSince {
    /// The thing, as the backend told it last.
    pub waiting: Waiting,
    /// Since when it waits for a thing of this kind.
    pub since: Timestamp,
}

impl WaitingSince {
    /// Returns what is known after the backend has told again what it waits for: the words are new, the time is that of the
    /// first of its kind.
    #[must_use]
    pub fn after(before: Option<&Self>, waiting: &Waiting, now: Timestamp) -> Self {
        let since = match before {
            Some(before) if before.waiting.is_same_kind(waiting) => before.since,
            _ => now,
        };
        Self { waiting: waiting.clone(), since }
    }
}

/// One try at a step: one Kubernetes Job, one executor process.
#[derive(Debug, Clone)]
pub struct Attempt {
    /// Id (UUID).
    pub id: String,
    /// Counts from 1 within the step.
    pub number: u32,
    /// Name of its Kubernetes Job.
    pub kubernetes_job: String,
    /// How far the server got with the Kubernetes Job.
    pub phase: AttemptPhase,
    /// Whether it may still claim, write and report.
    pub live: bool,
    /// How often the backend could not be reached for its submit.
    pub submit_failures: u32,
    /// Not before this time is the submit tried again.
    pub retry_at: Option<Timestamp>,
    /// Why the backend will never take its Kubernetes Job.
    pub refusal: Option<String>,
    /// The backend was asked to end it.
    pub cancel_sent: bool,
    /// When an executor took it.
    pub claimed_at: Option<Timestamp>,
    /// What its executor reported.
    pub result: Option<job_spec::attempt_api::StepResult>,
    /// Why its Kubernetes Job ended, as the backend saw it.
    pub cause: Option<Cause>,
    /// What its Kubernetes Job waits for, if it does not run yet.
    pub waiting: Option<WaitingSince>,
    /// Where it stands.
    pub status: AttemptStatus,
    /// One sentence for people.
    pub message: Option<String>,
    /// When it was stored.
    pub created_at: Timestamp,
    /// When it was over.
    pub ended_at: Option<Timestamp>,
}

#[cfg(test)]
mod tests {
    use jiff::SignedDuration;

    use super::*;

    #[test]
    fn waiting_for_one_kind_of_thing_counts_from_its_first_sight() {
        let (first, later) = (Timestamp::UNIX_EPOCH, Timestamp::UNIX_EPOCH + SignedDuration::from_mins(5));
        let no_node = |words: &str| Waiting::Unschedulable { message: words.to_owned() };
        let seen = WaitingSince::after(None, &no_node("0/1 nodes are available"), first);
        let again = WaitingSince::after(Some(&seen), &no_node("0/2 nodes are available"), later);
        assert_eq!((again.since, &again.waiting), (first, &no_node("0/2 nodes are available")));
        assert_eq!(WaitingSince::after(Some(&again), &Waiting::Starting, later).since, later);
    }
}
