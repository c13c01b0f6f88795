//! What the events of a Job and of its pod tell and their objects do not.
//!
//! Events are repeated, arrive in any order and are forgotten after an hour, so they are only asked where nothing else knows.

use jiff::Timestamp;
use k8s_openapi::api::{
    batch::v1::Job,
    core::v1::{Event, Pod},
};

use super::waiting::{Refuser, Waiting};

/// What a node says that cannot set a pod up.
const SETUP: [&str; 4] = ["FailedMount", "FailedAttachVolume", "FailedCreatePodSandBox", "FailedMapVolume"];

/// Tells whether a phase may be made of an event.
pub(super) fn tells_something(event: &Event) -> bool {
    match event.involved_object.kind.as_deref() {
        Some("Job") => matches!(event.reason.as_deref(), Some("FailedCreate" | "SuccessfulCreate")),
        Some("Pod") => event.reason.as_deref() == Some("Started") || trouble_of(event).is_some(),
        _ => false,
    }
}

/// Finds why the controller could not make a pod.
pub(super) fn refusal(job: &Job, events: &[Event]) -> Option<Waiting> {
    let own = of(job.metadata.uid.as_deref(), job.metadata.name.as_deref(), "Job", events);
    let last = newest(
        own.filter(|event| matches!(event.reason.as_deref(), Some("FailedCreate" | "SuccessfulCreate"))),
    )?;
    if last.reason.as_deref() != Some("FailedCreate") {
        return None;
    }
    // `Error creating: pods "NAME" is forbidden: WORDS`; the name is another one at each try.
    let message = last.message.as_deref().unwrap_or_default();
    let message = message.strip_prefix("Error creating: ").unwrap_or(message);
    let words = match message.split_once("\" is forbidden: ") {
        Some((before, words)) if before.starts_with("pods \"") => words,
        _ => message,
    };
    let by = if words.starts_with("exceeded quota") || words.starts_with("failed quota") {
        Refuser::Quota
    } else if words.starts_with("violates PodSecurity") {
        Refuser::PodSecurity
    } else if words.contains("service account") {
        Refuser::ServiceAccount
    } else if words.contains("PriorityClass") {
        Refuser::PriorityClass
    } else {
        Refuser::Admission
    };
    Some(Waiting::NotCreated { by, message: words.to_owned() })
}

/// Finds what keeps a node from setting a pod up.
pub(super) fn setup_trouble(pod: &Pod, events: &[Event]) -> Option<Waiting> {
    let own = of(pod.metadata.uid.as_deref(), pod.metadata.name.as_deref(), "Pod", events);
    let last =
        newest(own.filter(|event| event.reason.as_deref().is_some_and(|reason| SETUP.contains(&reason))))?;
    Some(Waiting::Setup { message: text(last) })
}

/// Finds what a pod waited for that is gone or hides it: for a Job whose deadline passed while nobody looked.
pub(super) fn past_trouble(pod: &Pod, events: &[Event]) -> Option<Waiting> {
    let own = of(pod.metadata.uid.as_deref(), pod.metadata.name.as_deref(), "Pod", events);
    let telling = own.filter_map(|event| Some((event, trouble_of(event)?)));
    telling.max_by_key(|(event, _)| last_seen(event)).map(|(_, waiting)| waiting)
}

fn trouble_of(event: &Event) -> Option<Waiting> {
    let message = text(event);
    match event.reason.as_deref()? {
        "Failed" => {
            let message = message.strip_prefix("Failed to pull image ")?;
            let (_, fault) = message.split_once("\": ")?;
            Some(Waiting::for_image(fault))
        }
        "FailedScheduling" => Some(Waiting::Unschedulable { message }),
        reason if SETUP.contains(&reason) => Some(Waiting::Setup { message }),
        _ => None,
    }
}

/// Tells whether the node has started a container of the pod.
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
            // A name can come back; only the id tells the new one from the old.
            && (about.uid.is_none() || uid.is_none() || about.uid.as_deref() == uid)
    })
}

fn newest<'a>(events: impl Iterator<Item = &'a Event>) -> Option<&'a Event> {
    events.max_by_key(|event| last_seen(event))
}

/// Events have their time in one of several places (fixture `events-watched`).
pub(crate) fn last_seen(event: &Event) -> Option<Timestamp> {
    let series =
        event.series.as_ref().and_then(|series| series.last_observed_time.as_ref()).map(|time| time.0);
    let made = event.metadata.creation_timestamp.as_ref().map(|time| time.0);
    [
        series,
        event.last_timestamp.as_ref().map(|time| time.0),
        event.event_time.as_ref().map(|time| time.0),
        made,
    ]
    .into_iter()
    .flatten()
    .max()
}

fn text(event: &Event) -> String {
    event.message.as_deref().unwrap_or_default().trim_end().to_owned()
}
