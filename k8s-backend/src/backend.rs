//! The contract of a backend: what it takes, what it tells, what it promises.
//!
//! Plain data and one trait; no client and no process lives here.

use std::fmt;

pub use crate::phase::{Cause, JobPhase};
use crate::{error::BackendError, submission::Submission};
use async_trait::async_trait;
use futures::stream::BoxStream;

/// What became of a `submit`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Submitted {
    /// The Kubernetes Job was made by this call.
    Created,
    /// The same Kubernetes Job was there already.
    AlreadyThere,
}

/// Runs Kubernetes Jobs somewhere and tells what becomes of them.
///
/// Jobs are known by `metadata.name`; a name is never used for two different Jobs.
///
/// # Contract
/// - `submit` is idempotent: the same Job (by its [identity annotation](crate::JobRules::identity_annotation), or by its
///   whole content where it has none) under the same name again is [`Submitted::AlreadyThere`], also after it has ended and
///   after a restart of the program; another Job under that name is a [`Conflict`](crate::ErrorKind::Conflict). A submit that
///   answers an error of kind [`Unavailable`](crate::ErrorKind::Unavailable) may have been carried out; submit again.
///   A backend may forget a Job that was deleted (Kubernetes does, after `cancel` and after `ttlSecondsAfterFinished`): from
///   then on the name is unknown to `watch`, and free. So never submit a name again once its Job was seen ending or cancelled.
/// - A [`Secret`](Submission::secret) belongs to its Job: it is there before the container starts, it is gone when the Job is
///   gone (at the latest when a backend forgets the Job), and a submit that fails leaves none behind, or removes it before the
///   name is used again. It never shows in logs, errors or what is kept of an ended Job. It is not compared when a name is taken:
///   the identity annotation of a Job with a Secret should cover both, because a role that may make Secrets need not be one that may read
///   them. The Secret of the first submit stays. A Secret without a name or in another namespace than its Job is
///   [`Invalid`](crate::ErrorKind::Invalid), as is any Secret for a backend that cannot take one.
/// - `watch` yields first the current phase, then every later one that the backend sees, never an earlier one, and ends
///   after a terminal phase. A phase may be skipped (a short Job may go from pending to ended). A name that the backend
///   does not know yields an error of kind [`NotFound`](crate::ErrorKind::NotFound) and ends. After any error the stream ends;
///   watching again is safe. Dropping the stream stops watching, not the Job.
/// - [`JobPhase::Ended`] is yielded only when nothing of the Job can still run.
///   Where that cannot be known (somebody deleted a Kubernetes Job without waiting for its pod), the watch ends with
///   [`NotFound`](crate::ErrorKind::NotFound) instead: the Job is gone, and what became of its container is unknown.
/// - `cancel` asks for the end and returns without waiting for it: the container gets TERM, after its
///   `terminationGracePeriodSeconds` KILL. Cancelling a Job that has ended, is being cancelled or is unknown is `Ok`: the
///   wanted state holds or is on its way.
/// - Where an answer depends on a server or a disk, an error of kind [`Unavailable`](crate::ErrorKind::Unavailable) means that the
///   same call may succeed later.
#[cfg_attr(any(test, feature = "testing"), mockall::automock)]
#[async_trait]
pub trait JobBackend: fmt::Debug + Send + Sync + 'static {
    /// Makes the Kubernetes Job and the Secret that it owns, once.
    ///
    /// # Errors
    /// `Conflict`: the name is taken by another Job. `Invalid`: the Job or its Secret breaks a rule, with every problem.
    /// `Forbidden`: the backend may not make it. `Unavailable`: try again.
    async fn submit(&self, submission: &Submission) -> Result<Submitted, BackendError>;

    /// Follows the Kubernetes Job of this name to its end.
    fn watch(&self, name: &str) -> BoxStream<'static, Result<JobPhase, BackendError>>;

    /// Ends the Kubernetes Job of this name and everything that runs for it.
    ///
    /// # Errors
    /// `Forbidden` or `Unavailable`; never because of the state of the Job.
    async fn cancel(&self, name: &str) -> Result<(), BackendError>;
}
