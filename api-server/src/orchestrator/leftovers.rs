//! What a killed executor has left on this machine, where executors run as local processes: a state that
//! terraform could not store, the work directory, plan and log.
//!
//! The places are those that the executor documents (`executor/src/work_paths.rs`). What is found is the
//! executor's, so nothing is followed that could lead elsewhere: no links, and only files of bounded size.

use std::{
    fs::{self, File, OpenOptions, TryLockError},
    io::{self, Read as _},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
};

use crate::{
    model::{Attempt, Job},
    services::{Services, chain},
};

/// Terraform's file for a state that it could not store.
const ERRORED_STATE: &str = "errored.tfstate";

/// How deep a root module may be in a repository.
const MAX_DEPTH: usize = 32;

/// A longer state is left where it is.
const MAX_STATE: u64 = 256 * 1024 * 1024;

/// Stores the unsaved state of an attempt whose executor has ended without a report, and removes what else it
/// has left. Failures are logged: the attempt ends all the same.
pub(super) async fn collect(services: &Services, job: &Job, attempt: &Attempt) {
    let Some(temp) = &services.executor_temp else { return };
    let places = Places::new(temp, job, attempt);
    let found = tokio::task::spawn_blocking({
        let places = places.clone();
        move || places.lock().map(|lock| lock.map(|lock| (places.unsaved_state(), lock)))
    });
    let (state, lock) = match found.await.map_err(io::Error::other) {
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
        places.remove();
        drop(lock);
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

/// The files and folders of one attempt.
#[derive(Debug, Clone)]
struct Places {
    work: PathBuf,
    lock: PathBuf,
    log: PathBuf,
    kept_state: PathBuf,
}

impl Places {
    fn new(temp: &Path, job: &Job, attempt: &Attempt) -> Self {
        let organization = temp.join("ephemeral-agents").join(&job.organization_id);
        let sibling = |suffix: &str| organization.join(format!("{}.{suffix}", job.workspace_id));
        Self {
            work: organization.join(&job.workspace_id),
            lock: sibling("lock"),
            log: sibling(&format!("{}.log", attempt.id)),
            kept_state: sibling(&format!("{}.tfstate", attempt.id)),
        }
    }

    /// Locks the work directory; `None` if there is none, or if an executor uses it.
    fn lock(&self) -> io::Result<Option<File>> {
        let file = match open(&self.lock) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        match file.try_lock() {
            Ok(()) => Ok(Some(file)),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => Err(error),
        }
    }

    /// Reads the state that was not stored, if there is one.
    fn unsaved_state(&self) -> io::Result<Option<Vec<u8>>> {
        if let Some(state) = read(&self.kept_state)? {
            return Ok(Some(state));
        }
        match find(&self.work, MAX_DEPTH)? {
            Some(path) => read(&path),
            None => Ok(None),
        }
    }

    fn remove(&self) {
        let removed =
            [fs::remove_dir_all(&self.work), fs::remove_file(&self.log), fs::remove_file(&self.kept_state)];
        for error in removed.into_iter().filter_map(Result::err) {
            if error.kind() != io::ErrorKind::NotFound {
                tracing::warn!(folder = %self.work.display(), %error, "could not \
                    remove what an executor has left");
            }
        }
    }
}

/// Finds terraform's file below a folder, without following links.
fn find(folder: &Path, depth: usize) -> io::Result<Option<PathBuf>> {
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let mut folders = Vec::new();
    for entry in entries {
        let entry = entry?;
        let kind = entry.file_type()?;
        let name = entry.file_name();
        if kind.is_file() && name == ERRORED_STATE {
            return Ok(Some(entry.path()));
        }
        if kind.is_dir() && name != ".terraform" && name != ".git" {
            folders.push(entry.path());
        }
    }
    if depth == 0 {
        return Ok(None);
    }
    for folder in folders {
        if let Some(found) = find(&folder, depth - 1)? {
            return Ok(Some(found));
        }
    }
    Ok(None)
}

/// Reads a state; `None` if there is no file, or an empty one.
fn read(path: &Path) -> io::Result<Option<Vec<u8>>> {
    let file = match open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let metadata = file.metadata()?;
    if !metadata.is_file() || metadata.len() > MAX_STATE {
        return Err(io::Error::other(format!("{} is no file of at most {MAX_STATE} bytes", path.display())));
    }
    let mut state = Vec::new();
    file.take(MAX_STATE).read_to_end(&mut state)?;
    Ok((!state.is_empty()).then_some(state))
}

fn open(path: &Path) -> io::Result<File> {
    // NONBLOCK: a FIFO must not stop the server.
    let flags = rustix::fs::OFlags::NOFOLLOW | rustix::fs::OFlags::NONBLOCK;
    OpenOptions::new().read(true).custom_flags(i32::try_from(flags.bits()).unwrap_or_default()).open(path)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    fn places(temp: &Path) -> Places {
        let organization = temp.join("ephemeral-agents/org");
        fs::create_dir_all(organization.join("ws/modules/root")).unwrap();
        fs::write(organization.join("ws.lock"), "").unwrap();
        Places {
            work: organization.join("ws"),
            lock: organization.join("ws.lock"),
            log: organization.join("ws.a.log"),
            kept_state: organization.join("ws.a.tfstate"),
        }
    }

    #[test]
    fn finds_unsaved_state_in_the_work_directory_and_removes_what_is_left() {
        let temp = tempfile::tempdir().unwrap();
        let places = places(temp.path());
        assert_eq!(places.unsaved_state().unwrap(), None);
        fs::write(places.work.join("modules/root").join(ERRORED_STATE), "{}").unwrap();
        fs::write(&places.log, "log").unwrap();
        assert_eq!(places.unsaved_state().unwrap().as_deref(), Some(b"{}".as_slice()));
        // What the executor itself could keep is newer.
        fs::write(&places.kept_state, "{\"serial\":2}").unwrap();
        assert_eq!(places.unsaved_state().unwrap().as_deref(), Some(b"{\"serial\":2}".as_slice()));
        places.remove();
        assert!(!places.work.exists() && !places.log.exists() && !places.kept_state.exists());
        assert!(places.lock.exists(), "other executors lock this very file");
    }

    #[test]
    fn follows_no_link_out_of_the_work_directory() {
        let temp = tempfile::tempdir().unwrap();
        let places = places(temp.path());
        let secret = temp.path().join("secret");
        fs::create_dir(&secret).unwrap();
        fs::write(secret.join(ERRORED_STATE), "of another program").unwrap();
        symlink(&secret, places.work.join("linked")).unwrap();
        symlink(secret.join(ERRORED_STATE), places.work.join(ERRORED_STATE)).unwrap();
        assert_eq!(places.unsaved_state().unwrap(), None);
        symlink(secret.join(ERRORED_STATE), &places.kept_state).unwrap();
        assert!(places.unsaved_state().is_err());
    }

    #[test]
    fn leaves_a_work_directory_that_another_executor_uses() {
        let temp = tempfile::tempdir().unwrap();
        let places = places(temp.path());
        let held = File::open(&places.lock).unwrap();
        held.lock().unwrap();
        assert!(places.lock().unwrap().is_none());
        drop(held);
        assert!(places.lock().unwrap().is_some());
    }
}
