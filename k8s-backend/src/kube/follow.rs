//! Follows one Job of the cluster from now to its end.

use std::sync::Arc;

use futures::{
    StreamExt as _,
    stream::{self, BoxStream},
};
use job_spec::labels;
use k8s_openapi::api::batch::v1::Job;

use super::{
    requests::find,
    shared::{Fate, Shared, Subscription, Told, prune},
};
use crate::{
    backend::{Cause, JobPhase},
    error::{Action, BackendError, ErrorKind},
    phase::{self, Observer},
};

type News = Result<JobPhase, BackendError>;

/// Tells the phases of the Job of this name.
pub(super) fn follow(shared: Arc<Shared>, name: String) -> BoxStream<'static, News> {
    stream::unfold(Stage::New(shared, name), |stage| async move {
        let (news, follower) = match stage {
            // The watch begins only when somebody listens, which is also when there is a runtime for sure.
            Stage::New(shared, name) => {
                let mut follower =
                    Follower { by: shared.subscribe(&name), seen: None, observer: Observer::default() };
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
    observer: Observer,
}

impl Follower {
    /// Tells how things stand: as the watch knows it or, where it does not know the name, as the server says.
    async fn first(&mut self) -> News {
        let health = self.by.ready().await.map_err(|(kind, source)| self.error(kind, source))?;
        let Told { job, fate } = self.by.told.borrow_and_update().clone();
        if let Some(job) = job.filter(|_| fate == Fate::There && !health.broken)
            && let Some(news) = self.see(job)
        {
            return news;
        }
        match self.ask().await {
            Err(error) => Err(error),
            Ok(None) => self.gone(),
            Ok(Some(job)) if !is_ours(&job) => Err(self.error(
                ErrorKind::NotFound,
                "the cluster has a Job of this name, but it is not labelled as one of ours",
            )),
            Ok(Some(job)) => match self.see(job) {
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

    async fn observe(&mut self, Told { job, fate }: Told) -> Option<News> {
        match (job, fate) {
            (Some(job), Fate::There) => self.see(job),
            (None, Fate::There) => None,
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
                    return Some(self.gone());
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
            return Some(self.gone());
        }
        match self.ask().await {
            Err(error) => Some(Err(error)),
            Ok(None) => Some(self.gone()),
            Ok(Some(job)) if self.is_same(&job) && !is_ours(&job) => {
                let text = format!(
                    "the label {} of the Job was taken away, by which it is watched; put it back",
                    labels::selector()
                );
                Some(Err(self.error(ErrorKind::Unavailable, text)))
            }
            Ok(Some(job)) => self.see(job),
        }
    }

    async fn ask(&self) -> Result<Option<Arc<Job>>, BackendError> {
        let found = find(&self.by.shared.jobs, Action::Watch, &self.by.name).await?;
        Ok(found.map(|mut job| {
            prune(&mut job);
            Arc::new(job)
        }))
    }

    fn see(&mut self, job: Arc<Job>) -> Option<News> {
        if self.is_old(&job) {
            return None;
        }
        // Another Job under the same name: the one that was watched has gone unseen.
        if !self.is_same(&job) {
            return Some(self.gone());
        }
        let news = self.observer.observe(&job, &[], &[]);
        self.seen = Some(job);
        news.map(Ok)
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

    fn gone(&self) -> News {
        let Some(seen) = &self.seen else {
            return Err(self.error(ErrorKind::NotFound, "the cluster has no Job of this name"));
        };
        match phase::of(seen) {
            ended @ JobPhase::Ended(_) => Ok(ended),
            _ if phase::waits_for_its_pod(seen) => Ok(JobPhase::Ended(Cause::Deleted)),
            _ => Err(self.error(
                ErrorKind::NotFound,
                "the Job was deleted without waiting for its pod, which may still run for its grace period or longer",
            )),
        }
    }

    fn error(&self, kind: ErrorKind, source: impl Into<crate::BoxError>) -> BackendError {
        BackendError::new(kind, Action::Watch, self.by.name.as_str(), source)
    }
}

fn is_ours(job: &Job) -> bool {
    let there = job.metadata.labels.as_ref().and_then(|labels| labels.get(labels::MANAGED_BY));
    there.is_some_and(|value| value == labels::MANAGED_BY_VALUE)
}

#[cfg(test)]
mod tests;
