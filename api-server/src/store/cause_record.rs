//! Causes and waits as they are stored, and as the API shows them.
//!
//! A form of its own: the names here are those of the database, and they stay when the types of the backend
//! change. `cause_kind` has the type, `cause_detail` the rest as JSON (`NULL` where there is none); `waiting`
//! is JSON as a whole.

use k8s_backend::{Cause, ConfigProblem, ImageProblem, Refuser, Waiting};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// A [`Cause`] in the form of the database.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", content = "detail", rename_all = "camelCase")]
#[expect(missing_docs, reason = "the variants are those of the backend's type")]
pub enum CauseRecord {
    Completed,
    ExitCode(Option<i32>),
    ExitMessage {
        exit_code: i32,
        message: String,
    },
    Signal(i32),
    InitContainer {
        container: String,
        exit_code: i32,
    },
    OutOfMemory {
        limit: Option<String>,
        exit_code: i32,
    },
    DeadlineExceeded,
    DeadlineBeforeStart {
        waiting: WaitingRecord,
    },
    CannotStart {
        waiting: WaitingRecord,
    },
    GivenUp {
        reason: String,
    },
    NotStarted {
        message: String,
    },
    Evicted {
        resource: Option<String>,
        message: String,
    },
    Preempted {
        message: String,
    },
    NodeLost {
        message: String,
    },
    Disrupted {
        message: String,
    },
    PodDeleted {
        ran: bool,
    },
    Deleted,
    Vanished,
    Lost {
        message: String,
    },
    /// A cause that this version has no name for.
    Other {
        message: String,
    },
}

/// A [`Waiting`] in the form of the database.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", content = "detail", rename_all = "camelCase")]
#[expect(missing_docs, reason = "the variants are those of the backend's type")]
pub enum WaitingRecord {
    Accepted,
    ControllerPending {
        controller: Option<String>,
    },
    /// The name of earlier versions.
    NotTakenUp,
    Suspended,
    AwaitingAdmission {
        queue: String,
    },
    /// Called `beingEnded` by earlier versions.
    #[serde(alias = "beingEnded")]
    Terminating,
    NoPod,
    NotCreated {
        by: RefuserRecord,
        message: String,
    },
    Gated {
        message: String,
    },
    Unschedulable {
        message: String,
    },
    Starting,
    Setup {
        message: String,
    },
    ImagePull {
        problem: ImageProblemRecord,
        message: String,
    },
    ConfigError {
        problem: ConfigProblemRecord,
        message: String,
    },
    Other {
        reason: String,
        message: String,
    },
}

/// Defines a record of an enumeration of the backend without fields. A variant that this version does not
/// know becomes `$other`.
macro_rules! unit_record {
    ($record:ident of $origin:ident { $($variant:ident),+ } or $other:ident) => {
        #[doc = concat!("A [`", stringify!($origin), "`] in the form of the database.")]
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
        #[serde(rename_all = "camelCase")]
        #[expect(missing_docs, reason = "the variants are those of the backend's type")]
        pub enum $record { $($variant,)+ }

        impl From<$origin> for $record {
            fn from(value: $origin) -> Self {
                match value { $($origin::$variant => Self::$variant,)+ _ => Self::$other }
            }
        }

        impl From<$record> for $origin {
            fn from(record: $record) -> Self {
                match record { $($record::$variant => Self::$variant,)+ }
            }
        }
    };
}

unit_record!(RefuserRecord of Refuser {
    Quota, PodSecurity, ServiceAccount, PriorityClass, Admission
} or Admission);
unit_record!(ImageProblemRecord of ImageProblem {
    NotFound, Unauthorized, Unreachable, NeverPull, InvalidName, Unclear
} or Unclear);
unit_record!(ConfigProblemRecord of ConfigProblem {
    MissingSecret, MissingConfigMap, MissingKey, RunsAsRoot, Unclear
} or Unclear);

impl CauseRecord {
    /// Returns the values of the columns `cause_kind` and `cause_detail`.
    pub(super) fn to_columns(&self) -> (String, Option<String>) {
        let mut value = to_value(self);
        let kind = value["type"].take();
        let detail = value.get("detail").map(Value::to_string);
        (kind.as_str().unwrap_or_default().to_owned(), detail)
    }

    /// Reads the columns `cause_kind` and `cause_detail`.
    ///
    /// # Errors
    /// What is wrong with them.
    pub(super) fn from_columns(kind: &str, detail: Option<&str>) -> Result<Self, serde_json::Error> {
        let mut value = serde_json::json!({ "type": kind });
        if let Some(detail) = detail {
            value["detail"] = serde_json::from_str(detail)?;
        }
        serde_json::from_value(value)
    }
}

impl WaitingRecord {
    /// Returns the value of the column `waiting`.
    pub(super) fn to_column(&self) -> String {
        to_value(self).to_string()
    }

    /// Reads the column `waiting`; `None` if it is in a form that this version does not know.
    pub(super) fn from_column(text: &str) -> Option<Self> {
        serde_json::from_str(text).ok()
    }
}

fn to_value(record: &impl Serialize) -> Value {
    serde_json::to_value(record).expect("records have only text keys, so they are always JSON")
}

impl From<&Cause> for CauseRecord {
    fn from(cause: &Cause) -> Self {
        match cause.clone() {
            Cause::Completed => Self::Completed,
            Cause::ExitCode(code) => Self::ExitCode(code),
            Cause::ExitMessage { exit_code, message } => Self::ExitMessage { exit_code, message },
            Cause::Signal(signal) => Self::Signal(signal),
            Cause::InitContainer { container, exit_code } => Self::InitContainer { container, exit_code },
            Cause::OutOfMemory { limit, exit_code } => Self::OutOfMemory { limit, exit_code },
            Cause::DeadlineExceeded => Self::DeadlineExceeded,
            Cause::DeadlineBeforeStart { waiting } => {
                Self::DeadlineBeforeStart { waiting: (&waiting).into() }
            }
            Cause::CannotStart { waiting } => Self::CannotStart { waiting: (&waiting).into() },
            Cause::GivenUp { reason } => Self::GivenUp { reason },
            Cause::NotStarted { message } => Self::NotStarted { message },
            Cause::Evicted { resource, message } => Self::Evicted { resource, message },
            Cause::Preempted { message } => Self::Preempted { message },
            Cause::NodeLost { message } => Self::NodeLost { message },
            Cause::Disrupted { message } => Self::Disrupted { message },
            Cause::PodDeleted { ran } => Self::PodDeleted { ran },
            Cause::Deleted => Self::Deleted,
            Cause::Vanished => Self::Vanished,
            Cause::Lost { message } => Self::Lost { message },
            other => Self::Other { message: other.to_string() },
        }
    }
}

impl From<CauseRecord> for Cause {
    fn from(record: CauseRecord) -> Self {
        match record {
            CauseRecord::Completed => Self::Completed,
            CauseRecord::ExitCode(code) => Self::ExitCode(code),
            CauseRecord::ExitMessage { exit_code, message } => Self::ExitMessage { exit_code, message },
            CauseRecord::Signal(signal) => Self::Signal(signal),
            CauseRecord::InitContainer { container, exit_code } => {
                Self::InitContainer { container, exit_code }
            }
            CauseRecord::OutOfMemory { limit, exit_code } => Self::OutOfMemory { limit, exit_code },
            CauseRecord::DeadlineExceeded => Self::DeadlineExceeded,
            CauseRecord::DeadlineBeforeStart { waiting } => {
                Self::DeadlineBeforeStart { waiting: waiting.into() }
            }
            CauseRecord::CannotStart { waiting } => Self::CannotStart { waiting: waiting.into() },
            CauseRecord::GivenUp { reason } => Self::GivenUp { reason },
            CauseRecord::NotStarted { message } => Self::NotStarted { message },
            CauseRecord::Evicted { resource, message } => Self::Evicted { resource, message },
            CauseRecord::Preempted { message } => Self::Preempted { message },
            CauseRecord::NodeLost { message } => Self::NodeLost { message },
            CauseRecord::Disrupted { message } => Self::Disrupted { message },
            CauseRecord::PodDeleted { ran } => Self::PodDeleted { ran },
            CauseRecord::Deleted => Self::Deleted,
            CauseRecord::Vanished => Self::Vanished,
            CauseRecord::Lost { message } | CauseRecord::Other { message } => Self::Lost { message },
        }
    }
}

impl From<&Waiting> for WaitingRecord {
    fn from(waiting: &Waiting) -> Self {
        match waiting.clone() {
            Waiting::Accepted => Self::Accepted,
            Waiting::ControllerPending { controller } => Self::ControllerPending { controller },
            Waiting::Suspended => Self::Suspended,
            Waiting::AwaitingAdmission { queue } => Self::AwaitingAdmission { queue },
            Waiting::Terminating => Self::Terminating,
            Waiting::NoPod => Self::NoPod,
            Waiting::NotCreated { by, message } => Self::NotCreated { by: by.into(), message },
            Waiting::Gated { message } => Self::Gated { message },
            Waiting::Unschedulable { message } => Self::Unschedulable { message },
            Waiting::Starting => Self::Starting,
            Waiting::Setup { message } => Self::Setup { message },
            Waiting::ImagePull { problem, message } => Self::ImagePull { problem: problem.into(), message },
            Waiting::ConfigError { problem, message } => {
                Self::ConfigError { problem: problem.into(), message }
            }
            Waiting::Other { reason, message } => Self::Other { reason, message },
            other => Self::Other { reason: "Other".to_owned(), message: other.to_string() },
        }
    }
}

impl From<WaitingRecord> for Waiting {
    fn from(record: WaitingRecord) -> Self {
        match record {
            WaitingRecord::Accepted => Self::Accepted,
            WaitingRecord::ControllerPending { controller } => Self::ControllerPending { controller },
            WaitingRecord::NotTakenUp => Self::ControllerPending { controller: None },
            WaitingRecord::Suspended => Self::Suspended,
            WaitingRecord::AwaitingAdmission { queue } => Self::AwaitingAdmission { queue },
            WaitingRecord::Terminating => Self::Terminating,
            WaitingRecord::NoPod => Self::NoPod,
            WaitingRecord::NotCreated { by, message } => Self::NotCreated { by: by.into(), message },
            WaitingRecord::Gated { message } => Self::Gated { message },
            WaitingRecord::Unschedulable { message } => Self::Unschedulable { message },
            WaitingRecord::Starting => Self::Starting,
            WaitingRecord::Setup { message } => Self::Setup { message },
            WaitingRecord::ImagePull { problem, message } => {
                Self::ImagePull { problem: problem.into(), message }
            }
            WaitingRecord::ConfigError { problem, message } => {
                Self::ConfigError { problem: problem.into(), message }
            }
            WaitingRecord::Other { reason, message } => Self::Other { reason, message },
        }
    }
}

#[cfg(test)]
mod tests;
