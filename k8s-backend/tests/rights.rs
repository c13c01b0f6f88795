//! What the role allows decides how precise causes are, and nothing else.

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
    testing::{ApiServer, Fault, PodEnd, Verb, conformance::sample_job},
};
use serde_json::json;

const NAME: &str = "job-1001-100-1";
const REVIEWS: &str = "selfsubjectaccessreviews";

type Phases = BoxStream<'static, Result<JobPhase, BackendError>>;

async fn next(phases: &mut Phases) -> JobPhase {
    let next = tokio::time::timeout(Duration::from_mins(20), phases.next()).await;
    next.expect("timeout: no next phase").expect("the watch has ended").unwrap()
}

/// Runs a Job that fails, and returns its last phase.
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

const IMPRECISE: JobPhase = JobPhase::Ended(Cause::ExitCode(None));
const PRECISE: JobPhase = JobPhase::Ended(Cause::ExitCode(Some(1)));

#[tokio::test(start_paused = true)]
async fn documented_role_gives_imprecise_causes_and_extended_role_precise_ones() {
    let server = ApiServer::new("terrakube");
    server.documented_role();
    assert_eq!(end_of_a_failing_job(&server).await, IMPRECISE);
    let server = ApiServer::new("terrakube");
    server.extended_role();
    assert_eq!(end_of_a_failing_job(&server).await, PRECISE);
}

#[tokio::test(start_paused = true)]
async fn server_without_access_reviews_gives_imprecise_causes() {
    for code in [403, 404, 405] {
        let server = ApiServer::new("terrakube");
        server.inject_faults(move |request| {
            if request.resource == REVIEWS { Fault::refused(code) } else { Fault::default() }
        });
        assert_eq!(end_of_a_failing_job(&server).await, IMPRECISE, "{code}");
    }
}

#[tokio::test(start_paused = true)]
async fn access_review_is_retried_while_the_server_fails() {
    let server = ApiServer::new("terrakube");
    let reviews = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&reviews);
    server.inject_faults(move |request| {
        if request.resource != REVIEWS {
            return Fault::default();
        }
        match count.fetch_add(1, Ordering::Relaxed) {
            0..10 => Fault::refused(503),
            10..20 => Fault::BROKEN_BEFORE,
            _ => Fault::default(),
        }
    });
    assert_eq!(end_of_a_failing_job(&server).await, PRECISE);
    assert!(reviews.load(Ordering::Relaxed) > 20);
}

#[tokio::test(start_paused = true)]
async fn rights_that_differ_from_the_review_are_no_error() {
    for verb in [Verb::List, Verb::Watch] {
        let server = ApiServer::new("terrakube");
        server.inject_faults(move |request| {
            let is_it = request.verb == verb && ["pods", "events"].contains(&request.resource.as_str());
            if is_it { Fault::refused(403) } else { Fault::default() }
        });
        let end = end_of_a_failing_job(&server).await;
        assert!([IMPRECISE, PRECISE].contains(&end), "{verb}: {end:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn added_rule_is_noticed_without_restart() {
    let server = ApiServer::new("terrakube");
    server.documented_role();
    let backend = KubeBackend::new(server.client(), KubeOptions::new());
    backend.submit(&sample_job(NAME).into()).await.unwrap();
    server.start_pod(NAME);
    let mut phases = backend.watch(NAME);
    assert_eq!(next(&mut phases).await, JobPhase::Running);
    server.extended_role();
    assert!(tokio::time::timeout(Duration::from_mins(15), phases.next()).await.is_err(), "no phase follows");
    server.end_pod(NAME, &PodEnd::Fails);
    assert_eq!(next(&mut phases).await, PRECISE);
}

#[tokio::test(start_paused = true)]
async fn end_of_pod_that_is_reported_after_its_job_is_awaited() {
    // Once shorter and once longer than the wait, after which the pod is requested.
    for delay in [Duration::from_millis(500), Duration::from_mins(30)] {
        let server = ApiServer::new("terrakube");
        server.delay_events_of("pods", delay);
        let backend = KubeBackend::new(server.client(), KubeOptions::new());
        backend.submit(&sample_job(NAME).into()).await.unwrap();
        let mut phases = backend.watch(NAME);
        assert!(matches!(next(&mut phases).await, JobPhase::Pending { .. }));
        server.end_pod(NAME, &PodEnd::FailsByPolicy(42));
        let mut phase = next(&mut phases).await;
        while !phase.is_terminal() {
            phase = next(&mut phases).await;
        }
        assert_eq!(phase, JobPhase::Ended(Cause::ExitCode(Some(42))), "{delay:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn failing_request_for_the_end_of_a_pod_is_unavailable() {
    let server = ApiServer::new("terrakube");
    let backend = KubeBackend::new(server.client(), KubeOptions::new());
    backend.submit(&sample_job(NAME).into()).await.unwrap();
    let mut phases = backend.watch(NAME);
    assert!(matches!(next(&mut phases).await, JobPhase::Pending { .. }));
    server.delay_events_of("pods", Duration::from_mins(30));
    server.inject_faults(
        |request| {
            if request.resource == "pods" { Fault::refused(500) } else { Fault::default() }
        },
    );
    server.start_pod(NAME);
    assert_eq!(next(&mut phases).await, JobPhase::Running);
    server.end_pod(NAME, &PodEnd::Fails);
    assert_eq!(phases.next().await.unwrap().unwrap_err().kind, ErrorKind::Unavailable);
    server.clear_faults();
    assert_eq!(next(&mut backend.watch(NAME)).await, PRECISE);
}

#[tokio::test(start_paused = true)]
async fn messages_of_the_cluster_are_reported() {
    let server = ApiServer::new("terrakube");
    server.extended_role();
    let backend = KubeBackend::new(server.client(), KubeOptions::new());
    backend.submit(&sample_job(NAME).into()).await.unwrap();
    let mut phases = backend.watch(NAME);
    assert!(matches!(next(&mut phases).await, JobPhase::Pending { .. }));
    server.create_pod(NAME);
    let mut pod = server.object("pods", &format!("{NAME}-x7k2p")).unwrap();
    pod["status"]["conditions"] = json!([{"type": "PodScheduled", "status": "False", "reason": "Unschedulable",
        "message": "0/1 nodes are available: 1 Insufficient cpu."}]);
    server.put("pods", pod);
    let phase = next(&mut phases).await;
    let phase = if matches!(&phase, JobPhase::Pending { waiting } if waiting.to_string().contains("Insufficient cpu"))
    {
        phase
    } else {
        next(&mut phases).await
    };
    let JobPhase::Pending { waiting } = phase else { panic!("{phase:?}") };
    assert_eq!(waiting.to_string(), "the pod is unschedulable: 0/1 nodes are available: 1 Insufficient cpu.");
}

#[tokio::test(start_paused = true)]
async fn jobs_that_exist_at_the_start_are_followed_to_their_end() {
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
