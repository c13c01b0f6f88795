//! What a backend answers when it cannot do what it was asked.

use std::fmt;

/// An error of any source.
pub type BoxError = Box<dyn std::error::Error + Send + Sync + 'static>;

/// What a caller can do about an error; code matches on this alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ErrorKind {
    /// There is no Job of this name.
    NotFound,
    /// The name is taken by another Job.
    Conflict,
    /// The Job breaks a rule; the same Job will never be accepted.
    Invalid,
    /// The backend lacks a right.
    Forbidden,
    /// It may work next time.
    Unavailable,
    /// A fault of the backend itself.
    Internal,
}

/// What the backend was doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
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

/// An error of a backend: what was tried with which Job, why it failed, and what kind of failure that is.
///
/// The text holds no source; print the chain with [`std::error::Error::source`].
#[derive(Debug, thiserror::Error)]
#[error("could not {action} Kubernetes Job {job:?}")]
pub struct BackendError {
    /// What a caller can do about it.
    pub kind: ErrorKind,
    /// What was tried.
    pub action: Action,
    /// `metadata.name` of the Job; empty if it has none.
    pub job: String,
    /// Why it failed.
    #[source]
    pub source: BoxError,
}

impl BackendError {
    /// Makes an error of its parts.
    pub fn new(kind: ErrorKind, action: Action, job: impl Into<String>, source: impl Into<BoxError>) -> Self {
        Self { kind, action, job: job.into(), source: source.into() }
    }
}
