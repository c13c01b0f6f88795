//! Where the message of an attempt, a step or a job is stored: once, where it arises.
//!
//! That is the report or the refusal of an attempt, else the attempt, the step or the job. When they are
//! read, a step takes the message of its last attempt, and a job takes that of the step that ended it.

use job_spec::attempt_api::StepResult;

use crate::model::{Attempt, JobStatus, Step, StepStatus};

/// Returns the message that the executor or the backend gave for the end of an attempt.
pub(super) fn reported_message<'a>(
    result: Option<&'a StepResult>,
    refusal: Option<&'a str>,
) -> Option<&'a str> {
    match result {
        Some(result) => result.message.as_deref(),
        None => refusal,
    }
}

/// Returns the message that a step which has ended takes from its last attempt.
pub(super) fn message_of_attempts(status: StepStatus, attempts: &[Attempt]) -> Option<&str> {
    match status {
        StepStatus::Pending | StepStatus::Running | StepStatus::WaitingApproval | StepStatus::NotExecuted => {
            None
        }
        StepStatus::Completed
        | StepStatus::Failed
        | StepStatus::Rejected
        | StepStatus::Cancelled
        | StepStatus::Unknown => attempts.last()?.message.as_deref(),
    }
}

/// Returns the message that a job which has ended takes from the step that ended it.
pub(super) fn message_of_steps(status: JobStatus, steps: &[Step]) -> Option<&str> {
    let ended_job = |step: &&Step| match step.status {
        StepStatus::Failed | StepStatus::Rejected | StepStatus::Cancelled | StepStatus::Unknown => true,
        StepStatus::Completed => status == JobStatus::NoChanges && step.has_changes == Some(false),
        StepStatus::Pending | StepStatus::Running | StepStatus::WaitingApproval | StepStatus::NotExecuted => {
            false
        }
    };
    let ended = status.is_final().then(|| steps.iter().rfind(ended_job))?;
    ended?.message.as_deref()
}
