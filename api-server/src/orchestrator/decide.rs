//! What to do next about a job: a pure function of what is stored and of the time.
//!
//! No clock, no store, no backend. What the backend or an executor reports is stored first and read here, so
//! that a server that was killed at any instruction decides the same as one that ran on. One action at a
//! time: the driver carries it out and decides again.

use jiff::{SignedDuration, Timestamp};
use job_spec::StepType;

use super::{
    action::{Action, Next},
    retry_policy,
};
use crate::{
    decision_rules::View,
    messages,
    model::{
        Attempt, AttemptPhase, AttemptStatus, Job, JobStatus, Slot, SlotWait, Step, StepStatus, WorkspaceHold,
    },
};

mod attempt;

/// A job that waits for a slot looks again after this time, if nothing wakes it before.
const SLOT_INTERVAL: SignedDuration = SignedDuration::from_secs(30);

/// A decision before the message of the job is compared.
#[derive(Debug)]
enum Decision {
    Do(Action),
    Wait { until: Option<Timestamp>, message: Option<String> },
    Done,
}

impl Decision {
    const fn wait(until: Option<Timestamp>, message: Option<String>) -> Self {
        Self::Wait { until, message }
    }
}

/// Decides what to do next about a job.
#[must_use]
pub fn decide(job: &Job, view: &View<'_>, now: Timestamp) -> Next {
    match decide_without_message(job, view, now) {
        Decision::Do(action) => Next::Do(action),
        Decision::Done => Next::Done,
        Decision::Wait { message, .. } if message != job.message => Next::Do(Action::SetMessage { message }),
        Decision::Wait { until, .. } => Next::Wait(until),
    }
}

/// Returns whether a job needs a slot for what it does next, so that its [`View`] must hold one.
#[must_use]
pub fn needs_slot(job: &Job, hold: WorkspaceHold) -> bool {
    if job.status.is_final() || job.cancel_requested {
        return false;
    }
    let rejection = step_after_rejection(job);
    if rejection.is_none() && job.steps.iter().any(|step| ends_job(job, step).is_some()) {
        return false;
    }
    if job.status == JobStatus::Pending && matches!(hold, WorkspaceHold::Other(_)) {
        return false;
    }
    rejection.or_else(|| next_step(job)).is_some_and(|step| {
        step.step_type != StepType::Approval
            && step.attempts.last().is_none_or(|attempt| attempt.phase == AttemptPhase::Ended)
    })
}

fn decide_without_message(job: &Job, view: &View<'_>, now: Timestamp) -> Decision {
    if job.status.is_final() {
        return Decision::Done;
    }
    if let Some(step) = step_after_rejection(job) {
        return match decide_step(step, job.cancel_requested, view, now) {
            // The job ends as rejected, also when it is cancelled meanwhile.
            Decision::Do(Action::EndJob { .. }) => end_by_steps(job).map_or(Decision::Done, Decision::Do),
            decision => decision,
        };
    }
    if let Some(end) = end_by_steps(job) {
        return Decision::Do(end);
    }
    if job.status == JobStatus::Pending {
        return decide_pending(job, view, now);
    }
    match next_step(job) {
        None => end_job(JobStatus::Completed, None),
        Some(step) if step.step_type == StepType::Approval => decide_approval(step, job.cancel_requested),
        Some(step) => decide_step(step, job.cancel_requested, view, now),
    }
}

fn decide_pending(job: &Job, view: &View<'_>, now: Timestamp) -> Decision {
    match (view.hold, &view.slot) {
        _ if job.cancel_requested => end_job(JobStatus::Cancelled, None),
        (WorkspaceHold::Other(blocker), _) => {
            // The other job goes on without this one: its status is looked at again.
            let until = now.checked_add(SLOT_INTERVAL).ok();
            Decision::wait(until, Some(messages::waiting_for_job(blocker)))
        }
        (_, Slot::Wait(wait)) => wait_for_slot(wait, now),
        (WorkspaceHold::Free | WorkspaceHold::Beside | WorkspaceHold::This, Slot::Free) => {
            Decision::Do(Action::StartJob)
        }
    }
}

/// Returns the first step that has not completed. Steps that follow a rejection are none of the flow.
fn next_step(job: &Job) -> Option<&Step> {
    job.steps.iter().find(|step| step.status != StepStatus::Completed && step.settings.on_reject_of.is_none())
}

/// Returns the step that is to run because an approval was rejected, unless it has ended.
fn step_after_rejection(job: &Job) -> Option<&Step> {
    let rejected = job.steps.iter().find(|step| step.status == StepStatus::Rejected)?;
    job.steps.iter().find(|step| {
        step.settings.on_reject_of == Some(rejected.number)
            && matches!(step.status, StepStatus::Pending | StepStatus::Running)
    })
}

/// Returns whether a plan without changes leaves nothing to do for the steps after it. A destroy destroys
/// what is there, and another plan finds changes of its own.
fn has_nothing_to_do_after(job: &Job, plan: &Step) -> bool {
    !job.steps.iter().any(|step| {
        step.number > plan.number
            && (step.step_type == StepType::TerraformDestroy || step.step_type.is_plan())
    })
}

/// Returns whether a plan failed and its step ignores that: then there is no plan, and no changes are known.
fn is_ignored_failure(step: &Step) -> bool {
    step.settings.ignore_error && step.attempts.last().is_none_or(|attempt| attempt.plan_digest.is_none())
}

/// Returns the status that a job gets from a step, if that step has ended it.
fn ends_job(job: &Job, step: &Step) -> Option<JobStatus> {
    Some(match step.status {
        StepStatus::Failed => JobStatus::Failed,
        StepStatus::Rejected => JobStatus::Rejected,
        StepStatus::Cancelled => JobStatus::Cancelled,
        StepStatus::Unknown => JobStatus::Unknown,
        StepStatus::Completed
            if step.step_type.is_plan()
                && step.has_changes == Some(false)
                && !is_ignored_failure(step)
                && has_nothing_to_do_after(job, step) =>
        {
            JobStatus::NoChanges
        }
        _ => return None,
    })
}

/// Returns the end of the job if a step has ended it.
fn end_by_steps(job: &Job) -> Option<Action> {
    job.steps
        .iter()
        .find_map(|step| Some(Action::EndJob { status: ends_job(job, step)?, message: step.message.clone() }))
}

fn decide_approval(step: &Step, cancel_requested: bool) -> Decision {
    if cancel_requested {
        return end_job(JobStatus::Cancelled, None);
    }
    match step.status {
        StepStatus::Pending => Decision::Do(Action::AskApproval { step: step.id.clone() }),
        _ => Decision::wait(None, None),
    }
}

fn decide_step(step: &Step, cancel_requested: bool, view: &View<'_>, now: Timestamp) -> Decision {
    match step.attempts.last() {
        None if cancel_requested => end_job(JobStatus::Cancelled, None),
        None => create_attempt(step, 1, None, view, now),
        Some(last) if last.phase == AttemptPhase::Ended => {
            after_attempt(step, last, cancel_requested, view, now)
        }
        Some(last) => attempt::decide(step.step_type, last, cancel_requested, view.rules, now),
    }
}

/// Decides what follows an attempt that has ended.
fn after_attempt(
    step: &Step,
    last: &Attempt,
    cancel_requested: bool,
    view: &View<'_>,
    now: Timestamp,
) -> Decision {
    let end = |status| end_step(step, status, last.message.clone());
    let changes = step.step_type.changes_infrastructure();
    match last.status {
        AttemptStatus::Completed => return end(StepStatus::Completed),
        AttemptStatus::Cancelled => return end(StepStatus::Cancelled),
        AttemptStatus::Unknown if changes => return end(StepStatus::Unknown),
        AttemptStatus::Lost if changes && last.claimed_at.is_some() => return end(StepStatus::Unknown),
        AttemptStatus::Lost
        | AttemptStatus::Unknown
        | AttemptStatus::Failed
        | AttemptStatus::Pending
        | AttemptStatus::Running => {}
    }
    match retry_policy::next_attempt(step, last, view.rules.plan_retries) {
        Some(_) if cancel_requested => end(StepStatus::Cancelled),
        Some(delay) => {
            let not_before = now.checked_add(delay).unwrap_or(now);
            create_attempt(step, last.number + 1, Some(not_before), view, now)
        }
        None => end(StepStatus::Failed),
    }
}

fn create_attempt(
    step: &Step,
    number: u32,
    not_before: Option<Timestamp>,
    view: &View<'_>,
    now: Timestamp,
) -> Decision {
    match &view.slot {
        Slot::Free => Decision::Do(Action::CreateAttempt { step: step.id.clone(), number, not_before }),
        Slot::Wait(wait) => wait_for_slot(wait, now),
    }
}

fn wait_for_slot(wait: &SlotWait, now: Timestamp) -> Decision {
    let until = match wait {
        SlotWait::Quota { until, .. } => Some(*until),
        _ => now.checked_add(SLOT_INTERVAL).ok(),
    };
    Decision::wait(until, Some(messages::waiting_for_slot(wait)))
}

fn end_step(step: &Step, status: StepStatus, message: Option<String>) -> Decision {
    Decision::Do(Action::EndStep { step: step.id.clone(), status, message })
}

fn end_job(status: JobStatus, message: Option<String>) -> Decision {
    Decision::Do(Action::EndJob { status, message })
}

#[cfg(test)]
mod tests;
