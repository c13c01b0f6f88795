//! What only the events of a Job and of its pod show.
//!
//! Events are repeated, arrive in any order and are deleted after an hour, so they are read only where no
//! object shows the same.

use jiff::Timestamp;
use k8s_openapi::api::{
    batch::v1::Job,
    core::v1::{Event, Pod},
};

use super::waiting::{Refuser, Waiting};

/// Reasons of events of a node that cannot set up a pod.
const SETUP_REASONS: [&str; 4] =
    ["FailedMount", "FailedAttachVolume", "FailedCreatePodSandBox", "FailedMapVolume"];

/// Returns whether an event can change a phase.
#[cfg(feature = "kube")]
pub(super) fn is_relevant(event: &Event) -> bool {
    match event.involved_object.kind.as_deref() {
        Some("Job") => matches!(event.reason.as_deref(), Some("FailedCreate" | "SuccessfulCreate")),
        Some("Pod") => event.reason.as_deref() == Some("Started") || problem_of(event).is_some(),
        _ => false,
    }
}

/// Returns why the controller could not create a pod.
pub(super) fn refusal(job: &Job, events: &[Event]) -> Option<Waiting> {
    let own = of(job.metadata.uid.as_deref(), job.metadata.name.as_deref(), "Job", events);
    let last = newest(
        own.filter(|event| matches!(event.reason.as_deref(), Some("FailedCreate" | "SuccessfulCreate"))),
    )?;
    if last.reason.as_deref() != Some("FailedCreate") {
        return None;
    }
    // `Error creating: pods "NAME" is forbidden: REASON`; each try has another name.
    let message = last.message.as_deref().unwrap_or_default();
    let message = message.strip_prefix("Error creating: ").unwrap_or(message);
    let reason = match message.split_once("\" is forbidden: ") {
        Some((before, reason)) if before.starts_with("pods \"") => reason,
        _ => message,
    };
    let by = if reason.starts_with("exceeded quota") || reason.starts_with("failed quota") {
        Refuser::Quota
    } else if reason.starts_with("violates PodSecurity") {
        Refuser::PodSecurity
    } else if reason.contains("service account") {
        Refuser::ServiceAccount
    } else if reason.contains("PriorityClass") {
        Refuser::PriorityClass
    } else {
        Refuser::Admission
    };
    Some(Waiting::NotCreated { by, message: reason.to_owned() })
}

/// Returns what keeps a node from setting up a pod.
pub(super) fn setup_problem(pod: &Pod, events: &[Event]) -> Option<Waiting> {
    let own = of(pod.metadata.uid.as_deref(), pod.metadata.name.as_deref(), "Pod", events);
    let last = newest(
        own.filter(|event| event.reason.as_deref().is_some_and(|reason| SETUP_REASONS.contains(&reason))),
    )?;
    Some(Waiting::Setup { message: text(last) })
}

/// Returns what a pod waited for that no longer shows it: for a Job whose deadline passed while it was not
/// watched.
pub(super) fn past_problem(pod: &Pod, events: &[Event]) -> Option<Waiting> {
    let own = of(pod.metadata.uid.as_deref(), pod.metadata.name.as_deref(), "Pod", events);
    let problems = own.filter_map(|event| Some((event, problem_of(event)?)));
    problems.max_by_key(|(event, _)| last_seen(event)).map(|(_, waiting)| waiting)
}

fn problem_of(event: &Event) -> Option<Waiting> {
    let message = text(event);
    match event.reason.as_deref()? {
        "Failed" => {
            let message = message.strip_prefix("Failed to pull image ")?;
            let (_, fault) = message.split_once("\": ")?;
            Some(Waiting::for_image(fault))
        }
        "FailedScheduling" => Some(Waiting::Unschedulable { message }),
        reason if SETUP_REASONS.contains(&reason) => Some(Waiting::Setup { message }),
        _ => None,
    }
}

/// Returns whether the node has started a container of the pod.
pub(super) fn has_started(pod: &Pod, events: &[Event]) -> bool {
    of(pod.metadata.uid.as_deref(), pod.metadata.name.as_deref(), "Pod", events)
        .any(|event| event.reason.as_deref() == Some("Started"))
}

fn of<'a>(
    uid: Option<&'a str>,
    name: Option<&'a str>,
    kind: &'a str,
    events: &'a [Event],
) -> impl Iterator<Item = &'a Event> {
    events.iter().filter(move |event| {
        let about = &event.involved_object;
        about.kind.as_deref() == Some(kind)
            && about.name.as_deref() == name
            // A name can be used again; only the uid differs.
            && (about.uid.is_none() || uid.is_none() || about.uid.as_deref() == uid)
    })
}

fn newest<'a>(events: impl Iterator<Item = &'a Event>) -> Option<&'a Event> {
    events.max_by_key(|event| last_seen(event))
}

/// Returns the time of an event, which is in one of several fields (fixture `events-watched`).
pub(crate) fn last_seen(event: &Event) -> Option<Timestamp> {
    let series =
        event.series.as_ref().and_then(|series| series.last_observed_time.as_ref()).map(|time| time.0);
    let created = event.metadata.creation_timestamp.as_ref().map(|time| time.0);
    [
        series,
        event.last_timestamp.as_ref().map(|time| time.0),
        event.event_time.as_ref().map(|time| time.0),
        created,
    ]
    .into_iter()
    .flatten()
    .max()
}

fn text(event: &Event) -> String {
    event.message.as_deref().unwrap_or_default().trim_end().to_owned()
}
