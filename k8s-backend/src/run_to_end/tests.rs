//! Retries of `run_to_end`, with a mock and with the API server in memory.

use std::sync::{Arc, Mutex};

use futures::stream;

use super::*;
use crate::{
    backend::{MockJobBackend, Submitted},
    phase::Waiting,
    testing::conformance::sample_job,
};

const NAME: &str = "job-1001-100-1";

fn error(kind: ErrorKind, action: Action) -> BackendError {
    BackendError::new(kind, action, NAME, "for a test")
}

#[tokio::test(start_paused = true)]
async fn retries_submit_only_while_unavailable() {
    for (kind, times) in [
        (ErrorKind::Unavailable, 6),
        (ErrorKind::Conflict, 1),
        (ErrorKind::Invalid, 1),
        (ErrorKind::Forbidden, 1),
        (ErrorKind::Internal, 1),
    ] {
        let mut backend = MockJobBackend::new();
        backend.expect_submit().times(times).returning(move |_| Err(error(kind, Action::Submit)));
        let found = backend.run_to_end(&sample_job(NAME).into()).await.unwrap_err();
        assert_eq!(found.kind, kind);
    }
}

#[tokio::test(start_paused = true)]
async fn returns_error_when_watch_cannot_be_opened_again() {
    for (kind, times) in [(ErrorKind::Unavailable, 6), (ErrorKind::NotFound, 1), (ErrorKind::Forbidden, 1)] {
        let mut backend = MockJobBackend::new();
        backend.expect_submit().returning(|_| Ok(Submitted::Created));
        let watch = move |_: &str| stream::once(async move { Err(error(kind, Action::Watch)) }).boxed();
        backend.expect_watch().times(times).returning(watch);
        let found = backend.run_to_end(&sample_job(NAME).into()).await.unwrap_err();
        assert_eq!(found.kind, kind);
    }
}

#[tokio::test(start_paused = true)]
async fn every_phase_resets_the_retries_and_is_reported_once() {
    let mut backend = MockJobBackend::new();
    backend.expect_submit().returning(|_| Ok(Submitted::AlreadyThere));
    let watches = Mutex::new(0);
    backend.expect_watch().times(21).returning(move |_| {
        let mut watches = watches.lock().unwrap();
        *watches += 1;
        let last = if *watches == 21 {
            Ok(JobPhase::Ended(Cause::ExitCode(Some(7))))
        } else {
            Err(error(ErrorKind::Unavailable, Action::Watch))
        };
        stream::iter([Ok(JobPhase::Running), last]).boxed()
    });
    let mut phases = Vec::new();
    let submission = sample_job(NAME).into();
    let cause =
        backend.run_to_end_with(&submission, RetryPolicy::new(), |phase| phases.push(phase.clone())).await;
    assert_eq!(cause.unwrap(), Cause::ExitCode(Some(7)));
    assert_eq!(phases, [JobPhase::Running, JobPhase::Ended(Cause::ExitCode(Some(7)))]);
}

#[tokio::test]
async fn runs_through_a_shared_backend() {
    let backend = crate::testing::InMemoryBackend::new();
    let shared: Arc<dyn JobBackend> = Arc::new(backend.clone());
    let submission = sample_job(NAME).into();
    let run = tokio::spawn(async move { shared.run_to_end(&submission).await });
    while backend.job(NAME).is_none() {
        tokio::task::yield_now().await; // bounded poll
    }
    backend.wait(NAME, Waiting::NoPod);
    backend.finish(NAME, Cause::Completed);
    assert_eq!(run.await.unwrap().unwrap(), Cause::Completed);
}

#[cfg(feature = "kube")]
mod kubernetes {
    use super::*;
    use crate::{
        KubeBackend, KubeOptions,
        testing::{ApiServer, PodEnd},
    };

    #[tokio::test(start_paused = true)]
    async fn follows_job_through_an_absence_of_the_server() {
        let server = ApiServer::new("terrakube");
        let backend = KubeBackend::new(server.client(), KubeOptions::new());
        let seen = Arc::new(Mutex::new(Vec::new()));
        let phases = Arc::clone(&seen);
        let run = tokio::spawn(async move {
            let submission = sample_job(NAME).into();
            let note = |phase: &JobPhase| phases.lock().unwrap().push(phase.clone());
            backend.run_to_end_with(&submission, RetryPolicy::new(), note).await
        });
        tokio::time::sleep(Duration::from_secs(1)).await; // bounded poll
        server.start_pod(NAME);
        tokio::time::sleep(Duration::from_secs(1)).await; // bounded poll
        server.set_unavailable();
        tokio::time::sleep(Duration::from_secs(3)).await; // bounded poll
        assert!(!run.is_finished(), "an absence is not an end");
        server.set_available();
        server.end_pod(NAME, &PodEnd::Succeeds);
        assert_eq!(run.await.unwrap().unwrap(), Cause::Completed);
        let phases = seen.lock().unwrap().clone();
        assert_eq!(phases[phases.len() - 2..], [JobPhase::Running, JobPhase::Ended(Cause::Completed)]);
        assert_eq!(phases.iter().filter(|phase| **phase == JobPhase::Running).count(), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn gives_up_when_the_server_stays_away() {
        let server = ApiServer::new("terrakube");
        let backend = KubeBackend::new(server.client(), KubeOptions::new());
        server.set_unavailable();
        let error = backend.run_to_end(&sample_job(NAME).into()).await.unwrap_err();
        assert_eq!(error.kind, ErrorKind::Unavailable);
    }
}
