//! Follows one Job of the cluster from now to its end.

use futures::{
    StreamExt as _,
    stream::{self, BoxStream},
};
use k8s_openapi::api::batch::v1::Job;
use kube::runtime::watcher::{self, Event};

use super::convert_error::convert_watch;
use crate::{
    backend::{Cause, JobPhase},
    error::{Action, BackendError, ErrorKind},
    phase::{self, Observer},
};

/// Turns the events of one Job into its phases.
pub(super) fn follow(
    name: String,
    events: BoxStream<'static, Result<Event<Job>, watcher::Error>>,
) -> BoxStream<'static, Result<JobPhase, BackendError>> {
    let follower = Follower { name, seen: None, listed: false, observer: Observer::default() };
    stream::unfold(Some((follower, events)), |state| async move {
        let (mut follower, mut events) = state?;
        loop {
            let told = match events.next().await {
                Some(Ok(event)) => follower.observe(event),
                Some(Err(error)) => convert_watch(&follower.name, error).map(Err),
                None => Some(Err(follower.error(ErrorKind::Internal, "the watch ended by itself"))),
            };
            match told {
                Some(Ok(phase)) if !phase.is_terminal() => {
                    return Some((Ok(phase), Some((follower, events))));
                }
                Some(last) => return Some((last, None)),
                None => {}
            }
        }
    })
    .boxed()
}

/// What was seen of a Job so far.
#[derive(Debug)]
struct Follower {
    name: String,
    seen: Option<Job>,
    /// Whether the list that is being read holds the Job.
    listed: bool,
    observer: Observer,
}

impl Follower {
    fn observe(&mut self, event: Event<Job>) -> Option<Result<JobPhase, BackendError>> {
        match event {
            Event::Init => {
                self.listed = false;
                None
            }
            Event::InitApply(job) => {
                self.listed = true;
                self.see(job)
            }
            Event::Apply(job) => self.see(job),
            Event::InitDone if self.listed => None,
            // It went while the watch was cut; what was seen last has to do.
            Event::InitDone => Some(self.gone()),
            Event::Delete(job) => {
                self.seen = Some(job);
                Some(self.gone())
            }
        }
    }

    fn see(&mut self, job: Job) -> Option<Result<JobPhase, BackendError>> {
        // Another Job under the same name: the one that was watched has gone unseen.
        if self.seen.as_ref().is_some_and(|seen| seen.metadata.uid != job.metadata.uid) {
            return Some(self.gone());
        }
        let news = self.observer.observe(&job, &[], &[]);
        self.seen = Some(job);
        news.map(Ok)
    }

    fn gone(&self) -> Result<JobPhase, BackendError> {
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

    fn error(&self, kind: ErrorKind, text: &str) -> BackendError {
        BackendError::new(kind, Action::Watch, self.name.as_str(), text)
    }
}

#[cfg(test)]
mod tests;
