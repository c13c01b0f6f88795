//! The recorded stories, acted out on a server and told by the backend: with each role the same as by the pure functions.

use std::sync::{Arc, Mutex};

use serde_json::json;

use super::*;
use crate::{
    KubeBackend, KubeOptions,
    backend::JobBackend as _,
    phase::fixtures::{STORIES, Written, expected_lines, text, written},
    testing::{ApiServer, Trouble, Verb},
};

fn plural(object: &serde_json::Value) -> &'static str {
    match object["kind"].as_str().unwrap() {
        "Job" => "jobs",
        "Pod" => "pods",
        _ => "events",
    }
}

fn happen(server: &ApiServer, written: &Written) {
    let mut object = written.object.clone();
    if object["kind"] != "Event" {
        // The recordings were made before Jobs and pods had this label.
        object["metadata"]["labels"]["k8s-backend/managed"] = json!("true");
    }
    // Some have happened in other namespaces.
    object["metadata"]["namespace"] = json!("terrakube");
    let name = object["metadata"]["name"].as_str().unwrap().to_owned();
    let plural = plural(&object);
    server.put(plural, object);
    if written.gone {
        server.remove(plural, &name);
    }
}

/// Everything that a watcher is told until it is silent, in the words of the stories.
async fn hear(phases: &mut BoxStream<'static, News>) -> Vec<String> {
    let mut told = Vec::new();
    while let Ok(Some(phase)) = tokio::time::timeout(Duration::from_secs(10), phases.next()).await {
        told.push(match phase {
            Ok(JobPhase::Ended(Cause::Deleted)) => "gone with its pod".to_owned(),
            Ok(phase) => text(&phase),
            Err(error) if error.kind == ErrorKind::NotFound => "gone".to_owned(),
            Err(error) => format!("{error}: {}", error.source),
        });
    }
    told
}

/// What a watch tells: until the Job ends, or goes. The pure functions go on to the next Job of the name.
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
async fn every_recorded_story_is_told_as_far_as_the_role_can_see() {
    for (situation, sees_pods) in STORIES.iter().flat_map(|name| [(name, false), (name, true)]) {
        let situation = situation.replace('_', "-");
        let server = server(sees_pods);
        let asked = Arc::new(Mutex::new(Vec::new()));
        let log = Arc::clone(&asked);
        server.trouble(move |request| {
            if request.resource != "jobs" {
                log.lock().unwrap().push((request.resource.clone(), request.verb));
            }
            Trouble::default()
        });
        let story = written(&situation);
        let backend = KubeBackend::new(server.client(), KubeOptions::new());
        happen(&server, &story[0]);
        let mut phases = backend.watch(story[0].object["metadata"]["name"].as_str().unwrap());
        let mut told = hear(&mut phases).await;
        for written in &story[1..] {
            happen(&server, written);
            told.extend(hear(&mut phases).await);
        }
        assert_eq!(told, until_the_end(expected_lines(&situation, sees_pods)), "{situation} {sees_pods}");
        let lists = asked.lock().unwrap().iter().filter(|(_, verb)| *verb == Verb::List).count();
        assert_eq!(
            lists,
            if sees_pods { 2 } else { 0 },
            "{situation}: pods and events are listed once, if at all"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_program_that_starts_after_the_end_tells_the_same_end() {
    let mut ends = 0;
    for (situation, sees_pods) in STORIES.iter().flat_map(|name| [(name, false), (name, true)]) {
        let situation = situation.replace('_', "-");
        let expected = until_the_end(expected_lines(&situation, sees_pods)).pop().unwrap();
        // Without events and pods, only who was there saw that it never ran.
        if !expected.starts_with("ended") || (!sees_pods && expected.contains("before it started")) {
            continue;
        }
        let server = server(sees_pods);
        for written in written(&situation).iter().filter(|written| !written.gone) {
            happen(&server, written);
        }
        let backend = KubeBackend::new(server.client(), KubeOptions::new());
        let name = server.names("jobs").pop().unwrap();
        assert_eq!(hear(&mut backend.watch(&name)).await, [expected], "{situation} {sees_pods}");
        ends += 1;
    }
    assert!(ends > 60, "only {ends} stories have an end");
}
