//! Follows one Job of the cluster from now to its end.

use std::{sync::Arc, time::Duration};

use futures::{
    StreamExt as _,
    stream::{self, BoxStream},
};
use k8s_openapi::api::batch::v1::Job;
use tokio::time::{Instant, timeout_at};

use super::{
    evidence::Evidence,
    hub::{Fate, Told, prune},
    shared::Shared,
    subscription::Subscription,
};
use crate::{
    backend::{Cause, JobPhase},
    error::{Action, BackendError, ErrorKind},
    phase::{self, Observer, keep},
};

/// How much later than the end of a Job that of its pod may be told before it is asked for.
const SETTLE: Duration = Duration::from_secs(1);

type News = Result<JobPhase, BackendError>;

/// Tells the phases of the Job of this name.
pub(super) fn follow(shared: Arc<Shared>, name: String) -> BoxStream<'static, News> {
    stream::unfold(Stage::New(shared, name), |stage| async move {
        let (news, follower) = match stage {
            // The watch begins only when somebody listens, which is also when there is a runtime for sure.
            Stage::New(shared, name) => {
                let mut follower = Follower::new(shared.subscribe(&name));
                (follower.first().await, follower)
            }
            Stage::Following(mut follower) => (follower.next().await, *follower),
            Stage::Over => return None,
        };
        let is_last = !matches!(&news, Ok(phase) if !phase.is_terminal());
        Some((news, if is_last { Stage::Over } else { Stage::Following(Box::new(follower)) }))
    })
    .fuse()
    .boxed()
}

enum Stage {
    New(Arc<Shared>, String),
    Following(Box<Follower>),
    Over,
}

/// What was seen of a Job so far.
struct Follower {
    by: Subscription,
    seen: Option<Arc<Job>>,
    evidence: Arc<Evidence>,
    observer: Observer,
}

impl Follower {
    fn new(by: Subscription) -> Self {
        Self { by, seen: None, evidence: Arc::default(), observer: Observer::default() }
    }

    /// Tells how things stand: as the watch knows it or, where it does not know the name, as the server says.
    async fn first(&mut self) -> News {
        let health = self.by.ready().await.map_err(|(kind, source)| self.error(kind, source))?;
        self.by.sighted().await;
        let Told { job, fate, evidence } = self.by.told.borrow_and_update().clone();
        self.evidence = evidence;
        if let Some(job) = job.filter(|_| fate == Fate::There && !health.broken)
            && let Some(news) = self.see(job).await
        {
            return news;
        }
        match self.ask().await {
            Err(error) => Err(error),
            Ok(None) => self.gone().await,
            Ok(Some(job)) if !self.is_ours(&job) => Err(self.error(
                ErrorKind::NotFound,
                format!(
                    "the cluster has a Job of this name, but without the label {} of this backend",
                    self.by.shared.options.label_selector()
                ),
            )),
            Ok(Some(job)) => match self.see(job).await {
                Some(news) => news,
                None => self.next().await,
            },
        }
    }

    async fn next(&mut self) -> News {
        loop {
            let told = self.by.news().await.map_err(|(kind, source)| self.error(kind, source))?;
            if let Some(news) = self.observe(told).await {
                return news;
            }
        }
    }

    async fn observe(&mut self, Told { job, fate, evidence }: Told) -> Option<News> {
        self.evidence = evidence;
        match (job, fate) {
            (Some(job), Fate::There) => self.see(job).await,
            // The watch does not know it yet; its pods may be known.
            (None, Fate::There) => {
                let seen = self.seen.clone()?;
                self.see(seen).await
            }
            (job, Fate::Deleted) => {
                let is_older = job.as_ref().is_some_and(|job| self.is_old(job));
                let is_other = job.as_ref().is_some_and(|job| !self.is_same(job));
                if is_older && is_other {
                    // The end of an earlier Job of this name.
                    return None;
                }
                if let Some(job) = job.filter(|_| !is_other) {
                    self.seen = Some(job);
                }
                if self.seen.as_ref().is_some_and(|seen| phase::waits_for_its_pod(seen)) {
                    return Some(self.gone().await);
                }
                self.confirm_end().await
            }
            (job, Fate::NotListed) => {
                if let Some(job) = job.filter(|job| self.is_same(job) && !self.is_old(job)) {
                    self.seen = Some(job);
                }
                self.confirm_end().await
            }
        }
    }

    /// A Job that the watch does not see any more has gone, unless the list was too old, or somebody took our label away.
    async fn confirm_end(&mut self) -> Option<News> {
        if self.seen.as_ref().is_some_and(|seen| phase::of(seen).is_terminal()) {
            return Some(self.gone().await);
        }
        match self.ask().await {
            Err(error) => Some(Err(error)),
            Ok(None) => Some(self.gone().await),
            Ok(Some(job)) if self.is_same(&job) && !self.is_ours(&job) => {
                let text = format!(
                    "the label {} of the Job was taken away, by which it is watched; put it back",
                    self.by.shared.options.label_selector()
                );
                Some(Err(self.error(ErrorKind::Unavailable, text)))
            }
            Ok(Some(job)) => self.see(job).await,
        }
    }

    async fn ask(&self) -> Result<Option<Arc<Job>>, BackendError> {
        let found = self.by.shared.requests.find(&self.by.shared.jobs, Action::Watch, &self.by.name).await?;
        Ok(found.map(|mut job| {
            prune(&mut job);
            Arc::new(job)
        }))
    }

    async fn see(&mut self, job: Arc<Job>) -> Option<News> {
        let job = match &self.seen {
            // The pods may be news all the same.
            Some(seen) if self.is_old(&job) => Arc::clone(seen),
            _ => job,
        };
        // Another Job under the same name: the one that was watched has gone unseen.
        if !self.is_same(&job) {
            return Some(self.gone().await);
        }
        self.seen = Some(Arc::clone(&job));
        if let Err(error) = self.hear_pods(&job).await {
            return Some(Err(error));
        }
        self.observer.observe(&job, &self.evidence.pods, &self.evidence.events).map(Ok)
    }

    /// Waits a moment for what the pods of a failed Job have to say, and then asks for it: they are told on another way than
    /// the Job, which may be slower.
    ///
    /// # Errors
    /// If the server does not answer. If it answers that it will not say, the cause is told without the pods.
    async fn hear_pods(&mut self, job: &Job) -> Result<(), BackendError> {
        let able = self.by.shared.hub.sight.borrow().abilities;
        let until = Instant::now() + SETTLE;
        while able.is_none_or(|able| able.pods) && phase::pods_are_behind(job, &self.evidence.pods) {
            if !matches!(timeout_at(until, self.by.told.changed()).await, Ok(Ok(()))) {
                return self.ask_for_pods().await;
            }
            self.evidence = Arc::clone(&self.by.told.borrow_and_update().evidence);
        }
        Ok(())
    }

    async fn ask_for_pods(&mut self) -> Result<(), BackendError> {
        let pods = match self.by.shared.requests.pods_of(&self.by.shared.pods, &self.by.name).await {
            Err(error) if error.kind == ErrorKind::Unavailable => return Err(error),
            answer => answer.unwrap_or_default(),
        };
        let evidence = Arc::make_mut(&mut self.evidence);
        for pod in pods {
            evidence.add_pod(keep::pod(pod));
        }
        Ok(())
    }

    /// Tells whether this is the Job that was seen before, if one was.
    fn is_same(&self, job: &Job) -> bool {
        self.seen.as_ref().is_none_or(|seen| seen.metadata.uid == job.metadata.uid)
    }

    /// Tells whether something newer was seen: the watch may be behind what the server said to a question.
    fn is_old(&self, job: &Job) -> bool {
        let version = |job: &Job| job.metadata.resource_version.as_ref()?.parse::<u64>().ok();
        let seen = self.seen.as_ref().and_then(|seen| version(seen));
        seen.zip(version(job)).is_some_and(|(seen, told)| told < seen)
    }

    async fn gone(&mut self) -> News {
        let Some(seen) = self.seen.clone() else {
            return Err(self.error(ErrorKind::NotFound, "the cluster has no Job of this name"));
        };
        if phase::of(&seen).is_terminal() {
            self.hear_pods(&seen).await?;
            return Ok(phase::observe(&seen, &self.evidence.pods, &self.evidence.events));
        }
        if phase::waits_for_its_pod(&seen) {
            return Ok(JobPhase::Ended(Cause::Deleted));
        }
        let text = "the Job was deleted without waiting for its pod, which may still run for its grace period or longer";
        Err(self.error(ErrorKind::NotFound, text))
    }

    fn is_ours(&self, job: &Job) -> bool {
        let (key, value) = &self.by.shared.options.watch_label;
        job.metadata.labels.as_ref().and_then(|labels| labels.get(key)) == Some(value)
    }

    fn error(&self, kind: ErrorKind, source: impl Into<crate::BoxError>) -> BackendError {
        BackendError::new(kind, Action::Watch, self.by.name.as_str(), source)
    }
}

#[cfg(test)]
mod stories;
#[cfg(test)]
mod tests;
