//! Tries again what failed only for now.
//!
//! A wrapper around any backend. Only errors of kind [`Unavailable`](ErrorKind::Unavailable) are tried again: every other one is
//! an answer. That is safe because `submit` and `cancel` are idempotent and watching again does no harm.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use backon::{BackoffBuilder as _, ExponentialBackoff, ExponentialBuilder, Retryable as _};
use futures::{
    StreamExt as _,
    stream::{self, BoxStream},
};

use crate::{
    backend::{JobBackend, JobPhase, Submitted},
    error::{BackendError, ErrorKind},
    phase,
    submission::Submission,
};

/// How often and how soon something is tried again.
///
/// The time between two tries doubles, and a random part is added, so that many callers do not come back at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Patience {
    /// The time before the second try.
    pub shortest: Duration,
    /// The longest time between two tries, without the random part.
    pub longest: Duration,
    /// How many times something is tried again before its error is told. A watch starts to count anew with every phase.
    pub times: usize,
}

impl Default for Patience {
    /// Five more tries within about 15 to 30 seconds.
    fn default() -> Self {
        Self { shortest: Duration::from_millis(500), longest: Duration::from_secs(10), times: 5 }
    }
}

impl Patience {
    fn builder(self) -> ExponentialBuilder {
        ExponentialBuilder::default()
            .with_min_delay(self.shortest)
            .with_max_delay(self.longest)
            .with_max_times(self.times)
            .with_jitter()
    }
}

/// A backend that tries again while another one is unavailable, with an end.
///
/// # Examples
/// ```
/// use k8s_backend::{Patience, Retrying};
/// # fn wrap(backend: impl k8s_backend::JobBackend) {
/// let patient = Retrying::new(backend, Patience::default());
/// # drop(patient);
/// # }
/// ```
#[derive(Debug)]
pub struct Retrying<B> {
    inner: Arc<B>,
    patience: Patience,
}

impl<B: JobBackend> Retrying<B> {
    /// Wraps a backend.
    pub fn new(inner: B, patience: Patience) -> Self {
        Self { inner: Arc::new(inner), patience }
    }
}

#[async_trait]
impl<B: JobBackend> JobBackend for Retrying<B> {
    async fn submit(&self, submission: &Submission) -> Result<Submitted, BackendError> {
        let submit = || self.inner.submit(submission);
        submit.retry(self.patience.builder()).when(may_work_later).notify(note).await
    }

    fn watch(&self, name: &str) -> BoxStream<'static, Result<JobPhase, BackendError>> {
        let watching = Watching {
            inner: Arc::clone(&self.inner),
            name: name.to_owned(),
            phases: self.inner.watch(name),
            last: None,
            patience: self.patience,
            pauses: self.patience.builder().build(),
        };
        stream::unfold(Some(watching), |watching| async move { watching?.next().await }).fuse().boxed()
    }

    async fn cancel(&self, name: &str) -> Result<(), BackendError> {
        let cancel = || self.inner.cancel(name);
        cancel.retry(self.patience.builder()).when(may_work_later).notify(note).await
    }
}

fn may_work_later(error: &BackendError) -> bool {
    error.kind == ErrorKind::Unavailable
}

fn note(error: &BackendError, pause: Duration) {
    tracing::info!(job = error.job, %error, cause = %error.source, ?pause, "trying again");
}

/// A watch that is opened again when it breaks.
struct Watching<B> {
    inner: Arc<B>,
    name: String,
    phases: BoxStream<'static, Result<JobPhase, BackendError>>,
    last: Option<JobPhase>,
    patience: Patience,
    pauses: ExponentialBackoff,
}

impl<B: JobBackend> Watching<B> {
    async fn next(mut self) -> Option<(Result<JobPhase, BackendError>, Option<Self>)> {
        loop {
            match self.phases.next().await? {
                Ok(phase) => {
                    self.pauses = self.patience.builder().build();
                    // A new watch begins with how things stand, which may have been told before.
                    let Some(news) = phase::news(self.last.as_ref(), phase) else { continue };
                    self.last = Some(news.clone());
                    let rest = (!news.is_terminal()).then_some(self);
                    return Some((Ok(news), rest));
                }
                Err(error) if may_work_later(&error) => {
                    let Some(pause) = self.pauses.next() else { return Some((Err(error), None)) };
                    note(&error, pause);
                    tokio::time::sleep(pause).await;
                    self.phases = self.inner.watch(&self.name);
                }
                Err(error) => return Some((Err(error), None)),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        KubeBackend, KubeOptions,
        backend::{Cause, MockJobBackend},
        error::Action,
        testing::{ApiServer, PodEnd, conformance::sample_job},
    };

    const NAME: &str = "job-1001-100-1";

    /// A backend whose submits fail with an error of this kind.
    fn failing(kind: ErrorKind, times: usize) -> Retrying<MockJobBackend> {
        let mut inner = MockJobBackend::new();
        inner
            .expect_submit()
            .times(times)
            .returning(move |_| Err(BackendError::new(kind, Action::Submit, NAME, "away")));
        Retrying::new(inner, Patience::default())
    }

    #[tokio::test(start_paused = true)]
    async fn only_what_may_work_later_is_tried_again_and_not_for_ever() {
        for (kind, times) in [
            (ErrorKind::Unavailable, 6),
            (ErrorKind::Conflict, 1),
            (ErrorKind::Invalid, 1),
            (ErrorKind::Forbidden, 1),
            (ErrorKind::Internal, 1),
        ] {
            let error = failing(kind, times).submit(&sample_job(NAME).into()).await.unwrap_err();
            assert_eq!(error.kind, kind);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_watch_goes_on_after_an_absence_and_repeats_nothing() {
        let server = ApiServer::new("terrakube");
        let backend =
            Retrying::new(KubeBackend::new(server.client(), KubeOptions::new()), Patience::default());
        backend.submit(&sample_job(NAME).into()).await.unwrap();
        server.start_pod(NAME);
        let mut phases = backend.watch(NAME);
        assert_eq!(phases.next().await.unwrap().unwrap(), JobPhase::Running);
        server.go_away();
        let told = tokio::time::timeout(Duration::from_secs(3), phases.next()).await;
        assert!(told.is_err(), "{told:?}");
        server.come_back();
        server.end_pod(NAME, &PodEnd::Succeeds);
        assert_eq!(phases.next().await.unwrap().unwrap(), JobPhase::Ended(Cause::Completed));
        assert!(phases.next().await.is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn a_watch_gives_up_after_all_its_tries() {
        let server = ApiServer::new("terrakube");
        let backend =
            Retrying::new(KubeBackend::new(server.client(), KubeOptions::new()), Patience::default());
        server.go_away();
        let mut phases = backend.watch(NAME);
        assert_eq!(phases.next().await.unwrap().unwrap_err().kind, ErrorKind::Unavailable);
        assert!(phases.next().await.is_none());
    }
}
