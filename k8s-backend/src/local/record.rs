//! The record of a Job on disk, so that a later program can continue with it.
//!
//! One small JSON file per Job, replaced as a whole. It never contains the environment or the arguments of
//! the container, which carry secrets.

use std::{
    collections::BTreeMap,
    fs::{self, DirBuilder, File, OpenOptions},
    io::{self, Read as _, Write as _},
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
    time::Duration,
};

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::{backend::Cause, phase::termination};

/// Stage of a Job. The stages answer one question: what may have happened if this is the last one on disk?
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "is", rename_all = "camelCase")]
pub(crate) enum Stage {
    /// The submit has not returned yet, and nothing was started: the Job may be forgotten.
    Accepted,
    /// The submit has returned; nothing was started.
    Waiting,
    /// A process may run; which one is unknown.
    Starting,
    /// A process was started.
    Running,
    /// Nothing of the Job runs any more.
    Ended {
        /// Why.
        cause: RecordedCause,
        /// When that was seen.
        at: Timestamp,
    },
}

/// A [`Cause`] in a record: those that the local backend has.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", content = "detail", rename_all = "camelCase")]
pub(crate) enum RecordedCause {
    Completed,
    ExitCode(Option<i32>),
    ExitMessage { exit_code: i32, message: String },
    Signal(i32),
    DeadlineExceeded,
    Deleted,
    NotStarted { message: String },
    Lost { message: String },
}

impl From<Cause> for RecordedCause {
    fn from(cause: Cause) -> Self {
        match cause {
            Cause::Completed => Self::Completed,
            Cause::ExitCode(code) => Self::ExitCode(code),
            Cause::ExitMessage { exit_code, message } => Self::ExitMessage { exit_code, message },
            Cause::Signal(signal) => Self::Signal(signal),
            Cause::DeadlineExceeded => Self::DeadlineExceeded,
            Cause::Deleted => Self::Deleted,
            Cause::NotStarted { message } => Self::NotStarted { message },
            Cause::Lost { message } => Self::Lost { message },
            other => Self::Lost { message: other.to_string() },
        }
    }
}

impl From<RecordedCause> for Cause {
    fn from(cause: RecordedCause) -> Self {
        match cause {
            RecordedCause::Completed => Self::Completed,
            RecordedCause::ExitCode(code) => Self::ExitCode(code),
            RecordedCause::ExitMessage { exit_code, message } => Self::ExitMessage { exit_code, message },
            RecordedCause::Signal(signal) => Self::Signal(signal),
            RecordedCause::DeadlineExceeded => Self::DeadlineExceeded,
            RecordedCause::Deleted => Self::Deleted,
            RecordedCause::NotStarted { message } => Self::NotStarted { message },
            RecordedCause::Lost { message } => Self::Lost { message },
        }
    }
}

/// The main process of a Job.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Process {
    /// Its process ID, which is also the ID of its process group.
    pub(crate) pid: i32,
    /// Its start in ticks since boot, where the system reports it: a reused process ID has another one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) start_ticks: Option<u64>,
}

/// Why a Job is being stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum StopReason {
    /// It was cancelled.
    Cancelled,
    /// Its deadline passed.
    DeadlineExceeded,
}

/// The record of a Job.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Record {
    pub(crate) name: String,
    /// Called `specHash` by earlier versions.
    #[serde(alias = "specHash")]
    pub(crate) identity: String,
    pub(crate) labels: BTreeMap<String, String>,
    pub(crate) submitted_at: Timestamp,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) deadline_at: Option<Timestamp>,
    pub(crate) grace_seconds: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) process: Option<Process>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) stopping: Option<StopReason>,
    /// The signal to stop was sent. A second one may mean something else to a program.
    #[serde(default)]
    pub(crate) signalled: bool,
    pub(crate) stage: Stage,
}

impl Record {
    /// Returns the time of the deadline, if there is one.
    pub(crate) fn deadline(submitted_at: Timestamp, after: Option<Duration>) -> Option<Timestamp> {
        let after = SignedDuration::try_from(after?).ok()?;
        // A deadline beyond the last timestamp never passes.
        submitted_at.checked_add(after).ok()
    }

    /// Replaces a record that cannot be read: the name stays taken, by an unknown Job.
    pub(crate) fn unreadable(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            identity: "unknown".to_owned(),
            labels: BTreeMap::new(),
            submitted_at: Timestamp::now(),
            deadline_at: None,
            grace_seconds: 30,
            signalled: false,
            process: None,
            stopping: None,
            stage: Stage::Starting,
        }
    }
}

/// The folder of one Job.
#[derive(Debug, Clone)]
pub(crate) struct Folder(PathBuf);

/// A record while it is written.
const UNFINISHED: &str = "record.json.new";

impl Folder {
    pub(crate) fn new(directory: &Path, name: &str) -> Self {
        Self(directory.join(name))
    }

    pub(crate) fn output(&self) -> PathBuf {
        self.0.join("pod.log")
    }

    /// The file for the termination message.
    pub(crate) fn termination(&self) -> PathBuf {
        self.0.join("termination-log")
    }

    /// Creates the file for the termination message.
    pub(crate) fn create_termination(&self) -> io::Result<()> {
        private(OpenOptions::new().write(true).create(true).truncate(true)).open(self.termination()).map(drop)
    }

    /// Reads the termination message, as much of it as Kubernetes keeps. A process may have put anything in
    /// the place of its file.
    pub(crate) fn read_termination(&self) -> Option<String> {
        let path = self.termination();
        if !fs::symlink_metadata(&path).ok()?.is_file() {
            return None;
        }
        let mut bytes = Vec::new();
        let limit = u64::try_from(termination::MAX_BYTES).ok()? + 1;
        File::open(path).ok()?.take(limit).read_to_end(&mut bytes).ok()?;
        String::from_utf8(bytes).ok()
    }

    /// The working folder of the process. Like the file system of a pod, it is removed after the Job.
    pub(crate) fn work(&self) -> PathBuf {
        self.0.join("work")
    }

    /// The folder of mounted Secrets while the process may read them.
    pub(crate) fn mounts(&self) -> PathBuf {
        self.0.join("mounts")
    }

    fn record(&self) -> PathBuf {
        self.0.join("record.json")
    }

    fn cancelled(&self) -> PathBuf {
        self.0.join("cancelled")
    }

    /// Creates the folder and its working folder, both accessible to this user alone.
    pub(crate) fn create(&self) -> io::Result<()> {
        let mut builder = DirBuilder::new();
        builder.mode(0o700).recursive(true).create(&self.0)?;
        builder.create(self.work())
    }

    pub(crate) fn remove(&self) -> io::Result<()> {
        fs::remove_dir_all(&self.0)
    }

    /// Removes the file of a write that never ended, because the program was killed.
    pub(crate) fn remove_unfinished(&self) {
        let _ = fs::remove_file(self.0.join(UNFINISHED));
    }

    /// Removes the working folder and the mounted Secrets of an ended Job.
    pub(crate) fn remove_scratch(&self) {
        for folder in [self.mounts(), self.work()] {
            if let Err(error) = fs::remove_dir_all(&folder)
                && error.kind() != io::ErrorKind::NotFound
            {
                tracing::warn!(folder = %folder.display(), %error, "a folder of an \
                    ended Job could not be removed");
            }
        }
    }

    /// Reads the record; `None` if there is none.
    pub(crate) fn load(&self) -> io::Result<Option<Record>> {
        match fs::read(self.record()) {
            Ok(bytes) => serde_json::from_slice(&bytes).map(Some).map_err(io::Error::from),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Replaces the record: on disk is always a whole record, also after a power failure.
    pub(crate) fn save(&self, record: &Record) -> io::Result<()> {
        let next = self.0.join(UNFINISHED);
        let mut file = private(OpenOptions::new().write(true).create(true).truncate(true)).open(&next)?;
        file.write_all(&serde_json::to_vec_pretty(record)?)?;
        file.sync_all()?;
        fs::rename(&next, self.record())?;
        File::open(&self.0)?.sync_all()
    }

    /// Records that the Job was cancelled, for the case that this program ends first.
    pub(crate) fn mark_cancelled(&self) -> io::Result<()> {
        private(OpenOptions::new().write(true).create(true).truncate(true)).open(self.cancelled())?.sync_all()
    }

    pub(crate) fn is_cancelled(&self) -> bool {
        self.cancelled().exists()
    }
}

/// Makes new files accessible to this user alone.
pub(crate) fn private(options: &mut OpenOptions) -> &mut OpenOptions {
    options.mode(0o600)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loads_record_as_it_was_saved() {
        let directory = tempfile::tempdir().unwrap();
        let folder = Folder::new(directory.path(), "job-1");
        folder.create().unwrap();
        assert_eq!(folder.load().unwrap(), None);
        for cause in [
            Cause::Completed,
            Cause::ExitCode(Some(7)),
            Cause::Signal(9),
            Cause::DeadlineExceeded,
            Cause::Deleted,
            Cause::Lost { message: "gone".to_owned() },
            Cause::NotStarted { message: "no such program".to_owned() },
        ] {
            let mut record = Record::unreadable("job-1");
            record.process = Some(Process { pid: 17, start_ticks: Some(18) });
            record.stopping = Some(StopReason::Cancelled);
            record.stage = Stage::Ended { cause: cause.clone().into(), at: Timestamp::UNIX_EPOCH };
            folder.save(&record).unwrap();
            assert_eq!(folder.load().unwrap(), Some(record));
            assert_eq!(Cause::from(RecordedCause::from(cause.clone())), cause);
        }
    }

    #[test]
    fn loads_record_of_an_earlier_version() {
        let directory = tempfile::tempdir().unwrap();
        let folder = Folder::new(directory.path(), "job-1");
        folder.create().unwrap();
        let old = r#"{"name": "job-1", "specHash": "abc", "labels": {}, "submittedAt": "2026-11-23T19:08:51Z",
            "graceSeconds": 30, "stage": {"is": "ended", "at": "2026-11-23T19:09:51Z",
                "cause": {"type": "exitCode", "detail": 7}}}"#;
        fs::write(folder.record(), old).unwrap();
        let record = folder.load().unwrap().unwrap();
        assert_eq!(record.identity, "abc");
        let Stage::Ended { cause, .. } = record.stage else { unreachable!("it has ended") };
        assert_eq!(Cause::from(cause), Cause::ExitCode(Some(7)));
    }

    #[test]
    fn damaged_record_is_an_error() {
        let directory = tempfile::tempdir().unwrap();
        let folder = Folder::new(directory.path(), "job-1");
        folder.create().unwrap();
        fs::write(folder.record(), "{\"name\":").unwrap();
        assert!(folder.load().is_err());
    }
}
