//! Stories recorded from a real API server, and what a watcher is told of them.

use std::{fs, path::Path, time::Duration};

use serde::Deserialize;
use serde_json::{Value, json};

use super::*;
use crate::{
    KubeBackend, KubeOptions,
    backend::JobBackend as _,
    testing::{ApiServer, Trouble, Verb},
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

fn recorded(situation: &str) -> Vec<Step> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/fixtures/{situation}.ndjson"));
    let text = fs::read_to_string(path).unwrap();
    let events = text.lines().map(|line| serde_json::from_str::<Line>(line).unwrap());
    let steps = events.map(|Line { kind, object: mut job }| {
        // The recordings were made before Jobs had this label, or were cut.
        job["metadata"]["labels"] = json!({"k8s-backend/managed": "true"});
        Step { deleted: kind == "DELETED", job }
    });
    steps.collect()
}

impl Step {
    fn name(&self) -> &str {
        self.job["metadata"]["name"].as_str().unwrap()
    }

    fn happen(&self, server: &ApiServer) {
        if self.deleted {
            server.remove("jobs", self.name());
        } else {
            server.put("jobs", self.job.clone());
        }
    }
}

/// Everything that a watcher is told until it is silent.
async fn hear(phases: &mut BoxStream<'static, News>) -> Vec<String> {
    let mut told = Vec::new();
    while let Ok(Some(phase)) = tokio::time::timeout(Duration::from_mins(5), phases.next()).await {
        told.push(match phase {
            Ok(JobPhase::Pending { waiting }) => format!("pending: {waiting}"),
            Ok(JobPhase::Running) => "running".to_owned(),
            Ok(JobPhase::Ended(cause)) => format!("ended: {cause}"),
            Err(error) => format!("{:?}", error.kind),
        });
    }
    told
}

/// Lets events happen on a server, one by one, and returns what a watcher is told of them.
async fn told(steps: Vec<Step>) -> Vec<String> {
    told_with(steps, |_, _| {}).await
}

/// The same, with something that happens to the server before each event.
async fn told_with(steps: Vec<Step>, before: impl Fn(&ApiServer, usize)) -> Vec<String> {
    let server = ApiServer::new("terrakube");
    let backend = KubeBackend::new(server.client(), KubeOptions::new());
    steps[0].happen(&server);
    let mut phases = backend.watch(steps[0].name());
    let mut told = hear(&mut phases).await;
    for (number, step) in steps.iter().enumerate().skip(1) {
        before(&server, number);
        step.happen(&server);
        told.extend(hear(&mut phases).await);
    }
    told
}

const NEW: &str = "pending: the cluster has not taken the Job up yet";
const STARTING: &str = "pending: the pod is not ready yet";
const NO_POD: &str = "pending: the Job has no pod";
const ENDING: &str = "pending: the Job is being ended";

#[tokio::test(start_paused = true)]
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

#[tokio::test(start_paused = true)]
async fn a_job_that_vanishes_without_its_pod_is_no_end() {
    let expected = [NEW, STARTING, "running", "NotFound"];
    assert_eq!(told(recorded("delete-background-traps-term")).await, expected);
}

#[tokio::test(start_paused = true)]
async fn a_job_that_is_not_there_is_not_found() {
    let backend = KubeBackend::new(ApiServer::new("terrakube").client(), KubeOptions::new());
    assert_eq!(hear(&mut backend.watch("job-1")).await, ["NotFound"]);
}

#[tokio::test(start_paused = true)]
async fn what_happens_while_the_watch_is_cut_is_told_afterwards() {
    for situation in
        ["success", "exit-code-7", "delete-foreground-traps-term", "delete-background-traps-term"]
    {
        let whole = told(recorded(situation)).await;
        let cut = told_with(recorded(situation), |server, _| server.cut_watches()).await;
        assert_eq!(cut, whole, "{situation}");
        // What was lost for good is skipped, but the end is the end.
        let expired = told_with(recorded(situation), |server, _| server.restart()).await;
        assert_eq!(expired.last(), whole.last(), "{situation}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_deletion_that_falls_into_a_gap_of_the_watch_is_found_by_the_next_list() {
    let mut steps = recorded("delete-foreground-traps-term");
    let last = steps.iter().position(|step| step.deleted).unwrap();
    steps.truncate(last + 1);
    let server = ApiServer::new("terrakube");
    let backend = KubeBackend::new(server.client(), KubeOptions::new());
    steps[0].happen(&server);
    let mut phases = backend.watch(steps[0].name());
    hear(&mut phases).await;
    server.cut_watches();
    for step in &steps[1..] {
        step.happen(&server);
    }
    server.restart();
    // Nobody saw that the deletion waited for the pod.
    assert_eq!(hear(&mut phases).await, ["NotFound"]);
}

#[tokio::test(start_paused = true)]
async fn another_job_under_the_name_is_not_taken_for_the_one_that_is_watched() {
    let mut steps = recorded("delete-foreground-traps-term");
    steps.retain(|step| !step.deleted);
    assert_eq!(told(steps).await, [NEW, STARTING, "running", "ended: deleted"]);
}

#[tokio::test(start_paused = true)]
async fn an_old_list_takes_nothing_back() {
    let server = ApiServer::new("terrakube");
    let backend = KubeBackend::new(server.client(), KubeOptions::new());
    // The watch is open and then falls behind: it does not know the Job that the server knows.
    assert_eq!(hear(&mut backend.watch("nobody")).await, ["NotFound"]);
    server.delay_events(Duration::from_mins(20));
    for step in recorded("success").iter().take(3) {
        step.happen(&server);
    }
    let mut phases = backend.watch(recorded("success")[0].name());
    assert_eq!(hear(&mut phases).await, ["running"]);
    tokio::time::sleep(Duration::from_mins(30)).await; // bounded poll
    assert_eq!(hear(&mut phases).await, [""; 0]);
}

#[tokio::test(start_paused = true)]
async fn a_watch_that_is_behind_tells_of_no_earlier_job_of_the_name() {
    let server = ApiServer::new("terrakube");
    let backend = KubeBackend::new(server.client(), KubeOptions::new());
    assert_eq!(hear(&mut backend.watch("nobody")).await, ["NotFound"]);
    server.delay_events(Duration::from_secs(30));
    let mut job = recorded("success").swap_remove(2);
    job.happen(&server);
    tokio::time::sleep(Duration::from_secs(5)).await; // bounded poll
    server.remove("jobs", job.name());
    tokio::time::sleep(Duration::from_secs(5)).await; // bounded poll
    job.job["metadata"]["uid"] = json!("of-the-second-job");
    job.happen(&server);
    let mut phases = backend.watch(job.name());
    assert_eq!(hear(&mut phases).await, ["running"]);
}

#[tokio::test(start_paused = true)]
async fn nothing_is_kept_of_jobs_that_are_gone() {
    let server = ApiServer::new("terrakube");
    let backend = KubeBackend::new(server.client(), KubeOptions::new());
    let names: Vec<_> = (0..30).map(|number| format!("job-{number}")).collect();
    let mut watches = Vec::new();
    for name in &names {
        backend.submit(&crate::testing::conformance::sample_job(name).into()).await.unwrap();
        server.start_pod(name);
        let mut phases = backend.watch(name);
        assert_eq!(hear(&mut phases).await.last().map(String::as_str), Some("running"));
        watches.push(phases);
    }
    assert_eq!(backend.shared().hub.state().archive.sizes(), (30, 30));
    for (number, name) in names.iter().enumerate() {
        server.end_pod(name, &crate::testing::PodEnd::Fails);
        if number % 3 == 0 {
            server.cut_watches();
        }
        server.delete_in_background(name);
    }
    for phases in &mut watches {
        hear(phases).await;
    }
    assert_eq!(backend.shared().hub.state().archive.sizes(), (0, 0));
    assert!(backend.shared().hub.state().followed.is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_job_whose_label_is_taken_away_has_not_gone() {
    let server = ApiServer::new("terrakube");
    let backend = KubeBackend::new(server.client(), KubeOptions::new());
    let mut job = recorded("success").swap_remove(2);
    job.happen(&server);
    let mut phases = backend.watch(job.name());
    assert_eq!(hear(&mut phases).await, ["running"]);
    job.job["metadata"]["labels"] = json!({});
    job.happen(&server);
    assert_eq!(hear(&mut phases).await, ["Unavailable"]);
    assert_eq!(hear(&mut backend.watch(job.name())).await, ["NotFound"]);
}

#[tokio::test(start_paused = true)]
async fn a_thousand_watchers_are_one_watch() {
    let server = ApiServer::new("terrakube");
    let backend = KubeBackend::new(server.client(), KubeOptions::new());
    let job = &recorded("success")[2];
    for number in 0..1000 {
        let mut one = job.job.clone();
        one["metadata"]["name"] = json!(format!("job-{number}"));
        server.put("jobs", one);
    }
    let asked = Arc::new(std::sync::Mutex::new(Vec::new()));
    let log = Arc::clone(&asked);
    server.trouble(move |request| {
        log.lock().unwrap().push((request.resource.clone(), request.verb));
        Trouble::default()
    });
    let watchers: Vec<_> = (0..1000).map(|number| backend.watch(&format!("job-{number}"))).collect();
    for mut phases in watchers {
        assert_eq!(phases.next().await.unwrap().unwrap(), JobPhase::Running);
    }
    asked.lock().unwrap().sort();
    // The Jobs come in two pages. What the role allows is asked with eight questions.
    let review = || ("selfsubjectaccessreviews".to_owned(), Verb::Create);
    let of = |resource: &str, lists| {
        [vec![(resource.to_owned(), Verb::List); lists], vec![(resource.to_owned(), Verb::Watch)]].concat()
    };
    let reviews = vec![review(); crate::questions("terrakube").len()];
    assert_eq!(*asked.lock().unwrap(), [of("events", 1), of("jobs", 2), of("pods", 1), reviews].concat());
}
