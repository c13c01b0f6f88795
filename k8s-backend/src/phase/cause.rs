//! Why a Kubernetes Job ended.

use std::fmt;

use super::waiting::Waiting;

/// Why a Kubernetes Job ended.
///
/// A cause says what the backend saw, not what the program in the container did: that only the program knows.
///
/// Messages are those of the cluster or the operating system, and in [`ExitMessage`](Self::ExitMessage) that
/// of the program in the container. They never contain what the container printed.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Cause {
    /// The container exited with code 0. It may have been interrupted all the same (fixture
    /// `pod-deleted-exits-0`).
    Completed,
    /// The container exited with another code; `None` where the backend may not read it.
    ExitCode(Option<i32>),
    /// The container exited with another code, and has left a message about it.
    ExitMessage {
        /// Its exit code.
        exit_code: i32,
        /// The text `message` of its termination message, if that is a JSON object.
        message: String,
    },
    /// The container was killed by the signal of this number.
    Signal(i32),
    /// An init container failed; the main container never started.
    InitContainer {
        /// Its name.
        container: String,
        /// Its exit code.
        exit_code: i32,
    },
    /// A process of the container was killed because the container exceeded its memory limit.
    OutOfMemory {
        /// The limit as a Kubernetes quantity; `None` if the container has none of its own.
        limit: Option<String>,
        /// Exit code of the main process. It is not 137 where only a child process was killed.
        exit_code: i32,
    },
    /// `activeDeadlineSeconds` passed.
    DeadlineExceeded,
    /// `activeDeadlineSeconds` passed before the container started.
    DeadlineBeforeStart {
        /// What the Job waited for.
        waiting: Waiting,
    },
    /// The Job waited too long for something, and its caller gave it up.
    CannotStart {
        /// What the Job waited for.
        waiting: Waiting,
    },
    /// The container ran, and the caller gave the Job up for a reason of its own.
    GivenUp {
        /// The reason, as the caller gave it.
        reason: String,
    },
    /// The container could not be started.
    NotStarted {
        /// The message of the node or the operating system.
        message: String,
    },
    /// The pod was evicted: it used more of a resource than allowed, the node ran short of one, or the node
    /// was drained.
    Evicted {
        /// The resource, where the message names it.
        resource: Option<String>,
        /// The message of the cluster.
        message: String,
    },
    /// The pod was preempted by one of higher priority.
    Preempted {
        /// The message of the scheduler.
        message: String,
    },
    /// The node of the pod does not respond or was removed.
    NodeLost {
        /// The message of the cluster.
        message: String,
    },
    /// The cluster disrupted the pod; how is not visible.
    Disrupted {
        /// The message of the cluster.
        message: String,
    },
    /// A client deleted the pod.
    PodDeleted {
        /// Whether its container may have run.
        ran: bool,
    },
    /// The Kubernetes Job was cancelled or deleted, and its pod is gone.
    Deleted,
    /// The cluster does not know the Kubernetes Job: it was deleted, or its `ttlSecondsAfterFinished` passed,
    /// while it was not watched.
    Vanished,
    /// The process is gone, and its end was not seen.
    Lost {
        /// What is known.
        message: String,
    },
}

/// Whether the same Job may be run again, as far as the cluster alone can tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Retry {
    /// It completed.
    NotNeeded,
    /// Its container never ran.
    Safe,
    /// Its container ran, or may have run: a retry is safe only if the program in it did nothing that must
    /// not be repeated.
    MayHaveRun,
}

impl Cause {
    /// Returns the texts that come from the cluster. An API server or a webhook quotes the values that it
    /// refuses, so a program may have to hide secrets in them.
    pub fn texts_mut(&mut self) -> Vec<&mut String> {
        match self {
            Self::ExitMessage { message: text, .. }
            | Self::InitContainer { container: text, .. }
            | Self::OutOfMemory { limit: Some(text), .. }
            | Self::GivenUp { reason: text }
            | Self::NotStarted { message: text }
            | Self::Evicted { resource: None, message: text }
            | Self::Preempted { message: text }
            | Self::NodeLost { message: text }
            | Self::Disrupted { message: text }
            | Self::Lost { message: text } => vec![text],
            Self::Evicted { resource: Some(resource), message } => vec![resource, message],
            Self::DeadlineBeforeStart { waiting } | Self::CannotStart { waiting } => waiting.texts_mut(),
            Self::Completed
            | Self::ExitCode(_)
            | Self::Signal(_)
            | Self::OutOfMemory { limit: None, .. }
            | Self::DeadlineExceeded
            | Self::PodDeleted { .. }
            | Self::Deleted
            | Self::Vanished => Vec::new(),
        }
    }

    /// Returns whether the same Job may be run again.
    #[must_use]
    pub const fn retry(&self) -> Retry {
        match self {
            Self::Completed => Retry::NotNeeded,
            Self::InitContainer { .. }
            | Self::DeadlineBeforeStart { .. }
            | Self::CannotStart { .. }
            | Self::NotStarted { .. }
            | Self::PodDeleted { ran: false } => Retry::Safe,
            Self::ExitCode(_)
            | Self::ExitMessage { .. }
            | Self::Signal(_)
            | Self::OutOfMemory { .. }
            | Self::DeadlineExceeded
            | Self::GivenUp { .. }
            | Self::Evicted { .. }
            | Self::Preempted { .. }
            | Self::NodeLost { .. }
            | Self::Disrupted { .. }
            | Self::PodDeleted { ran: true }
            | Self::Deleted
            | Self::Vanished
            | Self::Lost { .. } => Retry::MayHaveRun,
        }
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Completed => f.write_str("completed"),
            Self::ExitCode(Some(code)) => write_exit_code(f, *code),
            Self::ExitMessage { exit_code, message } => {
                write_exit_code(f, *exit_code)?;
                write!(f, ": {message}")
            }
            Self::ExitCode(None) => f.write_str("failed, exit code not readable"),
            Self::Signal(signal) => write!(f, "killed by signal {signal}"),
            Self::InitContainer { container, exit_code } => {
                write!(f, "init container {container:?} failed with exit code {exit_code}")
            }
            Self::OutOfMemory { limit: Some(limit), .. } => {
                write!(f, "out of memory: limit {limit} exceeded")
            }
            Self::OutOfMemory { limit: None, .. } => f.write_str("out of memory"),
            Self::DeadlineExceeded => f.write_str("deadline exceeded"),
            Self::DeadlineBeforeStart { waiting } => {
                write!(f, "deadline exceeded before the start: {waiting}")
            }
            Self::CannotStart { waiting } => write!(f, "start timeout expired: {waiting}"),
            Self::GivenUp { reason } => f.write_str(reason),
            Self::NotStarted { message } => write!(f, "container not started: {message}"),
            Self::Evicted { message, .. } => write!(f, "pod evicted: {message}"),
            Self::Preempted { message } => write!(f, "pod preempted: {message}"),
            Self::NodeLost { message } => write!(f, "node lost: {message}"),
            Self::Disrupted { message } => write!(f, "pod disrupted: {message}"),
            Self::PodDeleted { ran: true } => f.write_str("pod deleted by a client"),
            Self::PodDeleted { ran: false } => f.write_str("pod deleted by a client before the start"),
            Self::Deleted => f.write_str("Kubernetes Job deleted"),
            Self::Vanished => f.write_str("Kubernetes Job no longer exists"),
            Self::Lost { message } => write!(f, "lost: {message}"),
        }
    }
}

fn write_exit_code(f: &mut fmt::Formatter<'_>, code: i32) -> fmt::Result {
    match code - 128 {
        9 => write!(f, "exit code {code} (killed)"),
        15 => write!(f, "exit code {code} (terminated)"),
        _ => write!(f, "exit code {code}"),
    }
}
