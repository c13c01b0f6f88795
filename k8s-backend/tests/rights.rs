//! What the role allows decides how precisely causes are told, and nothing else.

#![expect(clippy::unwrap_used, reason = "helpers of tests may unwrap as tests do")]

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use futures::{StreamExt as _, stream::BoxStream};
use k8s_backend::{
    BackendError, Cause, ErrorKind, JobBackend as _, JobPhase, KubeBackend, KubeOptions,
    testing::{ApiServer, PodEnd, Trouble, Verb, conformance::sample_job},
};
use serde_json::json;

const NAME: &str = "job-1001-100-1";
const REVIEWS: &str = "selfsubjectaccessreviews";

type Phases = BoxStream<'static, Result<JobPhase, BackendError>>;

async fn next(phases: &mut Phases) -> JobPhase {
    let next = tokio::time::timeout(Duration::from_mins(20), phases.next()).await;
    next.expect("the watch is silent").expect("the watch has ended").unwrap()
}

/// Submits a Job, lets it run and fail, and returns what its watcher is told of the end.
async fn end_of_a_failing_job(server: &ApiServer) -> JobPhase {
    let backend = KubeBackend::new(server.client(), KubeOptions::new());
    backend.submit(&sample_job(NAME).into()).await.unwrap();
    let mut phases = backend.watch(NAME);
    assert!(matches!(next(&mut phases).await, JobPhase::Pending { .. }));
    server.start_pod(NAME);
    assert_eq!(next(&mut phases).await, JobPhase::Running);
    server.end_pod(NAME, &PodEnd::Fails);
    next(&mut phases).await
}

const COARSE: JobPhase = JobPhase::Ended(Cause::ExitCode(None));
const PRECISE: JobPhase = JobPhase::Ended(Cause::ExitCode(Some(1)));

#[tokio::test(start_paused = true)]
async fn the_documented_role_tells_less_and_the_extended_one_all() {
    let server = ApiServer::new("terrakube");
    server.documented_role();
    assert_eq!(end_of_a_failing_job(&server).await, COARSE);
    let server = ApiServer::new("terrakube");
    server.extended_role();
    assert_eq!(end_of_a_failing_job(&server).await, PRECISE);
}

#[tokio::test(start_paused = true)]
async fn a_server_that_does_not_say_what_is_allowed_tells_less() {
    for code in [403, 404, 405] {
        let server = ApiServer::new("terrakube");
        server.trouble(
            move |request| {
                if request.resource == REVIEWS { Trouble::refused(code) } else { Trouble::default() }
            },
        );
        assert_eq!(end_of_a_failing_job(&server).await, COARSE, "{code}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_allowed_is_asked_again_while_the_server_is_in_trouble() {
    let server = ApiServer::new("terrakube");
    let asked = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&asked);
    server.trouble(move |request| {
        if request.resource != REVIEWS {
            return Trouble::default();
        }
        match count.fetch_add(1, Ordering::Relaxed) {
            0..10 => Trouble::refused(503),
            10..20 => Trouble::CUT_BEFORE,
            _ => Trouble::default(),
        }
    });
    assert_eq!(end_of_a_failing_job(&server).await, PRECISE);
    assert!(asked.load(Ordering::Relaxed) > 20);
}

#[tokio::test(start_paused = true)]
async fn a_role_that_lies_or_changes_is_no_fault() {
    for verb in [Verb::List, Verb::Watch] {
        let server = ApiServer::new("terrakube");
        server.trouble(move |request| {
            let is_it = request.verb == verb && ["pods", "events"].contains(&request.resource.as_str());
            if is_it { Trouble::refused(403) } else { Trouble::default() }
        });
        let end = end_of_a_failing_job(&server).await;
        assert!([COARSE, PRECISE].contains(&end), "{verb}: {end:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_rule_that_is_added_later_is_noticed() {
    let server = ApiServer::new("terrakube");
    server.documented_role();
    let backend = KubeBackend::new(server.client(), KubeOptions::new());
    backend.submit(&sample_job(NAME).into()).await.unwrap();
    server.start_pod(NAME);
    let mut phases = backend.watch(NAME);
    assert_eq!(next(&mut phases).await, JobPhase::Running);
    server.extended_role();
    assert!(tokio::time::timeout(Duration::from_mins(15), phases.next()).await.is_err(), "nothing is new");
    server.end_pod(NAME, &PodEnd::Fails);
    assert_eq!(next(&mut phases).await, PRECISE);
}

#[tokio::test(start_paused = true)]
async fn a_pod_that_is_told_later_than_its_job_is_waited_for() {
    // Shortly, and longer than anybody waits: then it is asked for.
    for late in [Duration::from_millis(500), Duration::from_mins(30)] {
        let server = ApiServer::new("terrakube");
        server.delay_events_of("pods", late);
        let backend = KubeBackend::new(server.client(), KubeOptions::new());
        backend.submit(&sample_job(NAME).into()).await.unwrap();
        let mut phases = backend.watch(NAME);
        assert!(matches!(next(&mut phases).await, JobPhase::Pending { .. }));
        server.end_pod(NAME, &PodEnd::FailsByPolicy(42));
        let mut told = next(&mut phases).await;
        while !told.is_terminal() {
            told = next(&mut phases).await;
        }
        assert_eq!(told, JobPhase::Ended(Cause::ExitCode(Some(42))), "{late:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_server_that_cannot_say_how_a_pod_ended_is_unavailable() {
    let server = ApiServer::new("terrakube");
    let backend = KubeBackend::new(server.client(), KubeOptions::new());
    backend.submit(&sample_job(NAME).into()).await.unwrap();
    let mut phases = backend.watch(NAME);
    assert!(matches!(next(&mut phases).await, JobPhase::Pending { .. }));
    server.delay_events_of("pods", Duration::from_mins(30));
    server.trouble(
        |request| {
            if request.resource == "pods" { Trouble::refused(500) } else { Trouble::default() }
        },
    );
    server.start_pod(NAME);
    assert_eq!(next(&mut phases).await, JobPhase::Running);
    server.end_pod(NAME, &PodEnd::Fails);
    assert_eq!(phases.next().await.unwrap().unwrap_err().kind, ErrorKind::Unavailable);
    server.no_trouble();
    assert_eq!(next(&mut backend.watch(NAME)).await, PRECISE);
}

#[tokio::test(start_paused = true)]
async fn the_words_of_the_cluster_are_told_as_they_come() {
    let server = ApiServer::new("terrakube");
    server.extended_role();
    let backend = KubeBackend::new(server.client(), KubeOptions::new());
    backend.submit(&sample_job(NAME).into()).await.unwrap();
    let mut phases = backend.watch(NAME);
    assert!(matches!(next(&mut phases).await, JobPhase::Pending { .. }));
    server.take_up(NAME);
    let mut pod = server.object("pods", &format!("{NAME}-x7k2p")).unwrap();
    pod["status"]["conditions"] = json!([{"type": "PodScheduled", "status": "False", "reason": "Unschedulable",
        "message": "0/1 nodes are available: 1 Insufficient cpu."}]);
    server.put("pods", pod);
    let told = next(&mut phases).await;
    let told = if matches!(&told, JobPhase::Pending { waiting } if waiting.to_string().contains("Insufficient cpu"))
    {
        told
    } else {
        next(&mut phases).await
    };
    let JobPhase::Pending { waiting } = told else { panic!("{told:?}") };
    assert_eq!(waiting.to_string(), "the pod is unschedulable: 0/1 nodes are available: 1 Insufficient cpu.");
}

#[tokio::test(start_paused = true)]
async fn jobs_that_are_there_at_the_start_are_followed_to_their_end() {
    let server = ApiServer::new("terrakube");
    let names: Vec<_> = (0..20).map(|number| format!("job-{number}-100-1")).collect();
    {
        let earlier = KubeBackend::new(server.client(), KubeOptions::new());
        for name in &names {
            earlier.submit(&sample_job(name).into()).await.unwrap();
        }
    }
    for name in &names[10..] {
        server.start_pod(name);
    }
    server.end_pod(&names[18], &PodEnd::Succeeds);
    server.end_pod(&names[19], &PodEnd::Fails);
    let backend = KubeBackend::new(server.client(), KubeOptions::new());
    backend.start_watches();
    let mut watches: Vec<_> = names.iter().map(|name| backend.watch(name)).collect();
    for (number, phases) in watches.iter_mut().enumerate() {
        let first = next(phases).await;
        match number {
            0..10 => assert!(matches!(first, JobPhase::Pending { .. }), "{first:?}"),
            10..18 => assert_eq!(first, JobPhase::Running),
            18 => assert_eq!(first, JobPhase::Ended(Cause::Completed)),
            _ => assert_eq!(first, PRECISE),
        }
    }
    for name in &names[..18] {
        server.start_pod(name);
        server.end_pod(name, &PodEnd::Succeeds);
    }
    for phases in &mut watches[..18] {
        let last = phases.collect::<Vec<_>>().await.pop().unwrap().unwrap();
        assert_eq!(last, JobPhase::Ended(Cause::Completed));
    }
}
