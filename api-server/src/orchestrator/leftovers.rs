//! What a killed executor has left on this machine, where executors run as local processes: a state that
//! terraform could not store, the work directory, plan and log.
//!
//! The places are those of [`ExecutorFiles`]. Only the state that terraform left where its start is recorded
//! is taken: a repository may hold files of that name, too. Nothing is followed that could lead elsewhere: no
//! links out of the work directory, and only files of bounded size.

use std::{
    fs::{self, File, OpenOptions, TryLockError},
    io::{self, Read as _},
    os::unix::fs::OpenOptionsExt as _,
    path::Path,
};

use job_spec::executor_files::{ExecutorFiles, StartRecord, with_lineage};

use crate::{
    model::{Attempt, Job},
    services::{Services, chain},
};

/// A longer state is left where it is.
const MAX_STATE: u64 = 256 * 1024 * 1024;

/// A longer record of a start is none.
const MAX_RECORD: u64 = 64 * 1024;

/// Stores the unsaved state of an attempt whose executor has ended without a report, and removes what else it
/// has left. Failures are logged: the attempt ends all the same.
pub(super) async fn collect(services: &Services, job: &Job, attempt: &Attempt) {
    let Some(temp) = &services.executor_temp else { return };
    let files = ExecutorFiles::new(temp, &job.organization_id, &job.workspace_id, &attempt.id);
    let found = tokio::task::spawn_blocking({
        let files = files.clone();
        move || lock(&files).map(|lock| lock.map(|lock| (unsaved_state(&files), lock)))
    });
    let (state, locked) = match found.await.map_err(io::Error::other) {
        Ok(Ok(Some(found))) => found,
        // Another executor uses the work directory by now, or there is none.
        Ok(Ok(None)) => return,
        Ok(Err(error)) | Err(error) => {
            tracing::warn!(attempt = attempt.id, %error, "could not look for what an executor has left");
            return;
        }
    };
    match state {
        Ok(Some(state)) => {
            let state = with_lineage(&state, &attempt.id).unwrap_or(state);
            if let Err(error) = store(services, attempt, state).await {
                // The state stays where it is.
                tracing::error!(attempt = attempt.id, error, "could not keep an unsaved state");
                return;
            }
        }
        Ok(None) => {}
        Err(error) => {
            tracing::error!(attempt = attempt.id, %error, "could not read an unsaved state; it stays");
            return;
        }
    }
    let removed = tokio::task::spawn_blocking(move || {
        remove(&files);
        drop(locked);
    });
    if let Err(error) = removed.await {
        tracing::warn!(attempt = attempt.id, %error, "could not remove what an executor has left");
    }
}

async fn store(services: &Services, attempt: &Attempt, state: Vec<u8>) -> Result<(), String> {
    if attempt.has_rescued_state {
        return Ok(());
    }
    let name = format!("rescued/{}-{}", attempt.id, uuid::Uuid::new_v4());
    let blob = services.blobs.put(&name, state).await.map_err(|error| chain(&error))?;
    let stored = services.store.rescued_state_stored(&attempt.id, &blob.name).await;
    if !stored.map_err(|error| chain(&error))? {
        services.blobs.discard(&blob.name).await;
        return Err("the attempt has ended".to_owned());
    }
    tracing::warn!(attempt = attempt.id, "found the unsaved state of a killed executor");
    Ok(())
}

/// Locks the work directory; `None` if there is none, or if an executor uses it.
fn lock(files: &ExecutorFiles) -> io::Result<Option<File>> {
    let Some(file) = some(open(&files.lock()))? else { return Ok(None) };
    match file.try_lock() {
        Ok(()) => Ok(Some(file)),
        Err(TryLockError::WouldBlock) => Ok(None),
        Err(TryLockError::Error(error)) => Err(error),
    }
}

/// Reads the state that was not stored, if there is one.
fn unsaved_state(files: &ExecutorFiles) -> io::Result<Option<Vec<u8>>> {
    // What the executor itself could keep is newer than what terraform left.
    if let Some(state) = read(&files.kept_state(), MAX_STATE)? {
        return Ok(Some(state));
    }
    let Some(record) = read(&files.work().join(StartRecord::FILE), MAX_RECORD)? else { return Ok(None) };
    let record: StartRecord = serde_json::from_slice(&record)?;
    let Some(state) = record.unsaved_state().filter(|_| record.attempt == files.attempt()) else {
        return Ok(None);
    };
    let Some(path) = some(files.work().join(state).canonicalize())? else { return Ok(None) };
    // Code of the step may have replaced a folder by a link.
    if path.starts_with(files.work().canonicalize()?) { read(&path, MAX_STATE) } else { Ok(None) }
}

fn remove(files: &ExecutorFiles) {
    let work = files.work();
    let removed =
        [fs::remove_dir_all(&work), fs::remove_file(files.log()), fs::remove_file(files.kept_state())];
    for error in removed.into_iter().filter_map(Result::err) {
        if error.kind() != io::ErrorKind::NotFound {
            let work = work.display();
            tracing::warn!(%work, %error, "could not remove what an executor has left");
        }
    }
}

/// Reads a file of at most so many bytes; `None` if there is no file, or an empty one.
fn read(path: &Path, limit: u64) -> io::Result<Option<Vec<u8>>> {
    let Some(file) = some(open(path))? else { return Ok(None) };
    let metadata = file.metadata()?;
    if !metadata.is_file() || metadata.len() > limit {
        return Err(io::Error::other(format!("{} is no file of at most {limit} bytes", path.display())));
    }
    let mut content = Vec::new();
    file.take(limit).read_to_end(&mut content)?;
    Ok((!content.is_empty()).then_some(content))
}

/// Turns the error that there is no such file into `None`.
fn some<T>(result: io::Result<T>) -> io::Result<Option<T>> {
    match result {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        result => result.map(Some),
    }
}

fn open(path: &Path) -> io::Result<File> {
    // NONBLOCK: a FIFO must not stop the server.
    let flags = rustix::fs::OFlags::NOFOLLOW | rustix::fs::OFlags::NONBLOCK;
    OpenOptions::new().read(true).custom_flags(i32::try_from(flags.bits()).unwrap_or_default()).open(path)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use job_spec::executor_files::ERRORED_STATE;

    use super::*;

    /// The files of a killed executor whose terraform had started in `source/live`.
    fn files(temp: &Path) -> ExecutorFiles {
        let files = ExecutorFiles::new(temp, "org", "ws", "a");
        fs::create_dir_all(files.work().join("source/live")).unwrap();
        fs::write(files.lock(), "").unwrap();
        let record = StartRecord { attempt: "a".to_owned(), folder: "source/live".into() };
        fs::write(files.work().join(StartRecord::FILE), serde_json::to_vec(&record).unwrap()).unwrap();
        files
    }

    #[test]
    fn finds_unsaved_state_in_the_work_directory_and_removes_what_is_left() {
        let temp = tempfile::tempdir().unwrap();
        let files = files(temp.path());
        assert_eq!(unsaved_state(&files).unwrap(), None);
        fs::write(files.work().join("source/live").join(ERRORED_STATE), "{}").unwrap();
        fs::write(files.log(), "log").unwrap();
        assert_eq!(unsaved_state(&files).unwrap().as_deref(), Some(b"{}".as_slice()));
        // What the executor itself could keep is newer.
        fs::write(files.kept_state(), "{\"serial\":2}").unwrap();
        assert_eq!(unsaved_state(&files).unwrap().as_deref(), Some(b"{\"serial\":2}".as_slice()));
        remove(&files);
        assert!(!files.work().exists() && !files.log().exists() && !files.kept_state().exists());
        assert!(files.lock().exists(), "other executors lock this very file");
    }

    #[test]
    fn takes_no_file_of_the_source_for_a_state_of_the_run() {
        let temp = tempfile::tempdir().unwrap();
        let files = files(temp.path());
        fs::create_dir(files.work().join("source/modules")).unwrap();
        fs::write(files.work().join("source/modules").join(ERRORED_STATE), "of the repository").unwrap();
        fs::write(files.work().join("source").join(ERRORED_STATE), "of the repository").unwrap();
        assert_eq!(unsaved_state(&files).unwrap(), None);
        let other = ExecutorFiles::new(temp.path(), "org", "ws", "b");
        fs::write(files.work().join("source/live").join(ERRORED_STATE), "{}").unwrap();
        assert_eq!(unsaved_state(&other).unwrap(), None, "it is of attempt a");
        fs::remove_file(files.work().join(StartRecord::FILE)).unwrap();
        assert_eq!(unsaved_state(&files).unwrap(), None, "terraform had not started");
    }

    #[test]
    fn follows_no_link_out_of_the_work_directory() {
        let temp = tempfile::tempdir().unwrap();
        let files = files(temp.path());
        let secret = temp.path().join("secret");
        fs::create_dir(&secret).unwrap();
        fs::write(secret.join(ERRORED_STATE), "of another program").unwrap();
        let state = files.work().join("source/live").join(ERRORED_STATE);
        symlink(secret.join(ERRORED_STATE), &state).unwrap();
        assert_eq!(unsaved_state(&files).unwrap(), None);
        fs::remove_dir_all(files.work().join("source/live")).unwrap();
        symlink(&secret, files.work().join("source/live")).unwrap();
        assert_eq!(unsaved_state(&files).unwrap(), None);
        symlink(secret.join(ERRORED_STATE), files.kept_state()).unwrap();
        assert!(unsaved_state(&files).is_err());
    }

    #[test]
    fn leaves_a_work_directory_that_another_executor_uses() {
        let temp = tempfile::tempdir().unwrap();
        let files = files(temp.path());
        let held = File::open(files.lock()).unwrap();
        held.lock().unwrap();
        assert!(lock(&files).unwrap().is_none());
        drop(held);
        assert!(lock(&files).unwrap().is_some());
    }
}
