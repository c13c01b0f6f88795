//! Recordings of a real cluster, each observed twice: with pods and events, and with the Job alone.
//!
//! `fixtures.txt` contains the expected phases as text. The lines of all streams are replayed in the order in
//! which the cluster wrote them (`resourceVersion`).

use std::{collections::BTreeMap, fs, path::PathBuf};

use k8s_openapi::api::{
    batch::v1::Job,
    core::v1::{Event, Pod},
};
use serde_json::Value;

use super::*;

const EXPECTED: &str = include_str!("fixtures.txt");

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/kubernetes")
}

enum Line {
    Job(Box<Job>),
    JobDeleted(Box<Job>),
    Pod(Box<Pod>),
    Event(Box<Event>),
}

fn version(object: &Value) -> u64 {
    object["metadata"]["resourceVersion"].as_str().unwrap().parse().unwrap()
}

/// A change that the cluster recorded.
pub(crate) struct Change {
    pub(crate) deleted: bool,
    pub(crate) object: Value,
}

/// Reads all streams of a recording in the order of the cluster.
pub(crate) fn changes(recording: &str) -> Vec<Change> {
    let read = |name: &str| fs::read_to_string(folder().join(recording).join(name)).unwrap();
    let mut all = Vec::new();
    for stream in ["watch-jobs.ndjson", "watch-pods.ndjson"] {
        for line in read(stream).lines() {
            let mut line = serde_json::from_str::<Value>(line).unwrap()["line"].take();
            if line["type"].is_string() && line["type"] != "BOOKMARK" {
                all.push(Change { deleted: line["type"] == "DELETED", object: line["object"].take() });
            }
        }
    }
    let events: Vec<Value> = serde_json::from_str(&read("events.json")).unwrap();
    for mut event in events {
        event["kind"] = "Event".into();
        all.push(Change { deleted: false, object: event });
    }
    all.sort_by_key(|change| version(&change.object));
    all
}

fn recorded(recording: &str) -> Vec<Line> {
    let parsed = changes(recording).into_iter().map(|Change { deleted, object }| {
        match (deleted, object["kind"].as_str().unwrap()) {
            (true, "Job") => Line::JobDeleted(serde_json::from_value(object).unwrap()),
            (_, "Job") => Line::Job(serde_json::from_value(object).unwrap()),
            // A deleted pod stays as it was seen last.
            (_, "Pod") => Line::Pod(serde_json::from_value(object).unwrap()),
            (_, "Event") => Line::Event(serde_json::from_value(object).unwrap()),
            other => unreachable!("{other:?}"),
        }
    });
    parsed.collect()
}

/// Replays a recording to an observer; `sees_pods` is the extended role.
fn replay(lines: Vec<Line>, sees_pods: bool) -> Vec<String> {
    let mut phases = Vec::new();
    let mut seen: Option<Job> = None;
    let mut observer = Observer::default();
    let mut pods = BTreeMap::new();
    let mut events = Vec::new();
    for line in lines {
        match line {
            Line::Job(job) => {
                seen = Some(*job);
            }
            Line::JobDeleted(job) => {
                let how = if waits_for_its_pod(&job) { "gone with its pod" } else { "gone" };
                phases.push(how.to_owned());
                // The next one is another Job of this name.
                (seen, observer) = (None, Observer::default());
                continue;
            }
            Line::Pod(pod) if sees_pods => _ = pods.insert(pod.metadata.uid.clone(), *pod),
            Line::Event(event) if sees_pods => events.push(*event),
            Line::Pod(_) | Line::Event(_) => continue,
        }
        let all: Vec<Pod> = pods.values().cloned().collect();
        if let Some(job) = &seen
            && let Some(phase) = observer.observe(job, &all, &events)
        {
            phases.push(text(&phase));
        }
    }
    phases
}

pub(crate) fn text(phase: &JobPhase) -> String {
    let retry = match phase {
        JobPhase::Ended(cause) => match cause.retry() {
            Retry::NotNeeded => "",
            Retry::Safe => " (retry: safe)",
            Retry::MayHaveRun => " (retry: may have run)",
        },
        _ => "",
    };
    format!("{phase}{retry}")
}

/// Returns the phases of a recording in the form of `fixtures.txt`.
fn observed(recording: &str) -> String {
    let replay = |sees_pods| replay(recorded(recording), sees_pods);
    let (all, alone) = (replay(true), replay(false));
    let lines = |lines: &[String]| format!("    {}\n", lines.join("\n    "));
    if all == alone {
        format!("{recording}\n  with and without pods and events\n{}", lines(&all))
    } else {
        format!("{recording}\n  with pods and events\n{}  with the Job alone\n{}", lines(&all), lines(&alone))
    }
}

/// Returns the lines of `fixtures.txt` about a recording, as one role sees it.
pub(crate) fn expected_lines(recording: &str, sees_pods: bool) -> Vec<String> {
    let whole = expected(recording);
    let heading = if sees_pods { "  with pods and events" } else { "  with the Job alone" };
    let mut lines = whole
        .lines()
        .skip_while(|line| *line != heading && !line.ends_with("with and without pods and events"));
    lines.next().unwrap();
    lines.take_while(|line| line.starts_with("    ")).map(|line| line.trim_start().to_owned()).collect()
}

fn expected(recording: &str) -> String {
    let mut recordings = EXPECTED.split("\n\n").map(|text| format!("{}\n", text.trim_end()));
    recordings.find(|text| text.lines().next() == Some(recording)).unwrap_or_default()
}

macro_rules! recordings {
    ($($name:ident),* $(,)?) => {
        pub(crate) const RECORDINGS: &[&str] = &[$(stringify!($name)),*];
        $(
            #[test]
            fn $name() {
                let recording = stringify!($name).replace('_', "-");
                let observed = observed(&recording);
                assert!(observed == expected(&recording), "observed:\n{observed}\nexpected:\n{}", expected(&recording));
            }
        )*
    };
}

recordings! {
    backoff_limit_1_exhausted,
    backoff_limit_6,
    command_not_found,
    config_error_missing_key,
    config_error_missing_secret,
    config_error_recovers,
    config_error_run_as_root,
    deadline_exceeded,
    deadline_exceeded_exit_0,
    delete_background_grace_in_options,
    delete_background_ignores_term,
    delete_background_then_recreate,
    delete_background_traps_term,
    delete_default_propagation,
    delete_finished,
    delete_foreground_ignores_term,
    delete_foreground_traps_term,
    delete_orphan_running,
    env_value_longest,
    env_value_too_long,
    evicted_by_api,
    evicted_empty_dir,
    evicted_ephemeral_storage,
    exit_code_7,
    image_name_invalid,
    image_never_pull,
    image_pull_secret_missing,
    image_pull_unauthorized,
    image_pull_until_deadline,
    image_registry_unreachable,
    image_tag_not_found,
    init_container_fails,
    long_run_with_log,
    node_deleted,
    node_lost_and_back,
    node_lost_job_cancelled,
    node_lost_pod_force_deleted,
    node_lost_within_toleration,
    oom_killed,
    oom_killed_child,
    pod_deadline_exceeded,
    pod_deleted_by_force,
    pod_deleted_exits_0,
    pod_deleted_ignores_term,
    pod_deleted_while_pending,
    pod_failure_policy_fail_job,
    pod_failure_policy_ignore,
    pod_security_conforming,
    pod_security_violation,
    preempted,
    priority_class_missing,
    quota_forbids_pod,
    quota_forbids_pod_until_deadline,
    service_account_missing,
    success,
    success_all_fields,
    suspend_resume,
    ttl_cleanup,
    ttl_zero,
    unschedulable_claim_missing,
    unschedulable_cpu,
    unschedulable_node_selector,
    volume_missing_config_map,
}

/// After a restart of this program only the current objects are known.
#[test]
fn observation_after_the_end_shows_the_same_end() {
    let mut ends = 0;
    for recording in RECORDINGS.iter().map(|name| name.replace('_', "-")) {
        let phases = replay(recorded(&recording), true);
        let Some(end) = phases.iter().find(|line| line.starts_with("ended: ")) else { continue };
        let (mut last, mut pods, mut events) = (None, BTreeMap::new(), Vec::new());
        for line in recorded(&recording) {
            match line {
                Line::Job(job) => last = Some(*job),
                Line::Pod(pod) => _ = pods.insert(pod.metadata.uid.clone(), *pod),
                Line::Event(event) => events.push(*event),
                Line::JobDeleted(_) => {}
            }
        }
        let pods: Vec<Pod> = pods.into_values().collect();
        assert_eq!(text(&observe(&last.unwrap(), &pods, &events)), *end, "{recording}");
        ends += 1;
    }
    assert!(ends > 30, "only {ends} recordings have an end");
}

#[test]
#[cfg(feature = "kube")]
fn reduced_pods_and_events_give_the_same_phases() {
    for recording in RECORDINGS.iter().map(|name| name.replace('_', "-")) {
        let kept = recorded(&recording).into_iter().filter_map(|line| match line {
            Line::Pod(pod) => Some(Line::Pod(Box::new(keep::pod(*pod)))),
            Line::Event(event) => keep::event(*event).map(|event| Line::Event(Box::new(event))),
            other => Some(other),
        });
        assert_eq!(replay(kept.collect(), true), replay(recorded(&recording), true), "{recording}");
    }
}

#[test]
#[cfg(feature = "kube")]
fn reduced_pod_has_neither_environment_nor_output() {
    let mut outputs = 0;
    for recording in ["exit-code-7", "long-run-with-log", "init-container-fails"] {
        for line in recorded(recording) {
            let Line::Pod(pod) = line else { continue };
            let whole = serde_json::to_string(&pod).unwrap();
            let kept = serde_json::to_string(&keep::pod(*pod)).unwrap();
            assert!(whole.contains("EphemeralJobData") && !kept.contains("EphemeralJobData"), "{kept}");
            outputs += usize::from(whole.contains("Error: boom"));
            assert!(!kept.contains("Error: boom"), "{kept}");
            assert!(kept.len() < 2500, "{} bytes: {kept}", kept.len());
        }
    }
    assert!(outputs > 0);
}

#[test]
fn every_recording_is_replayed() {
    let folders = fs::read_dir(folder()).unwrap().map(|entry| entry.unwrap());
    let recordings = folders.filter(|entry| {
        entry.path().join("watch-jobs.ndjson").is_file() && entry.path().join("watch-pods.ndjson").is_file()
    });
    let mut names: Vec<_> =
        recordings.map(|entry| entry.file_name().into_string().unwrap().replace('-', "_")).collect();
    names.sort();
    assert_eq!(names, RECORDINGS);
}
