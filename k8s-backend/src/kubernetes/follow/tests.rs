//! Recordings of a real API server, and the phases that a watcher gets.

use std::{fs, path::Path, time::Duration};

use serde::Deserialize;
use serde_json::{Value, json};

use super::*;
use crate::{
    KubeBackend, KubeOptions,
    backend::JobBackend as _,
    testing::{ApiServer, Fault, Verb},
};

#[derive(Deserialize)]
struct Line {
    #[serde(rename = "type")]
    kind: String,
    object: Value,
}

/// One recorded event.
struct Step {
    deleted: bool,
    job: Value,
}

fn recorded(recording: &str) -> Vec<Step> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/fixtures/{recording}.ndjson"));
    let text = fs::read_to_string(path).unwrap();
    let events = text.lines().map(|line| serde_json::from_str::<Line>(line).unwrap());
    let steps = events.map(|Line { kind, object: mut job }| {
        // The recordings are older than this label, and have no specification.
        job["metadata"]["labels"] = json!({"k8s-backend/managed": "true"});
        Step { deleted: kind == "DELETED", job }
    });
    steps.collect()
}

impl Step {
    fn name(&self) -> &str {
        self.job["metadata"]["name"].as_str().unwrap()
    }

    fn apply_to(&self, server: &ApiServer) {
        if self.deleted {
            server.remove("jobs", self.name());
        } else {
            server.put("jobs", self.job.clone());
        }
    }
}

/// Reads all phases until nothing changes any more.
async fn read_all(phases: &mut BoxStream<'static, PhaseResult>) -> Vec<String> {
    let mut seen = Vec::new();
    while let Ok(Some(phase)) = tokio::time::timeout(Duration::from_mins(5), phases.next()).await {
        seen.push(match phase {
            Ok(phase) => phase.to_string(),
            Err(error) => format!("{:?}", error.kind),
        });
    }
    seen
}

/// Applies events to a server, one by one, and returns the phases that a watcher gets.
async fn replay(steps: Vec<Step>) -> Vec<String> {
    replay_with(steps, |_, _| {}).await
}

/// The same, with a fault of the server before each event.
async fn replay_with(steps: Vec<Step>, before: impl Fn(&ApiServer, usize)) -> Vec<String> {
    let server = ApiServer::new("terrakube");
    let backend = KubeBackend::new(server.client(), KubeOptions::new());
    steps[0].apply_to(&server);
    let mut phases = backend.watch(steps[0].name());
    let mut seen = read_all(&mut phases).await;
    for (number, step) in steps.iter().enumerate().skip(1) {
        before(&server, number);
        step.apply_to(&server);
        seen.extend(read_all(&mut phases).await);
    }
    seen
}

const NEW: &str = "pending: the Job controller has not processed the Job yet";
const STARTING: &str = "pending: the pod is not ready yet";
const NO_POD: &str = "pending: the Job has no pod";
const TERMINATING: &str = "pending: the Job is terminating";

#[tokio::test(start_paused = true)]
async fn reports_phases_of_recordings_in_order_to_their_end() {
    const NEVER: &str = "ended: deadline exceeded before the start: the Job has no pod";
    let hidden = "ended: failed, exit code not readable";
    for (recording, expected) in [
        ("success", &[NEW, STARTING, "running", "ended: completed"][..]),
        ("exit-code-7", &[NEW, STARTING, "running", hidden]),
        ("deadline-exceeded", &[NEW, STARTING, "running", "ended: deadline exceeded"]),
        ("pod-failure-policy-fail-job", &[NEW, STARTING, "running", "ended: exit code 42"]),
        ("delete-foreground-traps-term", &[NEW, STARTING, "running", "ended: Kubernetes Job deleted"]),
        ("node-lost-and-back", &[NEW, STARTING, "running", hidden]),
        ("node-deleted", &[NEW, STARTING, "running", hidden]),
        ("pod-deleted-exits-0", &[NEW, STARTING, "running", "ended: completed"]),
        ("image-pull-until-deadline", &[NEW, STARTING, TERMINATING, "ended: deadline exceeded"]),
        ("quota-forbids-pod-until-deadline", &[NEW, NO_POD, TERMINATING, NEVER]),
        ("suspend-resume", &[NEW, "pending: the Job is suspended", STARTING, "running", "ended: completed"]),
    ] {
        assert_eq!(replay(recorded(recording)).await, expected, "{recording}");
    }
}

#[tokio::test(start_paused = true)]
async fn deletion_without_waiting_for_the_pod_is_not_an_end() {
    let expected = [NEW, STARTING, "running", "NotFound"];
    assert_eq!(replay(recorded("delete-background-traps-term")).await, expected);
}

#[tokio::test(start_paused = true)]
async fn unknown_job_is_not_found() {
    let backend = KubeBackend::new(ApiServer::new("terrakube").client(), KubeOptions::new());
    assert_eq!(read_all(&mut backend.watch("job-1")).await, ["NotFound"]);
}

#[tokio::test(start_paused = true)]
async fn reports_changes_that_happened_while_the_watch_was_broken() {
    for recording in
        ["success", "exit-code-7", "delete-foreground-traps-term", "delete-background-traps-term"]
    {
        let whole = replay(recorded(recording)).await;
        let cut = replay_with(recorded(recording), |server, _| server.break_watches()).await;
        assert_eq!(cut, whole, "{recording}");
        // Phases that no list contains are skipped, but not the end.
        let expired = replay_with(recorded(recording), |server, _| server.restart()).await;
        assert_eq!(expired.last(), whole.last(), "{recording}");
    }
}

#[tokio::test(start_paused = true)]
async fn finds_deletion_that_the_watch_missed_in_the_next_list() {
    let mut steps = recorded("delete-foreground-traps-term");
    let last = steps.iter().position(|step| step.deleted).unwrap();
    steps.truncate(last + 1);
    let server = ApiServer::new("terrakube");
    let backend = KubeBackend::new(server.client(), KubeOptions::new());
    steps[0].apply_to(&server);
    let mut phases = backend.watch(steps[0].name());
    read_all(&mut phases).await;
    server.break_watches();
    for step in &steps[1..] {
        step.apply_to(&server);
    }
    server.restart();
    // That the deletion waited for the pod was not seen.
    assert_eq!(read_all(&mut phases).await, ["NotFound"]);
}

#[tokio::test(start_paused = true)]
async fn another_job_of_the_name_is_not_the_watched_one() {
    let mut steps = recorded("delete-foreground-traps-term");
    steps.retain(|step| !step.deleted);
    assert_eq!(replay(steps).await, [NEW, STARTING, "running", "ended: Kubernetes Job deleted"]);
}

#[tokio::test(start_paused = true)]
async fn outdated_list_changes_nothing() {
    let server = ApiServer::new("terrakube");
    let backend = KubeBackend::new(server.client(), KubeOptions::new());
    // The watch is open and then delayed: it does not know the Job that the server knows.
    assert_eq!(read_all(&mut backend.watch("unknown")).await, ["NotFound"]);
    server.delay_events(Duration::from_mins(20));
    for step in recorded("success").iter().take(3) {
        step.apply_to(&server);
    }
    let mut phases = backend.watch(recorded("success")[0].name());
    assert_eq!(read_all(&mut phases).await, ["running"]);
    tokio::time::sleep(Duration::from_mins(30)).await; // bounded poll
    assert_eq!(read_all(&mut phases).await, [""; 0]);
}

#[tokio::test(start_paused = true)]
async fn delayed_watch_does_not_report_an_earlier_job_of_the_name() {
    let server = ApiServer::new("terrakube");
    let backend = KubeBackend::new(server.client(), KubeOptions::new());
    assert_eq!(read_all(&mut backend.watch("unknown")).await, ["NotFound"]);
    server.delay_events(Duration::from_secs(30));
    let mut job = recorded("success").swap_remove(2);
    job.apply_to(&server);
    tokio::time::sleep(Duration::from_secs(5)).await; // bounded poll
    server.remove("jobs", job.name());
    tokio::time::sleep(Duration::from_secs(5)).await; // bounded poll
    job.job["metadata"]["uid"] = json!("of-the-second-job");
    job.apply_to(&server);
    let mut phases = backend.watch(job.name());
    assert_eq!(read_all(&mut phases).await, ["running"]);
}

#[tokio::test(start_paused = true)]
async fn keeps_nothing_of_deleted_jobs() {
    let server = ApiServer::new("terrakube");
    let backend = KubeBackend::new(server.client(), KubeOptions::new());
    let names: Vec<_> = (0..30).map(|number| format!("job-{number}")).collect();
    let mut watches = Vec::new();
    for name in &names {
        backend.submit(&crate::testing::conformance::sample_job(name).into()).await.unwrap();
        server.start_pod(name);
        let mut phases = backend.watch(name);
        assert_eq!(read_all(&mut phases).await.last().map(String::as_str), Some("running"));
        watches.push(phases);
    }
    assert_eq!(backend.shared.hub.state().related.sizes(), (30, 30));
    for (number, name) in names.iter().enumerate() {
        server.end_pod(name, &crate::testing::PodEnd::Fails);
        if number % 3 == 0 {
            server.break_watches();
        }
        server.delete_in_background(name);
    }
    for phases in &mut watches {
        read_all(phases).await;
    }
    assert_eq!(backend.shared.hub.state().related.sizes(), (0, 0));
    assert!(backend.shared.hub.state().followed.is_empty());
}

#[tokio::test(start_paused = true)]
async fn job_without_its_label_is_not_deleted() {
    let server = ApiServer::new("terrakube");
    let backend = KubeBackend::new(server.client(), KubeOptions::new());
    let mut job = recorded("success").swap_remove(2);
    job.apply_to(&server);
    let mut phases = backend.watch(job.name());
    assert_eq!(read_all(&mut phases).await, ["running"]);
    job.job["metadata"]["labels"] = json!({});
    job.apply_to(&server);
    assert_eq!(read_all(&mut phases).await, ["Unavailable"]);
    assert_eq!(read_all(&mut backend.watch(job.name())).await, ["NotFound"]);
}

#[tokio::test(start_paused = true)]
async fn thousand_watchers_share_one_watch() {
    let server = ApiServer::new("terrakube");
    let backend = KubeBackend::new(server.client(), KubeOptions::new());
    let job = &recorded("success")[2];
    for number in 0..1000 {
        let mut one = job.job.clone();
        one["metadata"]["name"] = json!(format!("job-{number}"));
        server.put("jobs", one);
    }
    let requests = Arc::new(std::sync::Mutex::new(Vec::new()));
    let log = Arc::clone(&requests);
    server.inject_faults(move |request| {
        log.lock().unwrap().push((request.resource.clone(), request.verb));
        Fault::default()
    });
    let watchers: Vec<_> = (0..1000).map(|number| backend.watch(&format!("job-{number}"))).collect();
    for mut phases in watchers {
        assert_eq!(phases.next().await.unwrap().unwrap(), JobPhase::Running);
    }
    requests.lock().unwrap().sort();
    // The Jobs come in two pages. What the role allows takes eight reviews.
    let review = || ("selfsubjectaccessreviews".to_owned(), Verb::Create);
    let of = |resource: &str, lists| {
        [vec![(resource.to_owned(), Verb::List); lists], vec![(resource.to_owned(), Verb::Watch)]].concat()
    };
    let reviews = vec![review(); crate::access_reviews("terrakube").len()];
    assert_eq!(*requests.lock().unwrap(), [of("events", 1), of("jobs", 2), of("pods", 1), reviews].concat());
}
