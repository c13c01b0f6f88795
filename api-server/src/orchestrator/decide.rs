//! What to do next about a job: a pure function of what is stored and of the time.
//!
//! No clock, no store, no backend. What the backend or an executor reports is stored first and read here, so
//! that a server that was killed at any instruction decides the same as one that ran on. One action at a
//! time: the driver carries it out and decides again.

use std::time::Duration;

use jiff::Timestamp;
use job_spec::{StepType, attempt_api::StepOutcome};
use k8s_backend::{Cause, Retry, StartTimeout, check_start_timeout};

use super::retry;
use crate::{
    messages,
    model::{
        Attempt, AttemptPhase, AttemptStatus, Job, JobStatus, Step, StepStatus, WaitingSince, WorkspaceHold,
    },
};

/// How many attempts a step gets while none of them was ever claimed by an executor.
pub const MAX_UNCLAIMED_ATTEMPTS: u32 = 3;

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
    /// Cancel the Kubernetes Job at the backend.
    CancelKubernetesJob {
        /// Id of the attempt.
        attempt: String,
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

/// The result of [`decide`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Next {
    /// Do this, then decide again.
    Do(Action),
    /// Nothing to do until something is stored, or until this time.
    Wait(Option<Timestamp>),
    /// The job is over.
    Done,
}

/// Decides what to do next about a job. `start_timeout` is how long a Kubernetes Job may wait for one thing
/// before it starts.
#[must_use]
pub fn decide(job: &Job, hold: WorkspaceHold, now: Timestamp, start_timeout: Duration) -> Next {
    if job.status.is_final() {
        return Next::Done;
    }
    if let Some(end) = job.steps.iter().find_map(end_by_step) {
        return Next::Do(end);
    }
    if job.status == JobStatus::Pending {
        return match (job.cancel_requested, hold) {
            (true, _) => end_job(JobStatus::Cancelled, None),
            (false, WorkspaceHold::Free | WorkspaceHold::This) => Next::Do(Action::StartJob),
            (false, WorkspaceHold::Other) => Next::Wait(None),
        };
    }
    match job.steps.iter().find(|step| step.status != StepStatus::Completed) {
        None => end_job(JobStatus::Completed, None),
        Some(step) if step.step_type == StepType::Approval => decide_approval(step, job.cancel_requested),
        Some(step) => decide_step(step, job.cancel_requested, now, start_timeout),
    }
}

/// Returns the end of the job if a step has ended it.
fn end_by_step(step: &Step) -> Option<Action> {
    let status = match step.status {
        StepStatus::Failed => JobStatus::Failed,
        StepStatus::Rejected => JobStatus::Rejected,
        StepStatus::Cancelled => JobStatus::Cancelled,
        StepStatus::Unknown => JobStatus::Unknown,
        StepStatus::Completed if step.step_type.is_plan() && step.has_changes == Some(false) => {
            JobStatus::NoChanges
        }
        _ => return None,
    };
    Some(Action::EndJob { status, message: step.message.clone() })
}

fn decide_approval(step: &Step, cancel_requested: bool) -> Next {
    if cancel_requested {
        return end_job(JobStatus::Cancelled, None);
    }
    match step.status {
        StepStatus::Pending => Next::Do(Action::AskApproval { step: step.id.clone() }),
        _ => Next::Wait(None),
    }
}

fn decide_step(step: &Step, cancel_requested: bool, now: Timestamp, start_timeout: Duration) -> Next {
    match step.attempts.last() {
        None if cancel_requested => end_job(JobStatus::Cancelled, None),
        None => create_attempt(step, 1, None),
        Some(attempt) if attempt.phase == AttemptPhase::Ended => after_attempt(step, attempt, now),
        Some(attempt) => decide_attempt(step.step_type, attempt, cancel_requested, now, start_timeout),
    }
}

/// Decides what follows an attempt that has ended.
fn after_attempt(step: &Step, attempt: &Attempt, now: Timestamp) -> Next {
    let end = |status| end_step(step, status, attempt.message.clone());
    match attempt.status {
        AttemptStatus::Completed => end(StepStatus::Completed),
        AttemptStatus::Cancelled => end(StepStatus::Cancelled),
        AttemptStatus::Lost if attempt.claimed_at.is_none() => {
            if may_retry(attempt) {
                let not_before = now + retry::delay(attempt.number + 1);
                create_attempt(step, attempt.number + 1, Some(not_before))
            } else {
                end(StepStatus::Failed)
            }
        }
        AttemptStatus::Lost if step.step_type.changes_infrastructure() => end(StepStatus::Unknown),
        AttemptStatus::Lost | AttemptStatus::Failed | AttemptStatus::Pending | AttemptStatus::Running => {
            end(StepStatus::Failed)
        }
    }
}

/// Returns whether an attempt that no executor claimed is repeated. Without a claim an executor has done
/// nothing, whether its container ran or not. A container that completed without a claim was not one of our
/// executors: what it did is unknown, and it would do it again.
fn may_retry(attempt: &Attempt) -> bool {
    let retry = attempt.cause.as_ref().map_or(Retry::MayHaveRun, Cause::retry);
    retry != Retry::NotNeeded && attempt.number < MAX_UNCLAIMED_ATTEMPTS
}

/// Decides about an attempt that has not ended.
fn decide_attempt(
    step_type: StepType,
    attempt: &Attempt,
    cancel_requested: bool,
    now: Timestamp,
    start_timeout: Duration,
) -> Next {
    let claimed = attempt.claimed_at.is_some();
    if let Some(result) = &attempt.result {
        let status = match result.outcome {
            StepOutcome::Completed => AttemptStatus::Completed,
            StepOutcome::Failed => AttemptStatus::Failed,
            StepOutcome::Cancelled => AttemptStatus::Cancelled,
            StepOutcome::Unknown => AttemptStatus::Lost,
        };
        return end_attempt(attempt, status, result.message.clone());
    }
    if let Some(refusal) = &attempt.refusal {
        return end_attempt(attempt, AttemptStatus::Failed, Some(refusal.clone()));
    }
    if let Some(cause) = &attempt.cause {
        return after_kubernetes_job(step_type, attempt, cause, cancel_requested, now);
    }
    if cancel_requested {
        return cancel_attempt(attempt, claimed, now);
    }
    match attempt.phase {
        AttemptPhase::Prepared => match attempt.retry_at {
            Some(at) if at > now => Next::Wait(Some(at)),
            _ => Next::Do(Action::Submit { attempt: attempt.id.clone() }),
        },
        AttemptPhase::Submitted if !claimed => wait_for_start(attempt, now, start_timeout),
        AttemptPhase::Submitted | AttemptPhase::Ended => Next::Wait(None),
    }
}

/// Decides about an attempt whose Kubernetes Job has ended, or was given up.
fn after_kubernetes_job(
    step_type: StepType,
    attempt: &Attempt,
    cause: &Cause,
    cancel_requested: bool,
    now: Timestamp,
) -> Next {
    let claimed = attempt.claimed_at.is_some();
    let given_up = matches!(cause, Cause::CannotStart { .. });
    if given_up && !attempt.cancel_sent {
        return send_cancel(attempt, now);
    }
    let harmless = !claimed || !step_type.changes_infrastructure();
    let status = match (cancel_requested && harmless, given_up) {
        (true, _) => AttemptStatus::Cancelled,
        // The next attempt would wait for the same thing.
        (false, true) => AttemptStatus::Failed,
        (false, false) => AttemptStatus::Lost,
    };
    Next::Do(Action::EndAttempt {
        attempt: attempt.id.clone(),
        status,
        message: Some(messages::ended_without_report(cause, claimed)),
        fence: harmless,
    })
}

/// Waits for an executor until the start timeout expires.
fn wait_for_start(attempt: &Attempt, now: Timestamp, start_timeout: Duration) -> Next {
    let Some(WaitingSince { waiting, since }) = &attempt.waiting else { return Next::Wait(None) };
    match check_start_timeout(waiting, *since, now, start_timeout) {
        StartTimeout::ExpiresAt(time) => Next::Wait(Some(time)),
        StartTimeout::Expired(cause) => Next::Do(Action::GiveUp { attempt: attempt.id.clone(), cause }),
        _ => Next::Wait(None),
    }
}

/// Cancels an attempt: an unclaimed one is fenced first, so that it can never start; a claimed one reports.
fn cancel_attempt(attempt: &Attempt, claimed: bool, now: Timestamp) -> Next {
    if !claimed && attempt.live {
        return Next::Do(Action::Fence { attempt: attempt.id.clone() });
    }
    if !attempt.cancel_sent {
        return send_cancel(attempt, now);
    }
    if claimed {
        return Next::Wait(None);
    }
    end_attempt(attempt, AttemptStatus::Cancelled, Some(messages::CANCELLED_BEFORE_CLAIM.to_owned()))
}

fn send_cancel(attempt: &Attempt, now: Timestamp) -> Next {
    match attempt.retry_at {
        Some(at) if at > now => Next::Wait(Some(at)),
        _ => Next::Do(Action::CancelKubernetesJob { attempt: attempt.id.clone() }),
    }
}

fn create_attempt(step: &Step, number: u32, not_before: Option<Timestamp>) -> Next {
    Next::Do(Action::CreateAttempt { step: step.id.clone(), number, not_before })
}

fn end_attempt(attempt: &Attempt, status: AttemptStatus, message: Option<String>) -> Next {
    Next::Do(Action::EndAttempt { attempt: attempt.id.clone(), status, message, fence: true })
}

fn end_step(step: &Step, status: StepStatus, message: Option<String>) -> Next {
    Next::Do(Action::EndStep { step: step.id.clone(), status, message })
}

fn end_job(status: JobStatus, message: Option<String>) -> Next {
    Next::Do(Action::EndJob { status, message })
}

#[cfg(test)]
mod tests;
