//! Why a Kubernetes Job ended: typed for programs, in words for people.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::waiting::Waiting;

/// Why a Kubernetes Job ended.
///
/// A cause says what the backend saw, not what the step did to the infrastructure: that is known only from the
/// executor's own report.
///
/// Messages are the words of the cluster or the system. What the container printed is never among them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", content = "detail", rename_all = "camelCase")]
#[non_exhaustive]
pub enum Cause {
    /// The container exited with code 0. It may have been interrupted all the same (fixture `pod-deleted-exits-0`).
    Completed,
    /// The container exited with another code; `None` where the backend may not see it.
    ExitCode(Option<i32>),
    /// The container was killed by a signal of this number.
    Signal(i32),
    /// A container that prepares the pod failed; the main one never started.
    InitContainer {
        /// Its name.
        container: String,
        /// Its exit code.
        exit_code: i32,
    },
    /// A process of the container was killed because the container used more memory than it may.
    OutOfMemory {
        /// The container's limit as a Kubernetes quantity; `None` if it had none of its own.
        limit: Option<String>,
        /// What the main process exited with. It is not 137 where only a child was killed.
        exit_code: i32,
    },
    /// `activeDeadlineSeconds` passed.
    DeadlineExceeded,
    /// `activeDeadlineSeconds` passed, and the container had never started.
    DeadlineBeforeStart {
        /// What it waited for.
        waiting: Waiting,
    },
    /// It waited too long for something that did not come, and was given up.
    CannotStart {
        /// What it waited for.
        waiting: Waiting,
    },
    /// The container could not be started.
    NotStarted {
        /// The words of the node or the system.
        message: String,
    },
    /// The pod was put off its node: it used more of something than it may, its node ran short of something, or somebody
    /// drains the node.
    Evicted {
        /// What there was too little of, where the words tell.
        resource: Option<String>,
        /// The cluster's words.
        message: String,
    },
    /// The pod had to make room for one of higher priority.
    Preempted {
        /// The scheduler's words.
        message: String,
    },
    /// The node of the pod went silent or away.
    NodeLost {
        /// The cluster's words.
        message: String,
    },
    /// The pod was disrupted by the cluster; how is not visible.
    Disrupted {
        /// The cluster's words.
        message: String,
    },
    /// Somebody deleted the pod.
    PodDeleted {
        /// Whether its container may have run.
        ran: bool,
    },
    /// The Kubernetes Job was cancelled or deleted, and its pod is gone.
    Deleted,
    /// The Kubernetes Job is unknown to the cluster: somebody deleted it, or its time to live ended while nobody looked.
    Vanished,
    /// The process is gone, and nobody saw how it ended.
    Lost {
        /// What is known.
        message: String,
    },
}

/// Whether the same step may be tried again, as far as the cluster alone can tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Retry {
    /// There is nothing to try again.
    NotNeeded,
    /// Nothing of it ever ran.
    Safe,
    /// It ran, or may have run: only whoever knows whether the executor took its attempt can say.
    OnlyIfUnclaimed,
}

impl Cause {
    /// Tells whether the same may be tried again.
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
            | Self::Signal(_)
            | Self::OutOfMemory { .. }
            | Self::DeadlineExceeded
            | Self::Evicted { .. }
            | Self::Preempted { .. }
            | Self::NodeLost { .. }
            | Self::Disrupted { .. }
            | Self::PodDeleted { ran: true }
            | Self::Deleted
            | Self::Vanished
            | Self::Lost { .. } => Retry::OnlyIfUnclaimed,
        }
    }

    /// Says what to change, in one sentence for people; `None` where there is nothing to say.
    #[must_use]
    pub const fn advice(&self) -> Option<&'static str> {
        Some(match self {
            Self::Completed | Self::Deleted => return None,
            Self::ExitCode(Some(_)) | Self::Signal(_) => "Read the log of the step.",
            Self::ExitCode(None) => {
                "Read the log of the step; to see exit codes and causes, let this program read pods."
            }
            Self::InitContainer { .. } => "Correct the init container of the workspace's settings.",
            Self::OutOfMemory { .. } => {
                "Raise the memory limit of the workspace's executor, or let terraform do less at a time (-parallelism)."
            }
            Self::DeadlineExceeded => "Give the step more time, or split what it does.",
            Self::DeadlineBeforeStart { waiting } | Self::CannotStart { waiting } => return waiting.advice(),
            Self::NotStarted { .. } => {
                "Correct the image or the command of the executor; a payload that is too large belongs into a Secret."
            }
            Self::Evicted { resource: Some(_), .. } => {
                "Raise the executor's limit for what it ran out of, or use less of it."
            }
            Self::Evicted { resource: None, .. } => "Try again; a node was emptied on purpose.",
            Self::Preempted { .. } => "Try again, or give executors a higher priority class.",
            Self::NodeLost { .. } => "Try again once the nodes of the cluster are healthy.",
            Self::Disrupted { .. } => "Try again; to see what disrupted it, let this program read pods.",
            Self::PodDeleted { .. } | Self::Vanished => "Ask who deletes pods or Jobs in this namespace.",
            Self::Lost { .. } => "Read the log of the step, and look at what it has changed.",
        })
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Completed => f.write_str("completed"),
            Self::ExitCode(Some(code)) => match code - 128 {
                9 => write!(f, "exit code {code} (killed)"),
                15 => write!(f, "exit code {code} (terminated)"),
                _ => write!(f, "exit code {code}"),
            },
            Self::ExitCode(None) => f.write_str("failed with an exit code that is not visible"),
            Self::Signal(signal) => write!(f, "killed by signal {signal}"),
            Self::InitContainer { container, exit_code } => {
                write!(f, "init container {container:?} failed with exit code {exit_code}")
            }
            Self::OutOfMemory { limit: Some(limit), .. } => {
                write!(f, "out of memory: it used more than its limit of {limit}")
            }
            Self::OutOfMemory { limit: None, .. } => f.write_str("out of memory"),
            Self::DeadlineExceeded => f.write_str("deadline exceeded"),
            Self::DeadlineBeforeStart { waiting } => {
                write!(f, "deadline exceeded before it started: {waiting}")
            }
            Self::CannotStart { waiting } => write!(f, "it cannot start: {waiting}"),
            Self::NotStarted { message } => write!(f, "not started: {message}"),
            Self::Evicted { message, .. } => write!(f, "evicted: {message}"),
            Self::Preempted { message } => write!(f, "preempted: {message}"),
            Self::NodeLost { message } => write!(f, "node lost: {message}"),
            Self::Disrupted { message } => write!(f, "disrupted: {message}"),
            Self::PodDeleted { ran: true } => f.write_str("somebody deleted its pod"),
            Self::PodDeleted { ran: false } => f.write_str("somebody deleted its pod before it started"),
            Self::Deleted => f.write_str("deleted"),
            Self::Vanished => f.write_str("its Kubernetes Job does not exist any more"),
            Self::Lost { message } => write!(f, "lost: {message}"),
        }
    }
}
