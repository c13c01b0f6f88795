//! What to do next about a job: a pure function of what is stored and of the time.
//!
//! No clock, no store, no backend. Whatever the backend or an executor tells is stored first and read here, so that a
//! server that was killed at any instruction decides the same as one that ran on. One action at a time: the driver
//! carries it out and asks again.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use job_spec::{StepType, attempt_api::StepOutcome};
use k8s_backend::{Cause, Verdict};

use crate::model::{
    Attempt, AttemptPhase, AttemptStatus, Job, JobStatus, Step, StepStatus, WaitingSince, WorkspaceHold,
};

/// How many attempts a step gets while none of them was ever claimed by an executor.
pub const MAX_UNCLAIMED_ATTEMPTS: u32 = 3;

/// One thing to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Take the workspace and start.
    StartJob,
    /// Wait for a person at this step.
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
    /// Hand the Kubernetes Job to the backend.
    Submit {
        /// Id of the attempt.
        attempt: String,
    },
    /// Make sure that no executor can claim the attempt any more. Does nothing if one has.
    Fence {
        /// Id of the attempt.
        attempt: String,
    },
    /// Ask the backend to end the Kubernetes Job.
    CancelKubernetesJob {
        /// Id of the attempt.
        attempt: String,
    },
    /// Give the attempt up, because its Kubernetes Job cannot start: nobody can claim it any more. Does nothing if an
    /// executor has.
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
        /// One sentence for people.
        message: Option<String>,
        /// Whether its executor, should it still run somewhere, is shut out. Not where the outcome is unknown: then a late
        /// state or report is worth more than a closed door, and nobody else can write, because the workspace stays held.
        fence: bool,
    },
    /// Close the step.
    EndStep {
        /// Id of the step.
        step: String,
        /// Where it ends.
        status: StepStatus,
        /// One sentence for people.
        message: Option<String>,
    },
    /// Close the job; steps that never started become `notExecuted`. The workspace is freed unless the status is unknown.
    EndJob {
        /// Where it ends.
        status: JobStatus,
        /// One sentence for people.
        message: Option<String>,
    },
}

/// What [`decide`] says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Next {
    /// Do this, then ask again.
    Do(Action),
    /// Nothing to do until something is stored, or until this time.
    Wait(Option<Timestamp>),
    /// The job is over.
    Done,
}

/// Decides what to do next about a job. `patience` is how long a Kubernetes Job may wait for one thing before it starts.
#[must_use]
pub fn decide(job: &Job, hold: WorkspaceHold, now: Timestamp, patience: Duration) -> Next {
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
        Some(step) => decide_step(step, job.cancel_requested, now, patience),
    }
}

/// Tells whether a step that has ended ends the whole job.
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

fn decide_step(step: &Step, cancel_requested: bool, now: Timestamp, patience: Duration) -> Next {
    match step.attempts.last() {
        None if cancel_requested => end_job(JobStatus::Cancelled, None),
        None => create_attempt(step, 1, None),
        Some(attempt) if attempt.phase == AttemptPhase::Ended => after_attempt(step, attempt, now),
        Some(attempt) => decide_attempt(step.step_type, attempt, cancel_requested, now, patience),
    }
}

/// Decides what follows an attempt that is over.
fn after_attempt(step: &Step, attempt: &Attempt, now: Timestamp) -> Next {
    let end = |status| end_step(step, status, attempt.message.clone());
    match attempt.status {
        AttemptStatus::Completed => end(StepStatus::Completed),
        AttemptStatus::Cancelled => end(StepStatus::Cancelled),
        AttemptStatus::Lost if attempt.claimed_at.is_none() => {
            if attempt.number < MAX_UNCLAIMED_ATTEMPTS {
                let not_before = now + SignedDuration::from_secs(i64::from(attempt.number) * 2);
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

/// Decides about an attempt that is not over.
fn decide_attempt(
    step_type: StepType,
    attempt: &Attempt,
    cancel_requested: bool,
    now: Timestamp,
    patience: Duration,
) -> Next {
    let claimed = attempt.claimed_at.is_some();
    if let Some(result) = &attempt.result {
        let status = match result.outcome {
            StepOutcome::Completed => AttemptStatus::Completed,
            StepOutcome::Failed => AttemptStatus::Failed,
            StepOutcome::Cancelled => AttemptStatus::Cancelled,
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
        AttemptPhase::Submitted if !claimed => wait_for_start(attempt, now, patience),
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
        // What it waited for is not there; the next attempt would wait for the same.
        (false, true) => AttemptStatus::Failed,
        (false, false) => AttemptStatus::Lost,
    };
    Next::Do(Action::EndAttempt {
        attempt: attempt.id.clone(),
        status,
        message: Some(without_report(cause, claimed)),
        fence: harmless,
    })
}

/// Waits for an executor as long as is sensible.
fn wait_for_start(attempt: &Attempt, now: Timestamp, patience: Duration) -> Next {
    let Some(WaitingSince { waiting, since }) = &attempt.waiting else { return Next::Wait(None) };
    match k8s_backend::judge(waiting, *since, now, patience) {
        Verdict::Unlimited => Next::Wait(None),
        Verdict::Until(time) => Next::Wait(Some(time)),
        Verdict::GiveUp(cause) => Next::Do(Action::GiveUp { attempt: attempt.id.clone(), cause }),
    }
}

/// Stops an attempt: an unclaimed one is fenced first, so that it can never begin; a claimed one reports.
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
    end_attempt(attempt, AttemptStatus::Cancelled, Some("cancelled before an executor took it".to_owned()))
}

fn send_cancel(attempt: &Attempt, now: Timestamp) -> Next {
    match attempt.retry_at {
        Some(at) if at > now => Next::Wait(Some(at)),
        _ => Next::Do(Action::CancelKubernetesJob { attempt: attempt.id.clone() }),
    }
}

fn without_report(cause: &Cause, claimed: bool) -> String {
    let what = if claimed {
        format!("the executor ended without a report: {cause}")
    } else {
        format!("no executor took the attempt, so nothing was changed: {cause}")
    };
    match cause.advice() {
        Some(advice) => format!("{what} (what to do: {advice})"),
        None => what,
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
