//! Decides about an attempt that has not ended.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use job_spec::{
    StepType,
    attempt_api::{StepOutcome, StepResult},
};
use k8s_backend::{Cause, StartTimeout, Waiting, check_start_timeout};

use super::Decision;
use crate::{
    decision_rules::Rules,
    messages,
    model::{Attempt, AttemptPhase, AttemptStatus, WaitingSince},
    orchestrator::action::Action,
};

/// How long a report that needs a cause waits for the end of the Kubernetes Job, which shows the cause. The
/// executor exits right after its report.
const CAUSE_TIMEOUT: SignedDuration = SignedDuration::from_secs(30);

/// The same for a failure that explains itself: the cluster may still know better (out of memory).
const FAILURE_CAUSE_TIMEOUT: SignedDuration = SignedDuration::from_secs(5);

/// How long a container runs without a call before its job says which address it should reach.
const NO_CONTACT_NOTICE: SignedDuration = SignedDuration::from_secs(10);

/// How long a pod is not ready for no visible reason before its job says what that usually is.
const NOT_READY_NOTICE: SignedDuration = SignedDuration::from_secs(20);

/// How often an executor that is silent is looked for again.
const LOST_CONTACT_INTERVAL: SignedDuration = SignedDuration::from_secs(15);

/// How long the pod of a Kubernetes Job that did not start is kept, because it shows why.
const KEEP_PENDING: Duration = Duration::from_mins(10);

pub(super) fn decide(
    step_type: StepType,
    attempt: &Attempt,
    cancel_requested: bool,
    rules: &Rules,
    now: Timestamp,
) -> Decision {
    if let Some(result) = &attempt.result {
        return after_report(attempt, result, cancel_requested, rules, now);
    }
    // An earlier submit may have been carried out without an answer:
    // then the refusal of a later one is no end.
    if let Some(refusal) = attempt.refusal.as_ref().filter(|_| attempt.claimed_at.is_none()) {
        return end(attempt, AttemptStatus::Failed, Some(refusal.clone()));
    }
    if let Some(cause) = &attempt.cause {
        return after_kubernetes_job(step_type, attempt, cause, cancel_requested, rules, now);
    }
    if cancel_requested {
        return cancel(attempt, rules, now);
    }
    match attempt.phase {
        AttemptPhase::Prepared => submit(attempt, rules, now),
        AttemptPhase::Submitted if attempt.claimed_at.is_none() => wait_for_claim(attempt, rules, now),
        AttemptPhase::Submitted | AttemptPhase::Ended => wait_for_report(attempt, rules, now),
    }
}

/// Ends an attempt that its executor has reported. The report says what happened; why it was interrupted,
/// only the cluster knows, so the end waits a moment for the cause, whichever arrives first.
fn after_report(
    attempt: &Attempt,
    result: &StepResult,
    cancel_requested: bool,
    rules: &Rules,
    now: Timestamp,
) -> Decision {
    let timeout = match result.outcome {
        StepOutcome::Completed => None,
        StepOutcome::Cancelled if cancel_requested => None,
        StepOutcome::Failed if !was_killed(result) => Some(FAILURE_CAUSE_TIMEOUT),
        StepOutcome::Failed | StepOutcome::Cancelled | StepOutcome::Unknown => Some(CAUSE_TIMEOUT),
    };
    let until =
        timeout.zip(attempt.progress.reported_at).and_then(|(timeout, at)| at.checked_add(timeout).ok());
    if let Some(until) = until.filter(|until| attempt.cause.is_none() && *until > now) {
        return Decision::wait(Some(until), Some(messages::waiting_for_cause(result.outcome)));
    }
    let status = match result.outcome {
        StepOutcome::Completed => AttemptStatus::Completed,
        StepOutcome::Cancelled if cancel_requested => AttemptStatus::Cancelled,
        // No user requested it: the cluster or another client stopped the executor.
        StepOutcome::Cancelled | StepOutcome::Failed => AttemptStatus::Failed,
        StepOutcome::Unknown => AttemptStatus::Unknown,
    };
    end(attempt, status, messages::reported(attempt, result, cancel_requested, &rules.place))
}

fn was_killed(result: &StepResult) -> bool {
    result.evidence.as_ref().is_some_and(|evidence| evidence.signal.is_some())
}

/// Decides about an attempt whose Kubernetes Job has ended, or was given up.
fn after_kubernetes_job(
    step_type: StepType,
    attempt: &Attempt,
    cause: &Cause,
    cancel_requested: bool,
    rules: &Rules,
    now: Timestamp,
) -> Decision {
    let given_up = matches!(cause, Cause::CannotStart { .. } | Cause::GivenUp { .. });
    if given_up && !attempt.cancel_sent {
        return send_cancel(attempt, Some(keep_time(cause)), now);
    }
    let harmless = attempt.claimed_at.is_none() || !step_type.changes_infrastructure();
    let status = match (cancel_requested && harmless, given_up) {
        (true, _) => AttemptStatus::Cancelled,
        // The next attempt would wait for the same thing.
        (false, true) => AttemptStatus::Failed,
        (false, false) => AttemptStatus::Lost,
    };
    Decision::Do(Action::EndAttempt {
        attempt: attempt.id.clone(),
        status,
        message: Some(messages::ended_unreported(attempt, cause, &rules.place)),
        fence: harmless,
    })
}

/// Returns how long the pod of a Kubernetes Job that was given up is kept. Without a pod, or where it only
/// occupies a place in a queue, its Kubernetes Job alone shows everything.
const fn keep_time(cause: &Cause) -> Duration {
    match cause {
        Cause::CannotStart {
            waiting:
                Waiting::Starting
                | Waiting::Setup { .. }
                | Waiting::ImagePull { .. }
                | Waiting::ConfigError { .. }
                | Waiting::Other { .. },
        } => KEEP_PENDING,
        _ => Duration::ZERO,
    }
}

fn submit(attempt: &Attempt, rules: &Rules, now: Timestamp) -> Decision {
    let error = attempt.progress.last_error.as_deref();
    let message = error.map(messages::retrying);
    let refused_until = attempt.progress.refused_since.and_then(|since| later(since, rules.start_timeout));
    if let (Some(error), Some(until)) = (error, refused_until)
        && until <= now
    {
        let cause = Cause::GivenUp { reason: messages::refused_too_long(error) };
        return Decision::Do(Action::GiveUp { attempt: attempt.id.clone(), cause });
    }
    match attempt.retry_at {
        Some(at) if at > now => Decision::wait(Some(at), message),
        _ => Decision::Do(Action::Submit { attempt: attempt.id.clone() }),
    }
}

/// Waits until an executor claims the attempt, or until the start timeout expires: first for the start of the
/// container, then for its call.
fn wait_for_claim(attempt: &Attempt, rules: &Rules, now: Timestamp) -> Decision {
    let give_up = |cause| Decision::Do(Action::GiveUp { attempt: attempt.id.clone(), cause });
    if let Some(running_at) = attempt.progress.running_at {
        let since = running_at.max(rules.started_at);
        let expires = later(since, rules.start_timeout);
        if expires.is_some_and(|expires| expires <= now) {
            return give_up(Cause::GivenUp { reason: messages::never_called(attempt, &rules.place) });
        }
        let (notice, message) = notice(since, NO_CONTACT_NOTICE, now);
        let message = message.then(|| messages::no_call_yet(attempt, since, &rules.place));
        return Decision::wait(earlier(expires, notice), message);
    }
    let Some(WaitingSince { waiting, since }) = &attempt.waiting else { return Decision::wait(None, None) };
    let (notice, is_late) = notice(*since, NOT_READY_NOTICE, now);
    let message = messages::waiting_for_start(attempt, waiting, is_late, &rules.place);
    match check_start_timeout(waiting, *since, now, rules.start_timeout) {
        StartTimeout::ExpiresAt(time) => Decision::wait(earlier(Some(time), notice), message),
        StartTimeout::Expired(cause) => give_up(cause),
        _ => Decision::wait(notice, message),
    }
}

/// Waits for the report of an executor that has claimed the attempt. Silence is no proof that terraform does
/// not run, so it ends nothing.
fn wait_for_report(attempt: &Attempt, rules: &Rules, now: Timestamp) -> Decision {
    let contact = attempt.last_contact_at.max(attempt.claimed_at).max(Some(rules.started_at));
    let lost_at = contact.and_then(|contact| later(contact, rules.lost_contact_timeout));
    match (contact, lost_at) {
        (Some(contact), Some(lost_at)) if lost_at <= now => {
            // A sign of life wakes nothing: the message is looked at again.
            let until = now.checked_add(LOST_CONTACT_INTERVAL).ok();
            Decision::wait(until, Some(messages::lost_contact(attempt, contact, &rules.place)))
        }
        (_, lost_at) => Decision::wait(lost_at, None),
    }
}

/// Cancels an attempt: an unclaimed one is fenced first, so that it can never start; a claimed one reports.
fn cancel(attempt: &Attempt, rules: &Rules, now: Timestamp) -> Decision {
    let claimed = attempt.claimed_at.is_some();
    if !claimed && attempt.live {
        return Decision::Do(Action::Fence { attempt: attempt.id.clone() });
    }
    if !attempt.cancel_sent {
        return send_cancel(attempt, None, now);
    }
    if claimed {
        return wait_for_report(attempt, rules, now);
    }
    end(attempt, AttemptStatus::Cancelled, Some(messages::CANCELLED_BEFORE_CLAIM.to_owned()))
}

fn send_cancel(attempt: &Attempt, keep: Option<Duration>, now: Timestamp) -> Decision {
    match attempt.retry_at {
        Some(at) if at > now => {
            Decision::wait(Some(at), attempt.progress.last_error.as_deref().map(messages::retrying))
        }
        _ => Decision::Do(Action::CancelKubernetesJob { attempt: attempt.id.clone(), keep }),
    }
}

fn end(attempt: &Attempt, status: AttemptStatus, message: Option<String>) -> Decision {
    Decision::Do(Action::EndAttempt { attempt: attempt.id.clone(), status, message, fence: true })
}

/// Returns when a notice is due that is not due yet, and whether it is due.
fn notice(since: Timestamp, after: SignedDuration, now: Timestamp) -> (Option<Timestamp>, bool) {
    let due = since.checked_add(after).ok();
    let is_due = due.is_some_and(|due| due <= now);
    (due.filter(|_| !is_due), is_due)
}

fn later(time: Timestamp, by: Duration) -> Option<Timestamp> {
    time.checked_add(SignedDuration::try_from(by).ok()?).ok()
}

fn earlier(a: Option<Timestamp>, b: Option<Timestamp>) -> Option<Timestamp> {
    match (a, b) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (one, other) => one.or(other),
    }
}
