//! The output file of a Job, which is also the proof that something of it still runs.
//!
//! Before a process is started, an exclusive lock is taken on the open file that becomes its standard output and standard
//! error. Such a lock belongs to the open file, not to a process: children inherit it with the file, and the system lets go
//! of it when the last of them has closed it or died. So "the lock can be taken" means "no process holds this output any
//! more", for grandchildren in other process groups too, and for a program that was started again after this one.
//!
//! A process that closes or redirects its output, standard output and standard error both, is out of reach of this.

use std::{
    fs::{File, OpenOptions},
    io::{self, Write as _},
    path::Path,
};

use rustix::fs::{FlockOperation, flock};

use super::record::private;

/// Opens the output for a process that is about to start, with the lock held.
///
/// # Errors
/// The file cannot be opened, or something holds it already.
pub(crate) fn open_locked(path: &Path) -> io::Result<File> {
    let file = private(OpenOptions::new().append(true).create(true)).open(path)?;
    flock(&file, FlockOperation::NonBlockingLockExclusive)?;
    Ok(file)
}

/// Tells whether no process holds the output any more.
pub(crate) fn is_free(path: &Path) -> io::Result<bool> {
    let file = match OpenOptions::new().append(true).open(path) {
        Ok(file) => file,
        // Never opened, so never given to a process.
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(true),
        Err(error) => return Err(error),
    };
    match flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => {
            // Said aloud, not left to the drop: a child that is being started right now has a copy of every open file
            // until it becomes another program, and would keep the lock for that long.
            flock(&file, FlockOperation::Unlock)?;
            Ok(true)
        }
        Err(rustix::io::Errno::WOULDBLOCK) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

/// Adds a line of the backend's own to the output.
pub(crate) fn note(mut output: &File, text: &str) -> io::Result<()> {
    output.write_all(format!("[local backend] {text}\n").as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_output_is_free_when_its_last_holder_lets_go() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("pod.log");
        assert!(is_free(&path).unwrap(), "a file that is not there is free");
        let first = open_locked(&path).unwrap();
        let second = first.try_clone().unwrap();
        assert!(open_locked(&path).is_err());
        drop(first);
        assert!(!is_free(&path).unwrap());
        drop(second);
        assert!(is_free(&path).unwrap());
        assert!(is_free(&path).unwrap(), "asking does not take it");
    }
}
