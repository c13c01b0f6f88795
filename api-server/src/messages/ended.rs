//! How an attempt ended: the report of its executor and the cause that the cluster shows, together.

use job_spec::attempt_api::{RescuedState, StepOutcome, StepResult};
use k8s_backend::{Cause, Waiting};

use super::{
    Place, advice, ended_without_report,
    waits::{USUAL_BLOCKERS, not_ready},
    with_advice,
};
use crate::model::Attempt;

/// Returns the message of an attempt whose Kubernetes Job ended without a report of its executor.
#[must_use]
pub fn ended_unreported(attempt: &Attempt, cause: &Cause, place: &Place) -> String {
    let job = attempt.kubernetes_job.as_str();
    let claimed = attempt.claimed_at.is_some();
    match cause {
        Cause::DeadlineExceeded => {
            let text = ended_without_report(cause, claimed);
            let detailed = format!("deadline exceeded{}", deadline(attempt));
            text.replacen("deadline exceeded", &detailed, 1)
        }
        Cause::CannotStart { waiting: Waiting::Starting } => format!(
            "no executor claimed the attempt, so nothing was changed: start timeout expired: {}{}",
            not_ready().trim_start_matches("waiting: "),
            place.describe_pod(job)
        ),
        Cause::CannotStart { waiting: Waiting::NoPod | Waiting::Other { .. } } | Cause::ExitCode(None) => {
            format!("{}{}", ended_without_report(cause, claimed), place.describe_job(job))
        }
        _ => ended_without_report(cause, claimed),
    }
}

/// Returns the message of an attempt that its executor has reported.
#[must_use]
pub fn reported(
    attempt: &Attempt,
    result: &StepResult,
    cancel_requested: bool,
    place: &Place,
) -> Option<String> {
    let message = result.message.clone();
    let cause = attempt.cause.as_ref().filter(|cause| is_from_outside(cause));
    match result.outcome {
        StepOutcome::Completed => message,
        StepOutcome::Cancelled if cancel_requested => message,
        StepOutcome::Cancelled => Some(interrupted(attempt, cause, result, place)),
        StepOutcome::Failed => match cause {
            Some(cause) => Some(with_cause(attempt, cause, message.as_deref())),
            None => message.map(|text| match advice::for_full_disk(&text) {
                Some(advice) => with_advice(&text, Some(advice)),
                None => text,
            }),
        },
        StepOutcome::Unknown => Some(unknown(cause, result)),
    }
}

/// Returns whether a cause says more than that the executor has exited.
const fn is_from_outside(cause: &Cause) -> bool {
    !matches!(cause, Cause::Completed | Cause::ExitCode(_) | Cause::ExitMessage { .. } | Cause::Lost { .. })
}

fn with_cause(attempt: &Attempt, cause: &Cause, message: Option<&str>) -> String {
    let cause_text = match cause {
        Cause::DeadlineExceeded => format!("deadline exceeded{}", deadline(attempt)),
        other => other.to_string(),
    };
    let text = match message {
        Some(message) => format!("{cause_text}: {}", message.trim_end_matches(['.', ' '])),
        None => cause_text,
    };
    with_advice(&text, advice::for_cause(cause))
}

fn interrupted(attempt: &Attempt, cause: Option<&Cause>, result: &StepResult, place: &Place) -> String {
    let reported = result.message.as_deref().unwrap_or("the executor was stopped, and reported that");
    if let Some(cause) = cause {
        return with_cause(attempt, cause, Some(reported));
    }
    let job = &attempt.kubernetes_job;
    let text = format!(
        "the executor was stopped by a signal that this server did not send: {}",
        reported.trim_end_matches(['.', ' '])
    );
    let usual = if place.namespace.is_some() {
        "Usually a client deleted the pod, or its node was drained or shut down; this server sees which \
         where its role may read pods."
    } else {
        "Usually a user or the shutdown of the machine stopped it."
    };
    let command = place.kubectl("events", &format!("get events --field-selector involvedObject.name={job}"));
    format!("{}{command}", with_advice(&text, Some(usual)))
}

fn unknown(cause: Option<&Cause>, result: &StepResult) -> String {
    let mut text = match (&result.message, cause) {
        (Some(message), Some(cause)) => format!("{cause}: {}", message.trim_end_matches(['.', ' '])),
        (Some(message), None) => message.trim_end_matches(['.', ' ']).to_owned(),
        (None, Some(cause)) => cause.to_string(),
        (None, None) => "the executor does not know what terraform changed".to_owned(),
    };
    match result.evidence.as_ref().map(|evidence| &evidence.rescued_state) {
        Some(RescuedState::Stored) => text.push_str(". This server keeps the state that could not be stored"),
        Some(RescuedState::KeptIn(path)) => {
            text.push_str(". The state that could not be stored is in ");
            text.push_str(path);
        }
        Some(RescuedState::None) | None => {}
    }
    with_advice(&text, Some("Read the evidence of the job before anything is run again."))
}

/// Returns the deadline with its origin, in brackets of text: ` after 1h30m (workspace variable …)`.
fn deadline(attempt: &Attempt) -> String {
    attempt.progress.deadline.as_ref().map(|text| format!(" after {text}")).unwrap_or_default()
}

/// Returns why an attempt is given up whose container ran, but never called this server.
#[must_use]
pub fn never_called(attempt: &Attempt, place: &Place) -> String {
    format!(
        "start timeout expired: the container ran, but its executor never called {}. {USUAL_BLOCKERS}{}",
        place.api_url,
        place.kubectl("its output", &format!("logs job/{}", attempt.kubernetes_job))
    )
}

/// Returns why an attempt is given up whose Kubernetes Job the cluster keeps refusing.
#[must_use]
pub fn refused_too_long(error: &str) -> String {
    format!("start timeout expired, the cluster still refuses the Kubernetes Job: {error}")
}
