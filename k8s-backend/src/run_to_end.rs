//! Runs a Job from its submission to its end.
//!
//! For programs that keep no record of their own: one call submits, follows, and returns the outcome. A
//! program that must survive a restart calls [`submit`](JobBackend::submit) and [`watch`](JobBackend::watch)
//! itself and stores what they report.

use std::time::Duration;

use backon::{BackoffBuilder as _, ExponentialBackoff, ExponentialBuilder, Retryable as _};
use futures::StreamExt as _;

use crate::{
    backend::{JobBackend, JobPhase},
    error::{Action, BackendError, ErrorKind},
    phase::{self, Cause},
    submission::Submission,
};

/// How often and how soon a call is repeated that failed with [`Unavailable`](ErrorKind::Unavailable) or
/// [`Refused`](ErrorKind::Refused).
///
/// The delay doubles with each retry, and a random part is added, so that many callers do not retry at the
/// same time.
///
/// # Examples
/// ```
/// use std::time::Duration;
/// use k8s_backend::RetryPolicy;
///
/// let policy = RetryPolicy::new().max_times(20).max_delay(Duration::from_secs(30));
/// assert_eq!(policy.min_delay, Duration::from_millis(500));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct RetryPolicy {
    /// Delay before the first retry.
    pub min_delay: Duration,
    /// Longest delay between two retries, without the random part.
    pub max_delay: Duration,
    /// How many retries there are. While a Job is followed, every new phase resets the count.
    pub max_times: usize,
}

impl Default for RetryPolicy {
    /// Five retries within about 15 to 30 seconds.
    fn default() -> Self {
        Self { min_delay: Duration::from_millis(500), max_delay: Duration::from_secs(10), max_times: 5 }
    }
}

impl RetryPolicy {
    /// Returns the default policy.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the delay before the first retry.
    #[must_use]
    pub const fn min_delay(mut self, delay: Duration) -> Self {
        self.min_delay = delay;
        self
    }

    /// Sets the longest delay between two retries.
    #[must_use]
    pub const fn max_delay(mut self, delay: Duration) -> Self {
        self.max_delay = delay;
        self
    }

    /// Sets how many retries there are.
    #[must_use]
    pub const fn max_times(mut self, times: usize) -> Self {
        self.max_times = times;
        self
    }

    fn builder(self) -> ExponentialBuilder {
        ExponentialBuilder::default()
            .with_min_delay(self.min_delay)
            .with_max_delay(self.max_delay)
            .with_max_times(self.max_times)
            .with_jitter()
    }
}

/// Conveniences of every [`JobBackend`]. Implemented for all of them, so a backend cannot and need not
/// implement it.
pub trait JobBackendExt: JobBackend {
    /// Submits a Job and follows it to its end with the default [`RetryPolicy`].
    ///
    /// The Job outlives the returned future: dropping it neither cancels nor deletes the Job, and the same
    /// call continues with it.
    ///
    /// # Errors
    /// Those of [`submit`](JobBackend::submit) and [`watch`](JobBackend::watch). Errors of kind `Unavailable`
    /// are returned only when all retries failed; `NotFound` means that the Job was deleted and that it is
    /// unknown whether its container ended.
    ///
    /// # Examples
    /// ```
    /// use k8s_backend::{BackendError, Cause, JobBackend, JobBackendExt as _};
    /// use k8s_openapi::api::batch::v1::Job;
    ///
    /// async fn succeeds(backend: &dyn JobBackend, job: Job) -> Result<bool, BackendError> {
    ///     Ok(backend.run_to_end(&job.into()).await? == Cause::Completed)
    /// }
    /// ```
    fn run_to_end(
        &self,
        submission: &Submission,
    ) -> impl Future<Output = Result<Cause, BackendError>> + Send {
        self.run_to_end_with(submission, RetryPolicy::default(), |_| {})
    }

    /// Submits a Job and follows it to its end with this policy. Calls `on_phase` for every new phase, also
    /// for the last one.
    ///
    /// # Errors
    /// As [`run_to_end`](Self::run_to_end).
    fn run_to_end_with(
        &self,
        submission: &Submission,
        policy: RetryPolicy,
        on_phase: impl FnMut(&JobPhase) + Send,
    ) -> impl Future<Output = Result<Cause, BackendError>> + Send {
        async move {
            let submit = || self.submit(submission);
            submit.retry(policy.builder()).when(is_unavailable).notify(log_retry).await?;
            follow(self, submission.name(), policy, on_phase).await
        }
    }
}

impl<B: JobBackend + ?Sized> JobBackendExt for B {}

/// Follows a Job to its end. A watch that fails is opened again; what it repeats is not reported again.
async fn follow<B: JobBackend + ?Sized>(
    backend: &B,
    name: &str,
    policy: RetryPolicy,
    mut on_phase: impl FnMut(&JobPhase) + Send,
) -> Result<Cause, BackendError> {
    let mut last = None;
    let mut delays: ExponentialBackoff = policy.builder().build();
    loop {
        let mut phases = backend.watch(name);
        let error = loop {
            match phases.next().await {
                Some(Ok(phase)) => {
                    delays = policy.builder().build();
                    let Some(phase) = phase::next_phase(last.as_ref(), phase) else { continue };
                    on_phase(&phase);
                    if let JobPhase::Ended(cause) = phase {
                        return Ok(cause);
                    }
                    last = Some(phase);
                }
                Some(Err(error)) => break error,
                None => {
                    let text = "the watch ended without an end of the Job";
                    return Err(BackendError::new(ErrorKind::Internal, Action::Watch, name, text));
                }
            }
        };
        if !is_unavailable(&error) {
            return Err(error);
        }
        let Some(delay) = delays.next() else { return Err(error) };
        log_retry(&error, delay);
        tokio::time::sleep(delay).await;
    }
}

fn is_unavailable(error: &BackendError) -> bool {
    matches!(error.kind, ErrorKind::Unavailable | ErrorKind::Refused)
}

fn log_retry(error: &BackendError, delay: Duration) {
    tracing::info!(job = error.job, %error, source = %error.source, ?delay, "retrying");
}

#[cfg(test)]
#[cfg(feature = "testing")]
mod tests;
