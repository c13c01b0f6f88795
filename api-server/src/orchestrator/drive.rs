//! The task of one job: decides, acts, waits for changes.

use std::{sync::Arc, time::Duration};

use futures::{StreamExt as _, stream::BoxStream};
use jiff::Timestamp;
use k8s_backend::{BackendError, Cause, ErrorKind, JobPhase};
use tokio::sync::{Notify, mpsc};

use super::{Next, View, act::Actor, decide, needs_slot, retry, schedule};
use crate::{
    model::{AttemptPhase, Job, Slot},
    redaction::Redactor,
    services::{Services, chain},
    store::{Store, StoreError},
};

/// Delay after a failure of the store.
pub(super) const STORE_RETRY_DELAY: Duration = Duration::from_secs(1);

/// Drives one job, as long as this replica decides about it.
pub(super) struct JobDriver {
    services: Arc<Services>,
    /// Once the job is taken: it writes only until another replica takes the job.
    store: Store,
    /// Another replica has taken the job.
    is_lost: bool,
    job_id: i64,
    changed: Arc<Notify>,
    wakes: mpsc::UnboundedSender<i64>,
    watching: Option<Watching>,
    /// How many watches failed in a row, and the time before which no other one is opened.
    watch_failures: u32,
    watch_not_before: Option<Timestamp>,
}

/// The watch over the Kubernetes Job of the current attempt.
struct Watching {
    attempt_id: String,
    /// Whether this watch has yielded something.
    has_yielded: bool,
    phases: BoxStream<'static, Result<JobPhase, BackendError>>,
}

/// Why a driver has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum DriverEnd {
    /// The job is over.
    Over,
    /// Another replica decides about the job, or will.
    Elsewhere,
}

enum Settled {
    Wait(Option<Timestamp>),
    Done,
}

impl JobDriver {
    pub(super) fn new(
        services: Arc<Services>,
        job_id: i64,
        changed: Arc<Notify>,
        wakes: mpsc::UnboundedSender<i64>,
    ) -> Self {
        Self {
            store: services.store.clone(),
            services,
            is_lost: false,
            job_id,
            changed,
            wakes,
            watching: None,
            watch_failures: 0,
            watch_not_before: None,
        }
    }

    /// Takes the job for a replica, and runs until the job is over or taken by another replica.
    pub(super) async fn run(mut self, replica: &str) -> DriverEnd {
        loop {
            match self.services.store.take_job(self.job_id, replica).await {
                Ok(Some(store)) => break self.store = store,
                Ok(None) | Err(StoreError::NotFound { .. }) => return DriverEnd::Elsewhere,
                Err(error) => {
                    tracing::error!(
                        job = self.job_id,
                        error = chain(&error),
                        "could not take a job, retrying"
                    );
                    tokio::time::sleep(STORE_RETRY_DELAY).await;
                }
            }
        }
        loop {
            let until = match self.settle().await {
                Ok(Settled::Wait(until)) => until,
                Ok(Settled::Done) | Err(StoreError::NotFound { .. }) => return DriverEnd::Over,
                Err(StoreError::LeaseLost { .. }) => break,
                Err(StoreError::Conflict(reason)) => {
                    tracing::debug!(job = self.job_id, reason, "deciding again");
                    tokio::time::sleep(STORE_RETRY_DELAY).await;
                    continue;
                }
                Err(error) => {
                    tracing::error!(job = self.job_id, error = chain(&error), "the store failed, retrying");
                    tokio::time::sleep(STORE_RETRY_DELAY).await;
                    continue;
                }
            };
            self.wait(until).await;
            if self.is_lost {
                break;
            }
        }
        tracing::warn!(job = self.job_id, "another replica has taken the job");
        DriverEnd::Elsewhere
    }

    fn actor(&self) -> Actor {
        Actor { services: Arc::clone(&self.services), store: self.store.clone() }
    }

    /// Acts until there is nothing to do now.
    async fn settle(&mut self) -> Result<Settled, StoreError> {
        loop {
            let mut job = self.store.job(self.job_id).await?;
            let hold = self.store.workspace_hold(&job).await?;
            self.forget_earlier_waits(&mut job);
            let now = Timestamp::now();
            let slot = if needs_slot(&job, hold) {
                let load = self.store.load(&job).await?;
                schedule::slot(job.id, &load, self.services.limits(), now)
            } else {
                Slot::Free
            };
            match decide(&job, &View { hold, slot, rules: &self.services.rules }, now) {
                Next::Do(action) => {
                    tracing::debug!(job = self.job_id, ?action, "acting");
                    let concerns_others = action.concerns_other_jobs();
                    self.actor().act(&job, action).await?;
                    if concerns_others {
                        wake_others(Arc::clone(&self.services), self.wakes.clone(), &job, now).await?;
                    }
                }
                Next::Wait(until) => {
                    self.follow(&job);
                    return Ok(Settled::Wait(earlier(until, self.watch_not_before)));
                }
                Next::Done => return Ok(Settled::Done),
            }
        }
    }

    /// Removes the waits that an earlier program has stored: what the Kubernetes Job waited for may exist by
    /// now. A wait counts again when the current watch has yielded something.
    fn forget_earlier_waits(&self, job: &mut Job) {
        let watched = self.watching.as_ref().filter(|watching| watching.has_yielded);
        let watched = watched.map(|watching| &watching.attempt_id);
        for attempt in job.steps.iter_mut().flat_map(|step| &mut step.attempts) {
            if watched != Some(&attempt.id) {
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
            has_yielded: false,
            phases: self.services.backend.watch(&attempt.kubernetes_job),
        });
    }

    /// Waits for a change in the store, for the backend, or for a time.
    async fn wait(&mut self, until: Option<Timestamp>) {
        let phase = async {
            match &mut self.watching {
                Some(watching) => watching.phases.next().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = self.changed.notified() => {}
            phase = phase => self.observed(phase).await,
            () = sleep_until(until) => {}
        }
    }

    /// Stores what the watch has yielded. A watch that has failed or ended is opened again after a delay.
    async fn observed(&mut self, phase: Option<Result<JobPhase, BackendError>>) {
        let Some(watching) = &mut self.watching else { return };
        watching.has_yielded = true;
        let attempt_id = watching.attempt_id.clone();
        let stored = match &phase {
            Some(phase) => record(&self.store, &attempt_id, phase).await,
            None => Ok(()),
        };
        let continues = matches!(&phase, Some(Ok(phase)) if !phase.is_terminal()) && stored.is_ok();
        if continues {
            self.watch_failures = 0;
        } else {
            self.watching = None;
            self.watch_not_before = Some(Timestamp::now() + retry::delay(self.watch_failures));
            self.watch_failures = self.watch_failures.saturating_add(1);
        }
        match stored {
            Ok(()) => {}
            Err(StoreError::LeaseLost { .. }) => self.is_lost = true,
            Err(error) => {
                tracing::error!(job = self.job_id, error = chain(&error), "could not store a phase");
            }
        }
    }
}

/// Stores what the watch over the Kubernetes Job of an attempt has yielded,
/// without the secrets of the attempt.
async fn record(
    store: &Store,
    attempt_id: &str,
    phase: &Result<JobPhase, BackendError>,
) -> Result<(), StoreError> {
    let now = Timestamp::now();
    let redactor = || Redactor::of_attempt(store, attempt_id);
    match phase {
        Ok(JobPhase::Pending { waiting }) => {
            let waiting = redactor().await?.waiting(waiting);
            store.record_waiting(attempt_id, Some(&waiting), now).await
        }
        Ok(JobPhase::Ended(cause)) => {
            let cause = redactor().await?.cause(cause);
            store.record_cause(attempt_id, &cause).await
        }
        Ok(JobPhase::Running) => store.record_running(attempt_id, now).await,
        // A phase that this version does not know: in any case it no longer waits.
        Ok(_) => store.record_waiting(attempt_id, None, now).await,
        Err(error) if error.kind == ErrorKind::NotFound => {
            store.record_cause(attempt_id, &Cause::Vanished).await
        }
        Err(error) => {
            let error = redactor().await?.backend_error(error);
            tracing::warn!(attempt = attempt_id, error, "a watch failed, opening it again");
            Ok(())
        }
    }
}

/// Wakes the jobs that may start a step now that a place or the workspace may be free.
async fn wake_others(
    services: Arc<Services>,
    wakes: mpsc::UnboundedSender<i64>,
    job: &Job,
    now: Timestamp,
) -> Result<(), StoreError> {
    let load = services.store.load(job).await?;
    let mut others = schedule::free(&load, services.limits(), now);
    others.extend(services.store.waiting_jobs(&job.workspace_id).await?);
    for other in others.into_iter().filter(|other| *other != job.id) {
        // The channel is closed only while the server stops.
        let _ = wakes.send(other);
    }
    Ok(())
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
