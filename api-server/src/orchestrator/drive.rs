//! The task of one job: decide, act, wait for news.

use std::{sync::Arc, time::Duration};

use futures::{StreamExt as _, stream::BoxStream};
use jiff::{SignedDuration, Timestamp};
use k8s_backend::{BackendError, Cause, ErrorKind, JobPhase, Waiting};
use tokio::sync::Notify;

use super::{Next, act::Actor, decide};
use crate::{
    model::{AttemptPhase, Job},
    services::{Services, chain},
    store::{Store, StoreError},
};

/// How long to wait when the store does not answer.
pub(super) const STORE_RETRY: Duration = Duration::from_secs(1);

/// How long to wait before a watch that broke is opened again.
const WATCH_RETRY: SignedDuration = SignedDuration::from_secs(1);

/// Drives one job.
pub(super) struct JobDriver {
    services: Arc<Services>,
    job_id: i64,
    news: Arc<Notify>,
    watching: Option<Watching>,
    watch_not_before: Option<Timestamp>,
}

/// The watch over the Kubernetes Job of the current attempt.
struct Watching {
    attempt_id: String,
    /// Whether the backend has said something in this watch.
    told: bool,
    phases: BoxStream<'static, Result<JobPhase, BackendError>>,
}

enum Settled {
    Wait(Option<Timestamp>),
    Done,
}

impl JobDriver {
    pub(super) fn new(services: Arc<Services>, job_id: i64, news: Arc<Notify>) -> Self {
        Self { services, job_id, news, watching: None, watch_not_before: None }
    }

    /// Runs until the job is over.
    pub(super) async fn run(mut self) {
        loop {
            let until = match self.settle().await {
                Ok(Settled::Wait(until)) => until,
                Ok(Settled::Done) | Err(StoreError::NotFound { .. }) => return,
                Err(error) => {
                    tracing::error!(
                        job = self.job_id,
                        error = chain(&error),
                        "the store failed, trying again"
                    );
                    tokio::time::sleep(STORE_RETRY).await;
                    continue;
                }
            };
            self.wait(until).await;
        }
    }

    /// Acts until there is nothing to do now.
    async fn settle(&mut self) -> Result<Settled, StoreError> {
        loop {
            let mut job = self.services.store.job(self.job_id).await?;
            let hold = self.services.store.workspace_hold(&job).await?;
            self.forget_old_news(&mut job);
            match decide(&job, hold, Timestamp::now(), self.services.pod_start_timeout) {
                Next::Do(action) => {
                    tracing::debug!(job = self.job_id, ?action, "acting");
                    Actor { services: Arc::clone(&self.services) }.act(&job, action).await?;
                }
                Next::Wait(until) => {
                    self.follow(&job);
                    return Ok(Settled::Wait(earlier(until, self.watch_not_before)));
                }
                Next::Done => return Ok(Settled::Done),
            }
        }
    }

    /// What an earlier program saw a Kubernetes Job wait for may have come while nobody looked: it counts again when the
    /// backend has said so again.
    fn forget_old_news(&self, job: &mut Job) {
        let told =
            self.watching.as_ref().filter(|watching| watching.told).map(|watching| &watching.attempt_id);
        for attempt in job.steps.iter_mut().flat_map(|step| &mut step.attempts) {
            if told != Some(&attempt.id) {
                attempt.waiting = None;
            }
        }
    }

    /// Watches the Kubernetes Job of the attempt that runs, if one runs.
    fn follow(&mut self, job: &Job) {
        let running = job
            .steps
            .iter()
            .flat_map(|step| &step.attempts)
            .find(|attempt| attempt.phase == AttemptPhase::Submitted && attempt.cause.is_none());
        let Some(attempt) = running else {
            self.watching = None;
            self.watch_not_before = None;
            return;
        };
        if self.watching.as_ref().is_some_and(|watching| watching.attempt_id == attempt.id) {
            return;
        }
        if self.watch_not_before.is_some_and(|time| time > Timestamp::now()) {
            return;
        }
        self.watch_not_before = None;
        self.watching = Some(Watching {
            attempt_id: attempt.id.clone(),
            told: false,
            phases: self.services.backend.watch(&attempt.kubernetes_job),
        });
    }

    /// Waits for news of people and executors, of the backend, or for a time.
    async fn wait(&mut self, until: Option<Timestamp>) {
        let phase = async {
            match &mut self.watching {
                Some(watching) => watching.phases.next().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = self.news.notified() => {}
            phase = phase => self.observed(phase).await,
            () = sleep_until(until) => {}
        }
    }

    /// Stores what the backend tells.
    async fn observed(&mut self, phase: Option<Result<JobPhase, BackendError>>) {
        let Some(watching) = &mut self.watching else { return };
        watching.told = true;
        let attempt_id = watching.attempt_id.clone();
        let store = &self.services.store;
        let stored = match &phase {
            Some(Ok(JobPhase::Pending { waiting })) => {
                note_waiting(store, (self.job_id, &attempt_id), Some(waiting)).await
            }
            Some(Ok(JobPhase::Running)) => note_waiting(store, (self.job_id, &attempt_id), None).await,
            Some(Ok(JobPhase::Ended(cause))) => store.record_cause(&attempt_id, cause).await,
            Some(Err(error)) if error.kind == ErrorKind::NotFound => {
                store.record_cause(&attempt_id, &Cause::Vanished).await
            }
            Some(Err(error)) => {
                tracing::warn!(job = self.job_id, error = chain(error), "a watch broke, opening it again");
                Ok(())
            }
            None => Ok(()),
        };
        if !matches!(phase, Some(Ok(JobPhase::Pending { .. } | JobPhase::Running))) || stored.is_err() {
            self.watching = None;
            self.watch_not_before = Some(Timestamp::now() + WATCH_RETRY);
        }
        if let Err(error) = stored {
            tracing::error!(
                job = self.job_id,
                error = chain(&error),
                "could not store what the backend told"
            );
        }
    }
}

/// Notes what a Kubernetes Job waits for, in the attempt for [`decide()`] and in the job for people.
async fn note_waiting(
    store: &Store,
    (job_id, attempt_id): (i64, &str),
    waiting: Option<&Waiting>,
) -> Result<(), StoreError> {
    store.record_waiting(attempt_id, waiting, Timestamp::now()).await?;
    store.set_job_message(job_id, waiting.and_then(waiting_message).as_deref()).await
}

/// What people are told about a Kubernetes Job that does not run yet, with what they can do about it.
fn waiting_message(waiting: &Waiting) -> Option<String> {
    match (waiting, waiting.advice()) {
        (Waiting::Accepted, _) => None,
        (_, Some(advice)) => Some(format!("waiting: {waiting} (what to do: {advice})")),
        (_, None) => Some(format!("waiting: {waiting}")),
    }
}

fn earlier(a: Option<Timestamp>, b: Option<Timestamp>) -> Option<Timestamp> {
    match (a, b) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (one, other) => one.or(other),
    }
}

async fn sleep_until(time: Option<Timestamp>) {
    match time {
        Some(time) => {
            let left = time.duration_since(Timestamp::now());
            tokio::time::sleep(Duration::try_from(left).unwrap_or_default()).await;
        }
        None => std::future::pending().await,
    }
}
