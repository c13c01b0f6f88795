//! Errors of backends.

use std::fmt;

/// An error of any source.
pub type BoxError = Box<dyn std::error::Error + Send + Sync + 'static>;

/// The kind of an error: what a caller can do about it. Code matches on this alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// There is no Job of this name.
    NotFound,
    /// The name belongs to another Job.
    Conflict,
    /// The Job breaks a rule; the same Job will never be accepted.
    Invalid,
    /// The backend lacks a right.
    Forbidden,
    /// The same call may succeed later, and it may have been carried out.
    Unavailable,
    /// The cluster refused the call for now: an exceeded quota, a failing admission webhook, a missing
    /// namespace. Nothing was carried out, and the same call may succeed later.
    Refused,
    /// A fault of the backend itself.
    Internal,
}

/// The call that failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Action {
    /// [`submit`](crate::JobBackend::submit).
    Submit,
    /// [`watch`](crate::JobBackend::watch).
    Watch,
    /// [`cancel`](crate::JobBackend::cancel).
    Cancel,
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Submit => "submit",
            Self::Watch => "watch",
            Self::Cancel => "cancel",
        })
    }
}

/// An error of a backend: which call failed for which Job, why, and of what kind the failure is.
///
/// The text does not contain the source; print the chain with [`std::error::Error::source`].
#[derive(Debug, thiserror::Error)]
#[error("could not {action} Kubernetes Job {job:?}")]
#[non_exhaustive]
pub struct BackendError {
    /// What a caller can do about it.
    pub kind: ErrorKind,
    /// The call that failed.
    pub action: Action,
    /// `metadata.name` of the Job; empty if it has none.
    pub job: String,
    /// Why it failed.
    #[source]
    pub source: BoxError,
}

impl BackendError {
    /// Creates an error from its parts.
    pub fn new(kind: ErrorKind, action: Action, job: impl Into<String>, source: impl Into<BoxError>) -> Self {
        Self { kind, action, job: job.into(), source: source.into() }
    }
}
