//! Follows one Job of the cluster from now to its end.

use std::{sync::Arc, time::Duration};

use futures::{
    StreamExt as _,
    stream::{self, BoxStream},
};
use k8s_openapi::api::batch::v1::Job;
use tokio::time::{Instant, timeout_at};

use super::{
    hub::{JobSnapshot, Presence, prune},
    related_objects::RelatedObjects,
    shared::Shared,
    subscription::Subscription,
};
use crate::{
    backend::{Cause, JobPhase},
    error::{Action, BackendError, ErrorKind},
    phase::{self, Observer, keep},
};

/// How much later than the end of a Job the watch may report that of its pod before the pod is requested.
const POD_STATUS_DELAY: Duration = Duration::from_secs(1);

type PhaseResult = Result<JobPhase, BackendError>;

/// Yields the phases of the Job of this name.
pub(super) fn follow(shared: Arc<Shared>, name: String) -> BoxStream<'static, PhaseResult> {
    stream::unfold(Stage::New(shared, name), |stage| async move {
        let (next, follower) = match stage {
            // The watches start with the first poll, which is inside a runtime for certain.
            Stage::New(shared, name) => {
                let mut follower = Follower::new(shared, &name);
                (follower.first().await, follower)
            }
            Stage::Following(mut follower) => (follower.next().await, *follower),
            Stage::Over => return None,
        };
        let is_last = !matches!(&next, Ok(phase) if !phase.is_terminal());
        Some((next, if is_last { Stage::Over } else { Stage::Following(Box::new(follower)) }))
    })
    .fuse()
    .boxed()
}

enum Stage {
    New(Arc<Shared>, String),
    Following(Box<Follower>),
    Over,
}

/// One follower of a Job, with what it has seen so far.
struct Follower {
    subscription: Subscription,
    shared: Arc<Shared>,
    seen: Option<Arc<Job>>,
    related: Arc<RelatedObjects>,
    observer: Observer,
}

impl Follower {
    fn new(shared: Arc<Shared>, name: &str) -> Self {
        let subscription = shared.subscribe(name);
        Self { subscription, shared, seen: None, related: Arc::default(), observer: Observer::default() }
    }

    /// Returns the current phase: as the watch knows it or, where the watch does not know the name, as the
    /// server does.
    async fn first(&mut self) -> PhaseResult {
        let health = self.subscription.ready().await.map_err(|(kind, source)| self.error(kind, source))?;
        self.subscription.wait_for_optional_watches().await;
        let JobSnapshot { job, presence, related } = self.subscription.snapshots.borrow_and_update().clone();
        self.related = related;
        if let Some(job) = job.filter(|_| presence == Presence::Present && !health.broken)
            && let Some(phase) = self.update(job).await
        {
            return phase;
        }
        match self.fetch_job().await {
            Err(error) => Err(error),
            Ok(None) => self.end_of_deleted().await,
            Ok(Some(job)) if !self.is_watched(&job) => {
                let label = self.shared.options.label_selector();
                let text = format!("the Job exists, but without the label {label} by which Jobs are watched");
                Err(self.error(ErrorKind::NotFound, text))
            }
            Ok(Some(job)) => match self.update(job).await {
                Some(phase) => phase,
                None => self.next().await,
            },
        }
    }

    async fn next(&mut self) -> PhaseResult {
        loop {
            let changed = self.subscription.changed().await;
            let snapshot = changed.map_err(|(kind, source)| self.error(kind, source))?;
            if let Some(phase) = self.apply(snapshot).await {
                return phase;
            }
        }
    }

    /// Returns the phase after a change, if it is another one.
    async fn apply(&mut self, JobSnapshot { job, presence, related }: JobSnapshot) -> Option<PhaseResult> {
        self.related = related;
        match (job, presence) {
            (Some(job), Presence::Present) => self.update(job).await,
            // The watch does not know the Job yet; it may know the pods.
            (None, Presence::Present) => {
                let seen = self.seen.clone()?;
                self.update(seen).await
            }
            (job, Presence::Deleted) => {
                let is_older = job.as_ref().is_some_and(|job| self.is_outdated(job));
                let is_other = job.as_ref().is_some_and(|job| !self.is_same(job));
                if is_older && is_other {
                    // The deletion of an earlier Job of this name.
                    return None;
                }
                if let Some(job) = job.filter(|_| !is_other) {
                    self.seen = Some(job);
                }
                if self.seen.as_ref().is_some_and(|seen| phase::waits_for_its_pod(seen)) {
                    return Some(self.end_of_deleted().await);
                }
                self.confirm_deletion().await
            }
            (job, Presence::NotListed) => {
                if let Some(job) = job.filter(|job| self.is_same(job) && !self.is_outdated(job)) {
                    self.seen = Some(job);
                }
                self.confirm_deletion().await
            }
        }
    }

    /// A Job that the watch no longer sees was deleted, unless the list was outdated, or another client
    /// removed its label.
    async fn confirm_deletion(&mut self) -> Option<PhaseResult> {
        if self.seen.as_ref().is_some_and(|seen| phase::of(seen).is_terminal()) {
            return Some(self.end_of_deleted().await);
        }
        match self.fetch_job().await {
            Err(error) => Some(Err(error)),
            Ok(None) => Some(self.end_of_deleted().await),
            Ok(Some(job)) if self.is_same(&job) && !self.is_watched(&job) => {
                let label = self.shared.options.label_selector();
                let text = format!(
                    "the label {label} of the Job was removed, by which Jobs are watched; add it again"
                );
                Some(Err(self.error(ErrorKind::Unavailable, text)))
            }
            Ok(Some(job)) => self.update(job).await,
        }
    }

    async fn fetch_job(&self) -> Result<Option<Arc<Job>>, BackendError> {
        let Shared { requests, jobs, .. } = &*self.shared;
        let found = requests.find(jobs, Action::Watch, &self.subscription.name).await?;
        Ok(found.map(|mut job| {
            prune(&mut job);
            Arc::new(job)
        }))
    }

    /// Returns the phase of a newer state of the Job, if it is another one.
    async fn update(&mut self, job: Arc<Job>) -> Option<PhaseResult> {
        let job = match &self.seen {
            // The pods may have changed all the same.
            Some(seen) if self.is_outdated(&job) => Arc::clone(seen),
            _ => job,
        };
        // Another Job of this name: the deletion of the followed one was missed.
        if !self.is_same(&job) {
            return Some(self.end_of_deleted().await);
        }
        self.seen = Some(Arc::clone(&job));
        if let Err(error) = self.wait_for_pod_status(&job).await {
            return Some(Err(error));
        }
        self.observer.observe(&job, &self.related.pods, &self.related.events).map(Ok)
    }

    /// Waits for the last status of the pods of a failed Job, and requests the pods when the watch does not
    /// report it in time: pods are watched separately from Jobs, and that watch may be slower.
    ///
    /// # Errors
    /// If the server does not respond. If it refuses, the cause is read from the Job alone.
    async fn wait_for_pod_status(&mut self, job: &Job) -> Result<(), BackendError> {
        let may_read_pods = self.subscription.may_read_pods();
        let until = Instant::now() + POD_STATUS_DELAY;
        while may_read_pods && phase::pods_are_behind(job, &self.related.pods) {
            if !matches!(timeout_at(until, self.subscription.snapshots.changed()).await, Ok(Ok(()))) {
                return self.fetch_pods().await;
            }
            self.related = Arc::clone(&self.subscription.snapshots.borrow_and_update().related);
        }
        Ok(())
    }

    async fn fetch_pods(&mut self) -> Result<(), BackendError> {
        let Shared { requests, pods, .. } = &*self.shared;
        let pods = match requests.pods_of(pods, &self.subscription.name).await {
            Err(error) if error.kind == ErrorKind::Unavailable => return Err(error),
            response => response.unwrap_or_default(),
        };
        let related = Arc::make_mut(&mut self.related);
        for pod in pods {
            related.add_pod(keep::pod(pod));
        }
        Ok(())
    }

    fn is_watched(&self, job: &Job) -> bool {
        let (key, value) = &self.shared.options.watch_label;
        job.metadata.labels.as_ref().and_then(|labels| labels.get(key)) == Some(value)
    }

    /// Returns whether this is the Job that was seen before, if one was.
    fn is_same(&self, job: &Job) -> bool {
        self.seen.as_ref().is_none_or(|seen| seen.metadata.uid == job.metadata.uid)
    }

    /// Returns whether a newer state was seen: the watch may be behind the response to a request.
    fn is_outdated(&self, job: &Job) -> bool {
        let version = |job: &Job| job.metadata.resource_version.as_ref()?.parse::<u64>().ok();
        let seen = self.seen.as_ref().and_then(|seen| version(seen));
        seen.zip(version(job)).is_some_and(|(seen, version)| version < seen)
    }

    /// Returns how a Job that no longer exists has ended.
    async fn end_of_deleted(&mut self) -> PhaseResult {
        let Some(seen) = self.seen.clone() else {
            return Err(self.error(ErrorKind::NotFound, "the cluster has no Job of this name"));
        };
        if phase::of(&seen).is_terminal() {
            self.wait_for_pod_status(&seen).await?;
            return Ok(phase::observe(&seen, &self.related.pods, &self.related.events));
        }
        if phase::waits_for_its_pod(&seen) {
            return Ok(JobPhase::Ended(Cause::Deleted));
        }
        let text = "the Job was deleted without waiting for its pod, \
            which may run on for its grace period or longer";
        Err(self.error(ErrorKind::NotFound, text))
    }

    fn error(&self, kind: ErrorKind, source: impl Into<crate::BoxError>) -> BackendError {
        BackendError::new(kind, Action::Watch, self.subscription.name.as_str(), source)
    }
}

#[cfg(test)]
#[cfg(feature = "testing")]
mod recordings;
#[cfg(test)]
#[cfg(feature = "testing")]
mod tests;
