//! Recordings of a real cluster, replayed on the API server in memory: the backend reports the same phases as
//! the pure functions.

use std::sync::{Arc, Mutex};

use serde_json::json;

use super::*;
use crate::{
    KubeBackend, KubeOptions,
    backend::JobBackend as _,
    phase::fixtures::{Change, RECORDINGS, changes, expected_lines, text},
    testing::{ApiServer, Fault, Verb},
};

fn plural(object: &serde_json::Value) -> &'static str {
    match object["kind"].as_str().unwrap() {
        "Job" => "jobs",
        "Pod" => "pods",
        _ => "events",
    }
}

fn apply(server: &ApiServer, change: &Change) {
    let mut object = change.object.clone();
    if object["kind"] != "Event" {
        // The recordings are older than this label.
        object["metadata"]["labels"]["k8s-backend/managed"] = json!("true");
    }
    // Some were recorded in other namespaces.
    object["metadata"]["namespace"] = json!("terrakube");
    let name = object["metadata"]["name"].as_str().unwrap().to_owned();
    let plural = plural(&object);
    server.put(plural, object);
    if change.deleted {
        server.remove(plural, &name);
    }
}

/// Reads all phases until nothing changes any more, in the form of `fixtures.txt`.
async fn read_all(phases: &mut BoxStream<'static, PhaseResult>) -> Vec<String> {
    let mut seen = Vec::new();
    while let Ok(Some(phase)) = tokio::time::timeout(Duration::from_secs(10), phases.next()).await {
        seen.push(match phase {
            Ok(JobPhase::Ended(Cause::Deleted)) => "gone with its pod".to_owned(),
            Ok(phase) => text(&phase),
            Err(error) if error.kind == ErrorKind::NotFound => "gone".to_owned(),
            Err(error) => format!("{error}: {}", error.source),
        });
    }
    seen
}

/// Returns what one watch reports: the phases until the end or the deletion. The pure functions go on with
/// the next Job of the name.
fn until_the_end(lines: Vec<String>) -> Vec<String> {
    let is_end = |line: &String| line.starts_with("ended") || line.starts_with("gone");
    let length = lines.iter().position(is_end).map_or(lines.len(), |last| last + 1);
    lines.into_iter().take(length).collect()
}

fn server(sees_pods: bool) -> ApiServer {
    let server = ApiServer::new("terrakube");
    if sees_pods {
        server.extended_role();
    } else {
        server.documented_role();
    }
    server
}

#[tokio::test(start_paused = true)]
async fn reports_every_recording_as_far_as_the_role_can_read() {
    for (name, sees_pods) in RECORDINGS.iter().flat_map(|name| [(name, false), (name, true)]) {
        let name = name.replace('_', "-");
        let server = server(sees_pods);
        let requests = Arc::new(Mutex::new(Vec::new()));
        let log = Arc::clone(&requests);
        server.inject_faults(move |request| {
            if request.resource != "jobs" {
                log.lock().unwrap().push((request.resource.clone(), request.verb));
            }
            Fault::default()
        });
        let recording = changes(&name);
        let backend = KubeBackend::new(server.client(), KubeOptions::new());
        apply(&server, &recording[0]);
        let mut phases = backend.watch(recording[0].object["metadata"]["name"].as_str().unwrap());
        let mut seen = read_all(&mut phases).await;
        for change in &recording[1..] {
            apply(&server, change);
            seen.extend(read_all(&mut phases).await);
        }
        assert_eq!(seen, until_the_end(expected_lines(&name, sees_pods)), "{name} {sees_pods}");
        let lists = requests.lock().unwrap().iter().filter(|(_, verb)| *verb == Verb::List).count();
        assert_eq!(
            lists,
            if sees_pods { 2 } else { 0 },
            "{name}: pods and events are listed once, if at all"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn program_that_starts_after_the_end_reports_the_same_end() {
    let mut ends = 0;
    for (name, sees_pods) in RECORDINGS.iter().flat_map(|name| [(name, false), (name, true)]) {
        let name = name.replace('_', "-");
        let expected = until_the_end(expected_lines(&name, sees_pods)).pop().unwrap();
        // Without events and pods, only a watcher of the start saw that the container never ran.
        if !expected.starts_with("ended") || (!sees_pods && expected.contains("before it started")) {
            continue;
        }
        let server = server(sees_pods);
        for change in changes(&name).iter().filter(|change| !change.deleted) {
            apply(&server, change);
        }
        let backend = KubeBackend::new(server.client(), KubeOptions::new());
        let name = server.names("jobs").pop().unwrap();
        assert_eq!(read_all(&mut backend.watch(&name)).await, [expected], "{name} {sees_pods}");
        ends += 1;
    }
    assert!(ends > 60, "only {ends} recordings have an end");
}
