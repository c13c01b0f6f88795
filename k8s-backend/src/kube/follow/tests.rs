//! Stories recorded from a real API server, and what a watcher is told of them.

use std::{fs, path::Path};

use serde::Deserialize;

use super::*;

#[derive(Deserialize)]
struct Line {
    #[serde(rename = "type")]
    kind: String,
    object: Job,
}

fn recorded(situation: &str) -> Vec<Event<Job>> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/fixtures/{situation}.ndjson"));
    let text = fs::read_to_string(path).unwrap();
    let events = text.lines().map(|line| serde_json::from_str::<Line>(line).unwrap());
    events
        .map(
            |line| {
                if line.kind == "DELETED" { Event::Delete(line.object) } else { Event::Apply(line.object) }
            },
        )
        .collect()
}

/// Plays events to a watcher; the watch goes silent after them.
async fn told(events: Vec<Event<Job>>) -> Vec<String> {
    let events = stream::iter(events.into_iter().map(Ok)).chain(stream::once(async {
        Err(watcher::Error::WatchStartFailed(kube::Error::Service("played to the end".into())))
    }));
    let phases = follow("job-1".to_owned(), events.boxed());
    phases
        .map(|phase| match phase {
            Ok(JobPhase::Pending { waiting }) => format!("pending: {waiting}"),
            Ok(JobPhase::Running) => "running".to_owned(),
            Ok(JobPhase::Ended(cause)) => format!("ended: {cause}"),
            Err(error) => format!("{:?}", error.kind),
        })
        .collect()
        .await
}

const NEW: &str = "pending: the cluster has not taken the Job up yet";
const STARTING: &str = "pending: the pod is not ready yet";
const NO_POD: &str = "pending: the Job has no pod";
const ENDING: &str = "pending: the Job is being ended";

#[tokio::test]
async fn recorded_stories_are_told_in_order_to_their_end() {
    const NEVER: &str = "ended: deadline exceeded before it started: the Job has no pod";
    let hidden = "ended: failed with an exit code that is not visible";
    for (situation, expected) in [
        ("success", &[NEW, STARTING, "running", "ended: completed"][..]),
        ("exit-code-7", &[NEW, STARTING, "running", hidden]),
        ("deadline-exceeded", &[NEW, STARTING, "running", "ended: deadline exceeded"]),
        ("pod-failure-policy-fail-job", &[NEW, STARTING, "running", "ended: exit code 42"]),
        ("delete-foreground-traps-term", &[NEW, STARTING, "running", "ended: deleted"]),
        ("node-lost-and-back", &[NEW, STARTING, "running", hidden]),
        ("node-deleted", &[NEW, STARTING, "running", hidden]),
        ("pod-deleted-exits-0", &[NEW, STARTING, "running", "ended: completed"]),
        ("image-pull-until-deadline", &[NEW, STARTING, ENDING, "ended: deadline exceeded"]),
        ("quota-forbids-pod-until-deadline", &[NEW, NO_POD, ENDING, NEVER]),
        ("suspend-resume", &[NEW, "pending: the Job is suspended", STARTING, "running", "ended: completed"]),
    ] {
        assert_eq!(told(recorded(situation)).await, expected, "{situation}");
    }
}

#[tokio::test]
async fn a_job_that_vanishes_without_its_pod_is_no_end() {
    let expected = [NEW, STARTING, "running", "NotFound"];
    assert_eq!(told(recorded("delete-background-traps-term")).await, expected);
}

#[tokio::test]
async fn a_job_that_is_not_listed_is_not_found() {
    assert_eq!(told(vec![Event::Init, Event::InitDone]).await, ["NotFound"]);
}

#[tokio::test]
async fn a_deletion_that_falls_into_a_gap_of_the_watch_is_found_by_the_next_list() {
    let mut events = recorded("delete-foreground-traps-term");
    events.truncate(5);
    events.extend([Event::Init, Event::InitDone]);
    assert_eq!(told(events).await.last().unwrap(), "ended: deleted");
}

#[tokio::test]
async fn another_job_under_the_name_is_not_taken_for_the_one_that_is_watched() {
    let mut events = recorded("delete-foreground-traps-term");
    events.retain(|event| !matches!(event, Event::Delete(_)));
    assert_eq!(told(events).await, [NEW, STARTING, "running", "ended: deleted"]);
}

#[tokio::test]
async fn a_second_list_repeats_nothing() {
    let mut events = recorded("success");
    let again = recorded("success").into_iter().nth(2).into_iter().filter_map(|event| match event {
        Event::Apply(job) => Some(Event::InitApply(job)),
        _ => None,
    });
    let again: Vec<_> = [Event::Init].into_iter().chain(again).chain([Event::InitDone]).collect();
    events.splice(3..3, again);
    assert_eq!(told(events).await, [NEW, STARTING, "running", "ended: completed"]);
}
