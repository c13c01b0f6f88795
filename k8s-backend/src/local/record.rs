//! What the local backend remembers of a Job on disk, so that a later program can go on with it.
//!
//! One small JSON file per Job, replaced as a whole. It never holds the environment or the arguments of the container:
//! those carry secrets.

use std::{
    collections::BTreeMap,
    fs::{self, DirBuilder, File, OpenOptions},
    io::{self, Write as _},
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
    time::Duration,
};

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::backend::Cause;

/// How far a Job has come. The stages exist for one question: what may have happened if this is the last thing written?
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "is", rename_all = "camelCase")]
pub(crate) enum Stage {
    /// Nobody was told yet that the Job is taken, and nothing was started: it may be forgotten.
    Accepted,
    /// It is taken; nothing was started.
    Waiting,
    /// A process may run; which one is not known.
    Starting,
    /// A process was started.
    Running,
    /// Nothing of it runs any more.
    Ended {
        /// Why.
        cause: Cause,
        /// When that was seen.
        at: Timestamp,
    },
}

/// The main process of a Job.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Process {
    /// Its id, and that of its process group, which it leads.
    pub(crate) pid: i32,
    /// Its start in ticks since boot, where the system tells: with it a reused id is known for what it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) start_ticks: Option<u64>,
}

/// Why a Job is being ended before its time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum StopReason {
    /// Somebody cancelled it.
    Cancelled,
    /// Its deadline passed.
    DeadlineExceeded,
}

/// Everything that is remembered of a Job.
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
    pub(crate) stage: Stage,
}

impl Record {
    /// Returns the point in time that lies `after` this one, if there is a deadline.
    pub(crate) fn deadline(submitted_at: Timestamp, after: Option<Duration>) -> Option<Timestamp> {
        let after = SignedDuration::try_from(after?).ok()?;
        // A deadline that no clock can say never comes.
        submitted_at.checked_add(after).ok()
    }

    /// Stands in for a record that cannot be read: the name stays taken, by no known Job.
    pub(crate) fn unreadable(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            identity: "unknown".to_owned(),
            labels: BTreeMap::new(),
            submitted_at: Timestamp::now(),
            deadline_at: None,
            grace_seconds: 30,
            process: None,
            stopping: None,
            stage: Stage::Starting,
        }
    }
}

/// The folder of one Job.
#[derive(Debug, Clone)]
pub(crate) struct Folder(PathBuf);

impl Folder {
    pub(crate) fn new(directory: &Path, name: &str) -> Self {
        Self(directory.join(name))
    }

    pub(crate) fn output(&self) -> PathBuf {
        self.0.join("pod.log")
    }

    /// The working folder of the process. Like the file system of a pod it ends with the Job.
    pub(crate) fn work(&self) -> PathBuf {
        self.0.join("work")
    }

    /// Where mounted Secrets lie while the process may read them.
    pub(crate) fn mounts(&self) -> PathBuf {
        self.0.join("mounts")
    }

    fn record(&self) -> PathBuf {
        self.0.join("record.json")
    }

    fn cancelled(&self) -> PathBuf {
        self.0.join("cancelled")
    }

    /// Makes the folder and its working folder, both for this user alone.
    pub(crate) fn create(&self) -> io::Result<()> {
        let mut builder = DirBuilder::new();
        builder.mode(0o700).recursive(true).create(&self.0)?;
        builder.create(self.work())
    }

    pub(crate) fn remove(&self) -> io::Result<()> {
        fs::remove_dir_all(&self.0)
    }

    /// Removes what ends with the Job: its working folder and its mounted Secrets.
    pub(crate) fn remove_scratch(&self) {
        for folder in [self.mounts(), self.work()] {
            if let Err(error) = fs::remove_dir_all(&folder)
                && error.kind() != io::ErrorKind::NotFound
            {
                tracing::warn!(folder = %folder.display(), %error, "a folder of an ended Job could not be removed");
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

    /// Replaces the record; it is old or new, never half, also after the power failed.
    pub(crate) fn save(&self, record: &Record) -> io::Result<()> {
        let next = self.0.join("record.json.new");
        let mut file = private(OpenOptions::new().write(true).create(true).truncate(true)).open(&next)?;
        file.write_all(&serde_json::to_vec_pretty(record)?)?;
        file.sync_all()?;
        fs::rename(&next, self.record())?;
        File::open(&self.0)?.sync_all()
    }

    /// Notes that the Job is to end, so that it is not forgotten if this program ends first.
    pub(crate) fn mark_cancelled(&self) -> io::Result<()> {
        private(OpenOptions::new().write(true).create(true).truncate(true)).open(self.cancelled())?.sync_all()
    }

    pub(crate) fn is_cancelled(&self) -> bool {
        self.cancelled().exists()
    }
}

/// Makes new files readable for this user alone.
pub(crate) fn private(options: &mut OpenOptions) -> &mut OpenOptions {
    options.mode(0o600)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_comes_back_as_it_was_saved() {
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
            record.stage = Stage::Ended { cause, at: Timestamp::UNIX_EPOCH };
            folder.save(&record).unwrap();
            assert_eq!(folder.load().unwrap(), Some(record));
        }
    }

    #[test]
    fn a_damaged_record_is_an_error_not_an_absence() {
        let directory = tempfile::tempdir().unwrap();
        let folder = Folder::new(directory.path(), "job-1");
        folder.create().unwrap();
        fs::write(folder.record(), "{\"name\":").unwrap();
        assert!(folder.load().is_err());
    }
}
