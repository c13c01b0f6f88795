//! A backend whose phases the test changes.
//!
//! It is stricter than the others, so that code which works with one of them by luck fails in a unit test: a
//! used name is never free again, phases cannot go backwards, and a Secret that differs from the first one of
//! its Job is a conflict.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use async_trait::async_trait;
use futures::{
    StreamExt as _,
    stream::{self, BoxStream},
};
use k8s_openapi::api::{batch::v1::Job, core::v1::Secret};
use tokio::sync::watch;

use crate::{
    backend::{Cause, JobBackend, JobPhase, Submitted},
    error::{Action, BackendError, ErrorKind},
    identity::{InvalidJob, NameTaken, content_hash},
    phase::Waiting,
    rules::JobRules,
    submission::Submission,
};

/// Keeps Jobs in memory; the test changes their phases.
///
/// Clones share their Jobs, so that a test can pass the backend on and keep a handle.
///
/// # Examples
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// use futures::StreamExt as _;
/// use k8s_backend::testing::{InMemoryBackend, conformance::sample_job};
/// use k8s_backend::{Cause, JobBackend as _, JobPhase, Waiting};
///
/// let backend = InMemoryBackend::new();
/// backend.submit(&sample_job("job-17-100-1").into()).await.unwrap();
/// let mut phases = backend.watch("job-17-100-1");
/// assert_eq!(phases.next().await.unwrap().unwrap(), JobPhase::Pending { waiting: Waiting::Accepted });
/// backend.start("job-17-100-1");
/// assert_eq!(phases.next().await.unwrap().unwrap(), JobPhase::Running);
/// backend.finish("job-17-100-1", Cause::Completed);
/// assert_eq!(phases.next().await.unwrap().unwrap(), JobPhase::Ended(Cause::Completed));
/// # }
/// ```
#[derive(Debug, Clone, Default)]
pub struct InMemoryBackend {
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    rules: JobRules,
    jobs: Mutex<BTreeMap<String, Held>>,
    availability: watch::Sender<Availability>,
}

/// Whether the backend is available, and how often it became unavailable: a watcher must not miss a short
/// outage.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Availability {
    unavailable: bool,
    outages: u64,
}

#[derive(Debug)]
struct Held {
    job: Job,
    /// The Secret that came with it, as long as it has not ended.
    secret: Option<Secret>,
    /// Identifies that Secret also after the end.
    secret_hash: Option<String>,
    cancelled: bool,
    /// Every phase so far, so that no watcher misses one.
    phases: watch::Sender<Vec<JobPhase>>,
}

impl InMemoryBackend {
    /// Creates an empty backend that accepts every valid Job.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Creates an empty backend with rules for its Jobs.
    #[must_use]
    pub fn with_rules(rules: JobRules) -> Self {
        Self { shared: Arc::new(Shared { rules, ..Shared::default() }) }
    }

    /// Sets what a pending Job waits for.
    ///
    /// # Panics
    /// If there is no such Job, or if it runs or has ended.
    pub fn wait(&self, name: &str, waiting: Waiting) {
        self.advance(name, JobPhase::Pending { waiting });
    }

    /// Starts the container of a Job.
    ///
    /// # Panics
    /// If there is no such Job, or if it runs already or has ended.
    pub fn start(&self, name: &str) {
        self.advance(name, JobPhase::Running);
    }

    /// Ends a Job, whether it has started or not.
    ///
    /// # Panics
    /// If there is no such Job, if it has ended already, or if the cause is [`Deleted`](Cause::Deleted) and
    /// the Job was not cancelled.
    pub fn finish(&self, name: &str, cause: Cause) {
        let deleted_without_cancel = cause == Cause::Deleted && !self.is_cancelled(name);
        assert!(!deleted_without_cancel, "Kubernetes Job {name:?} was not cancelled");
        self.advance(name, JobPhase::Ended(cause));
    }

    /// Deletes a Job as another client would.
    ///
    /// # Panics
    /// If there is no such Job, or if it has ended already.
    pub fn delete(&self, name: &str) {
        self.advance(name, JobPhase::Ended(Cause::Deleted));
    }

    /// Returns [`Unavailable`](ErrorKind::Unavailable) from every call from now on, and breaks every watch.
    pub fn set_unavailable(&self) {
        self.shared.availability.send_modify(|availability| {
            availability.outages += u64::from(!availability.unavailable);
            availability.unavailable = true;
        });
    }

    /// Undoes [`set_unavailable`](Self::set_unavailable).
    pub fn set_available(&self) {
        self.shared.availability.send_modify(|availability| availability.unavailable = false);
    }

    /// Returns the names of all Jobs that were ever submitted, sorted.
    #[must_use]
    pub fn names(&self) -> Vec<String> {
        self.jobs().keys().cloned().collect()
    }

    /// Returns a Job as it was submitted.
    #[must_use]
    pub fn job(&self, name: &str) -> Option<Job> {
        self.jobs().get(name).map(|held| held.job.clone())
    }

    /// Returns the Secret of a Job that has not ended.
    #[must_use]
    pub fn secret(&self, name: &str) -> Option<Secret> {
        self.jobs().get(name).and_then(|held| held.secret.clone())
    }

    /// Returns the phase of a Job.
    #[must_use]
    pub fn phase(&self, name: &str) -> Option<JobPhase> {
        self.jobs().get(name).and_then(|held| held.phases.borrow().last().cloned())
    }

    /// Returns whether a Job was cancelled before its end.
    #[must_use]
    pub fn is_cancelled(&self, name: &str) -> bool {
        self.jobs().get(name).is_some_and(|held| held.cancelled)
    }

    fn jobs(&self) -> MutexGuard<'_, BTreeMap<String, Held>> {
        // A failed assertion below has changed nothing.
        self.shared.jobs.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn advance(&self, name: &str, next: JobPhase) {
        let mut jobs = self.jobs();
        let held = jobs.get_mut(name);
        assert!(held.is_some(), "there is no Kubernetes Job {name:?}");
        let Some(held) = held else { return };
        let last = held.phases.borrow().last().cloned();
        let possible = match (&last, &next) {
            (Some(JobPhase::Pending { .. }), _) | (Some(JobPhase::Running), JobPhase::Ended(_)) => {
                last.as_ref() != Some(&next)
            }
            _ => false,
        };
        assert!(possible, "Kubernetes Job {name:?} cannot go from {last:?} to {next:?}");
        if next.is_terminal() {
            held.secret = None;
        }
        held.phases.send_modify(|phases| phases.push(next));
    }

    fn check_available(&self, action: Action, job: &str) -> Result<(), BackendError> {
        if self.shared.availability.borrow().unavailable { Err(unavailable(action, job)) } else { Ok(()) }
    }
}

#[async_trait]
impl JobBackend for InMemoryBackend {
    async fn submit(&self, submission: &Submission) -> Result<Submitted, BackendError> {
        let Submission { job, secret } = submission;
        let name = submission.name().to_owned();
        self.check_available(Action::Submit, &name)?;
        let error =
            |kind, source: crate::BoxError| BackendError::new(kind, Action::Submit, name.as_str(), source);
        let rules = &self.shared.rules;
        let problems = rules.problems(submission);
        if !problems.is_empty() {
            return Err(error(ErrorKind::Invalid, InvalidJob::new(problems).into()));
        }
        let secret_hash = secret.as_ref().map(content_hash);
        let mut jobs = self.jobs();
        if let Some(held) = jobs.get(&name) {
            let (found, submitted) = (rules.identity(&held.job), rules.identity(job));
            return if found == submitted && held.secret_hash == secret_hash {
                Ok(Submitted::AlreadyThere)
            } else if found == submitted {
                let text =
                    "the same Job came before with another Secret; its identity annotation must cover both";
                Err(error(ErrorKind::Conflict, text.into()))
            } else {
                Err(error(ErrorKind::Conflict, NameTaken::new(&found, &submitted).into()))
            };
        }
        let phases = watch::Sender::new(vec![JobPhase::Pending { waiting: Waiting::Accepted }]);
        let (job, secret) = (job.clone(), secret.clone());
        jobs.insert(name.clone(), Held { job, secret, secret_hash, cancelled: false, phases });
        Ok(Submitted::Created)
    }

    fn watch(&self, name: &str) -> BoxStream<'static, Result<JobPhase, BackendError>> {
        let found = self.check_available(Action::Watch, name).and_then(|()| {
            let phases = self.jobs().get(name).map(|held| held.phases.subscribe());
            phases.ok_or_else(|| {
                let text = "no Job of this name was submitted";
                BackendError::new(ErrorKind::NotFound, Action::Watch, name, text)
            })
        });
        match found {
            Ok(phases) => follow(name.to_owned(), phases, self.shared.availability.subscribe()),
            Err(error) => stream::once(async { Err(error) }).boxed(),
        }
    }

    async fn cancel(&self, name: &str) -> Result<(), BackendError> {
        self.check_available(Action::Cancel, name)?;
        if let Some(held) = self.jobs().get_mut(name)
            && !held.phases.borrow().last().is_some_and(JobPhase::is_terminal)
        {
            held.cancelled = true;
        }
        Ok(())
    }
}

fn unavailable(action: Action, job: &str) -> BackendError {
    BackendError::new(ErrorKind::Unavailable, action, job, "the test has made the backend unavailable")
}

fn follow(
    job: String,
    phases: watch::Receiver<Vec<JobPhase>>,
    availability: watch::Receiver<Availability>,
) -> BoxStream<'static, Result<JobPhase, BackendError>> {
    let next = phases.borrow().len() - 1;
    let outages = availability.borrow().outages;
    stream::unfold(Some((job, phases, availability, next)), move |state| async move {
        let (job, mut phases, mut availability, next) = state?;
        loop {
            if availability.borrow_and_update().outages != outages {
                return Some((Err(unavailable(Action::Watch, &job)), None));
            }
            let phase = phases.borrow_and_update().get(next).cloned();
            if let Some(phase) = phase {
                let rest = (!phase.is_terminal()).then_some((job, phases, availability, next + 1));
                return Some((Ok(phase), rest));
            }
            let gone = tokio::select! {
                changed = phases.changed() => changed.is_err(),
                changed = availability.changed() => changed.is_err(),
            };
            if gone {
                let text = "the backend was dropped";
                return Some((
                    Err(BackendError::new(ErrorKind::Unavailable, Action::Watch, job, text)),
                    None,
                ));
            }
        }
    })
    .boxed()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::conformance::{sample_job, sample_submission};

    #[tokio::test]
    async fn refuses_job_that_breaks_rules_with_every_problem() {
        let rules = JobRules::new().require_identity().require_labels(["jobId"]).require_single_container();
        let backend = InMemoryBackend::with_rules(rules);
        let error = backend.submit(&Job::default().into()).await.unwrap_err();
        assert_eq!(error.kind, ErrorKind::Invalid);
        let text = error.source.to_string();
        for part in [
            "metadata.name",
            "metadata.labels has no \"jobId\"",
            "spec.template.metadata.labels",
            "k8s-backend/identity",
            "containers is empty",
        ] {
            assert!(text.contains(part), "{part:?} in {text:?}");
        }
    }

    #[tokio::test]
    async fn refuses_secret_that_the_pod_does_not_read() {
        let submission = Submission { job: sample_job("job-1"), ..sample_submission("job-1") };
        let backend = InMemoryBackend::with_rules(JobRules::new().require_secret_use());
        let error = backend.submit(&submission).await.unwrap_err();
        assert_eq!(error.kind, ErrorKind::Invalid);
        assert!(error.source.to_string().contains("does not read the Secret \"job-1\""), "{}", error.source);
    }

    #[tokio::test]
    async fn another_secret_of_the_same_job_is_a_conflict_also_after_its_end() {
        let backend = InMemoryBackend::new();
        let submission = sample_submission("job-1");
        backend.submit(&submission).await.unwrap();
        backend.finish("job-1", Cause::Completed);
        assert_eq!(backend.secret("job-1"), None);
        assert_eq!(backend.submit(&submission).await.unwrap(), Submitted::AlreadyThere);
        let other = Submission { secret: None, ..submission };
        assert_eq!(backend.submit(&other).await.unwrap_err().kind, ErrorKind::Conflict);
    }

    #[tokio::test]
    #[should_panic(expected = "cannot go from Some(Ended(Completed)) to Running")]
    async fn job_cannot_start_after_its_end() {
        let backend = InMemoryBackend::new();
        backend.submit(&sample_job("job-1").into()).await.unwrap();
        backend.finish("job-1", Cause::Completed);
        backend.start("job-1");
    }

    #[tokio::test]
    async fn watcher_notices_a_short_outage() {
        let backend = InMemoryBackend::new();
        backend.submit(&sample_job("job-1").into()).await.unwrap();
        let mut phases = backend.watch("job-1");
        assert!(phases.next().await.unwrap().is_ok());
        backend.set_unavailable();
        backend.set_available();
        assert_eq!(phases.next().await.unwrap().unwrap_err().kind, ErrorKind::Unavailable);
        assert!(phases.next().await.is_none());
    }

    #[tokio::test]
    async fn slow_watcher_misses_no_phase() {
        let backend = InMemoryBackend::new();
        backend.submit(&sample_job("job-1").into()).await.unwrap();
        let phases = backend.watch("job-1");
        backend.wait("job-1", Waiting::NoPod);
        backend.start("job-1");
        backend.finish("job-1", Cause::Signal(9));
        assert_eq!(phases.count().await, 4);
    }
}
