//! The directory of the local backend: locked by one program, and read for the Jobs of an earlier one.

use std::{
    fs::{self, File, OpenOptions},
    io,
    path::Path,
    time::Duration,
};

use jiff::Timestamp;
use rustix::fs::{FlockOperation, flock};

use super::{
    blocking::blocking,
    open_error::OpenError,
    output,
    record::{Folder, Record, Stage, StopReason, private},
};
use crate::{backend::Cause, identity};

/// Returns the error of a file or folder that cannot be used.
pub(super) fn unusable(path: &Path, source: io::Error) -> OpenError {
    OpenError::Unusable { path: path.to_owned(), source }
}

/// Locks the directory for this backend alone.
pub(super) async fn lock(directory: &Path) -> Result<File, OpenError> {
    // The name of a Job cannot start with a dot.
    let path = directory.join(".lock");
    let old = directory.join("lock");
    let (at, folder) = (path.clone(), directory.to_owned());
    let file = blocking(move || {
        fs::create_dir_all(folder)?;
        // Earlier versions locked this file; a Job of that name needs the place for its folder.
        if old.is_file() {
            fs::remove_file(old)?;
        }
        private(OpenOptions::new().write(true).create(true).truncate(false)).open(at)
    });
    let file = file.await.map_err(|source| unusable(&path, source))?;
    // The files of a program that was killed while it started a process are closed only when that process
    // runs.
    for _ in 0..40 {
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => return Ok(file),
            Err(rustix::io::Errno::WOULDBLOCK) => tokio::time::sleep(Duration::from_millis(50)).await,
            Err(error) => return Err(unusable(&path, error.into())),
        }
    }
    Err(OpenError::InUse(directory.to_owned()))
}

/// Reads the Jobs of an earlier program, and ends those of which no process runs.
pub(super) fn load(directory: &Path) -> io::Result<Vec<(Record, Folder)>> {
    let mut found = Vec::new();
    for item in fs::read_dir(directory)? {
        let item = item?;
        let name = item.file_name();
        let Some(name) = name.to_str().filter(|name| identity::is_job_name(name)) else { continue };
        if !item.file_type()?.is_dir() {
            continue;
        }
        let folder = Folder::new(directory, name);
        let mut record = match folder.load() {
            Ok(Some(record)) if record.stage != Stage::Accepted => record,
            // Its submit did not return, and nothing was started.
            Ok(_) => {
                folder.remove()?;
                continue;
            }
            Err(error) => {
                tracing::warn!(job = name, %error, "the record cannot be read; the name stays taken");
                Record::unreadable(name)
            }
        };
        if let Some(cause) = missed_end(&record, &folder)? {
            record.stage = Stage::Ended { cause: cause.into(), at: Timestamp::now() };
            folder.remove_scratch();
            folder.save(&record)?;
        } else if matches!(record.stage, Stage::Ended { .. }) {
            // Folders that could not be removed before may be removable now.
            folder.remove_scratch();
        }
        found.push((record, folder));
    }
    Ok(found)
}

/// Returns the cause of an end that no program saw; `None` if the Job runs, or if its end is known.
fn missed_end(record: &Record, folder: &Folder) -> io::Result<Option<Cause>> {
    let message = match record.stage {
        Stage::Ended { .. } => return Ok(None),
        Stage::Starting | Stage::Running if !output::is_free(&folder.output())? => return Ok(None),
        _ if record.stopping == Some(StopReason::DeadlineExceeded) => {
            return Ok(Some(Cause::DeadlineExceeded));
        }
        _ if folder.is_cancelled() => return Ok(Some(Cause::Deleted)),
        Stage::Accepted | Stage::Waiting => {
            let message = "the program ended before the process was started".to_owned();
            return Ok(Some(Cause::NotStarted { message }));
        }
        Stage::Starting => "the program ended while the process was being started",
        Stage::Running => "the process ended while the program that had started it was not running",
    };
    Ok(Some(Cause::Lost { message: message.to_owned() }))
}
