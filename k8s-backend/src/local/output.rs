//! The output file of a Job, whose lock shows whether a process of the Job still runs.
//!
//! Before a process starts, the open file that becomes its standard output and standard error is locked
//! exclusively. Such a lock belongs to the open file, not to a process: children inherit it with the file,
//! and the system releases it when the last of them has closed the file or ended. So if the lock can be
//! taken, no process has this output open any more; that includes grandchildren in other process groups, and
//! works for a program that was started after this one.
//!
//! A process that closes or redirects both standard output and standard error is not found this way.

use std::{
    fs::{File, OpenOptions},
    io::{self, Write as _},
    path::Path,
};

use rustix::fs::{FlockOperation, flock};

use super::record::private;

/// Opens and locks the output for a process that is about to start.
///
/// # Errors
/// The file cannot be opened, or is locked already.
pub(crate) fn open_locked(path: &Path) -> io::Result<File> {
    let file = private(OpenOptions::new().append(true).create(true)).open(path)?;
    flock(&file, FlockOperation::NonBlockingLockExclusive)?;
    Ok(file)
}

/// Returns whether no process has the output open any more.
pub(crate) fn is_free(path: &Path) -> io::Result<bool> {
    let file = match OpenOptions::new().append(true).open(path) {
        Ok(file) => file,
        // No process was started.
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(true),
        Err(error) => return Err(error),
    };
    match flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => {
            // Not left to the drop: a child that is being started has a copy of every open file until it
            // executes its program, and would keep the lock until then.
            flock(&file, FlockOperation::Unlock)?;
            Ok(true)
        }
        Err(rustix::io::Errno::WOULDBLOCK) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

/// Adds a line of the backend to the output.
pub(crate) fn note(mut output: &File, text: &str) -> io::Result<()> {
    output.write_all(format!("[local backend] {text}\n").as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn output_is_free_when_its_last_holder_closes_it() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("pod.log");
        assert!(is_free(&path).unwrap(), "a missing file is free");
        let first = open_locked(&path).unwrap();
        let second = first.try_clone().unwrap();
        assert!(open_locked(&path).is_err());
        drop(first);
        assert!(!is_free(&path).unwrap());
        drop(second);
        assert!(is_free(&path).unwrap());
        assert!(is_free(&path).unwrap(), "the check does not keep the lock");
    }
}
