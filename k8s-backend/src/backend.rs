//! The contract of a backend.
//!
//! Plain data and one trait; no client and no process is here.

use std::{fmt, sync::Arc, time::Duration};

pub use crate::phase::{Cause, JobPhase};
use crate::{error::BackendError, submission::Submission};
use async_trait::async_trait;
use futures::stream::BoxStream;

/// The result of a successful [`submit`](JobBackend::submit).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Submitted {
    /// This call created the Kubernetes Job.
    Created,
    /// The same Kubernetes Job existed before.
    AlreadyThere,
}

/// Runs Kubernetes Jobs and reports their phases.
///
/// Jobs are identified by `metadata.name`; a name is never used for two different Jobs.
///
/// # Contract
/// - Every valid `batch/v1` Job is accepted, whichever program made it. A backend that cannot run one as a
///   whole refuses it with [`Invalid`](crate::ErrorKind::Invalid) and never runs a part of it.
///   [`JobRules`](crate::JobRules) make a backend stricter.
/// - `submit` is idempotent: the same Job (by its [identity
///   annotation](crate::JobRules::identity_annotation), or by its whole content where it has none) under the
///   same name again is [`Submitted::AlreadyThere`], also after it has ended, after a restart of the program,
///   and after another client has changed the Job (a queue that sets resources of a suspended Job, say);
///   another Job under that name is a [`Conflict`](crate::ErrorKind::Conflict). A submit that returns
///   [`Unavailable`](crate::ErrorKind::Unavailable) may have been carried out; submit again. A backend may
///   forget a Job that was deleted (Kubernetes does, after `cancel` and after `ttlSecondsAfterFinished`):
///   from then on the name is unknown to `watch`, and free. So never submit a name again once its Job was
///   seen ending or cancelled.
/// - A [`Secret`](Submission::secret) belongs to its Job: it exists before the container starts, it is
///   deleted with the Job (at the latest when a backend forgets the Job), and a submit that fails leaves none
///   behind, or removes it before the name is used again. It never appears in logs, errors or what is kept of
///   an ended Job. Its content is not compared: the identity annotation of a Job with a Secret should cover
///   both, because a role that may create Secrets need not be allowed to read them. The Secret of the first
///   submit stays. A Secret without a name or in another namespace than its Job is
///   [`Invalid`](crate::ErrorKind::Invalid), as is any Secret for a backend that supports none.
/// - `watch` yields first the current phase, then every later one that the backend sees, never an earlier
///   one, and ends after a terminal phase. A phase may be skipped (a short Job may go from pending to ended).
///   A name that the backend does not know yields an error of kind [`NotFound`](crate::ErrorKind::NotFound)
///   and ends. After any error the stream ends; watching again is safe. Dropping the stream stops watching,
///   not the Job.
/// - [`JobPhase::Ended`] is yielded only when nothing of the Job can still run: with several pods, when the
///   last one is over. Where that cannot be known (another client deleted a Kubernetes Job without waiting
///   for its pods), the watch ends with [`NotFound`](crate::ErrorKind::NotFound) instead: the Job is gone,
///   and how its containers ended is unknown.
/// - `cancel` requests the end and returns without waiting for it: the container gets TERM, and after its
///   `terminationGracePeriodSeconds` KILL. Cancelling a Job that has ended, is being cancelled or is unknown
///   is `Ok`: the requested state holds or is on its way.
/// - Where an answer depends on a server or a disk, [`Unavailable`](crate::ErrorKind::Unavailable) means that
///   the same call may succeed later.
///
/// # Stability
/// The trait is open: anyone may implement it, and `testing::conformance` checks the contract. A method that
/// is added later has a default body, so that implementations keep compiling. Conveniences are in
/// [`JobBackendExt`](crate::JobBackendExt), which no backend can override.
#[cfg_attr(feature = "testing", mockall::automock)]
#[async_trait]
pub trait JobBackend: fmt::Debug + Send + Sync + 'static {
    /// Creates the Kubernetes Job and the Secret that it owns, once.
    ///
    /// # Errors
    /// `Conflict`: the name belongs to another Job. `Invalid`: the Job or its Secret breaks a rule; the error
    /// lists every problem. `Forbidden`: the backend may not create it. `Unavailable`: try again.
    async fn submit(&self, submission: &Submission) -> Result<Submitted, BackendError>;

    /// Follows the Kubernetes Job of this name to its end.
    fn watch(&self, name: &str) -> BoxStream<'static, Result<JobPhase, BackendError>>;

    /// Ends the Kubernetes Job of this name and everything that runs for it.
    ///
    /// # Errors
    /// `Forbidden` or `Unavailable`; never because of the state of the Job.
    async fn cancel(&self, name: &str) -> Result<(), BackendError>;

    /// Ends a Job that did not start, as [`cancel`](Self::cancel) does, but keeps what shows why: its pod for
    /// at most this long, and the Job itself until its `ttlSecondsAfterFinished` has passed. For a Job whose
    /// program does nothing any more if it starts meanwhile.
    ///
    /// By default it is cancelled at once: a backend whose ended Jobs stay visible keeps enough.
    ///
    /// # Errors
    /// Those of [`cancel`](Self::cancel).
    async fn end_after(&self, name: &str, delay: Duration) -> Result<(), BackendError> {
        let _ = delay;
        self.cancel(name).await
    }
}

/// Implements the trait for a pointer to a backend.
macro_rules! impl_for_pointer {
    ($pointer:ident) => {
        #[async_trait]
        impl<B: JobBackend + ?Sized> JobBackend for $pointer<B> {
            async fn submit(&self, submission: &Submission) -> Result<Submitted, BackendError> {
                (**self).submit(submission).await
            }

            fn watch(&self, name: &str) -> BoxStream<'static, Result<JobPhase, BackendError>> {
                (**self).watch(name)
            }

            async fn cancel(&self, name: &str) -> Result<(), BackendError> {
                (**self).cancel(name).await
            }

            async fn end_after(&self, name: &str, delay: Duration) -> Result<(), BackendError> {
                (**self).end_after(name, delay).await
            }
        }
    };
}

impl_for_pointer!(Arc);
impl_for_pointer!(Box);
