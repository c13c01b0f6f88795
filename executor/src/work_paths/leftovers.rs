//! Removes what killed executors have left: work directories, with their plans and keys, and logs.
//!
//! Each executor removes that of all others which are dead; the locks show which ones live. States are never
//! removed: they may be the only copy.

use std::{
    fs::{self, File, TryLockError},
    io,
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use job_spec::executor_files::{ExecutorFiles, StartRecord};
use uuid::Uuid;

use super::{private_folder, write_private};
use crate::regular_file;

/// End of the name of a kept log.
const KEPT_LOG: &str = ".kept.log";

/// Part of the name of a work directory that is being removed.
const REMOVED: &str = ".removed-";

/// Number of files and folders that one executor looks at.
const MAX_ENTRIES: usize = 1000;

/// A log is locked right after it was created.
const MIN_AGE: Duration = Duration::from_mins(1);

/// How long the log of an attempt whose result could not be delivered is kept.
const KEPT_LOG_AGE: Duration = Duration::from_hours(7 * 24);

/// Writes the record of a start.
pub(super) fn record_start(work: &Path, attempt: &str, folder: &Path) -> io::Result<()> {
    let record = StartRecord { attempt: attempt.to_owned(), folder: folder.to_owned() };
    write_private(&work.join(StartRecord::FILE), &serde_json::to_vec(&record)?)
}

/// Removes what dead executors of this user have left under a folder for temporary files.
pub(crate) fn remove(temp: &Path) {
    let root = ExecutorFiles::root(temp);
    // Another user may have put the folder there.
    if let Err(error) = private_folder(&root).map_err(io::Error::other).and_then(|()| remove_in(&root)) {
        tracing::warn!(root = %root.display(), %error, "could not remove what killed executors have left");
    }
}

fn remove_in(root: &Path) -> io::Result<()> {
    let mut left = MAX_ENTRIES;
    for organization in fs::read_dir(root)? {
        let organization = organization?;
        if !organization.file_type()?.is_dir() {
            continue;
        }
        for entry in fs::read_dir(organization.path())? {
            left = match left.checked_sub(1) {
                Some(left) => left,
                None => return Ok(()),
            };
            let path = entry?.path();
            if let Err(error) = remove_one(&path) {
                let path = path.display();
                tracing::warn!(%path, %error, "could not remove what a killed executor has left");
            }
        }
    }
    Ok(())
}

/// Removes a file or folder if it belongs to a dead executor.
fn remove_one(path: &Path) -> io::Result<()> {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    if name.contains(REMOVED) {
        return none_is_fine(fs::remove_dir_all(path));
    }
    if let Some(workspace) = name.strip_suffix(".lock") {
        let folder = path.with_file_name(workspace);
        if !folder.is_dir() {
            return Ok(());
        }
        let Some(lock) = try_lock(path)? else { return Ok(()) };
        // Only the renaming happens under the lock, so that it disturbs no other executor for long.
        let aside = set_aside(&folder);
        lock.unlock()?;
        return match aside? {
            Some(aside) => none_is_fine(fs::remove_dir_all(aside)),
            None => Ok(()),
        };
    }
    if name.ends_with(".log") {
        let age = if name.ends_with(KEPT_LOG) { KEPT_LOG_AGE } else { MIN_AGE };
        let modified = fs::symlink_metadata(path)?.modified()?;
        let is_old = SystemTime::now().duration_since(modified).is_ok_and(|found| found >= age);
        if is_old && try_lock(path)?.is_some() {
            return none_is_fine(fs::remove_file(path));
        }
    }
    Ok(())
}

/// Locks a file; `None` if its executor lives, or has just removed it.
fn try_lock(path: &Path) -> io::Result<Option<File>> {
    let file = match File::options().write(true).open(path) {
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

/// Renames the work directory of a dead executor, so that it can be removed without its lock, and keeps the
/// state that terraform has left in it. The caller holds the lock.
pub(super) fn set_aside(folder: &Path) -> io::Result<Option<PathBuf>> {
    let name = folder.file_name().unwrap_or_default().to_string_lossy();
    let aside = folder.with_file_name(format!("{name}{REMOVED}{}", Uuid::new_v4()));
    match fs::rename(folder, &aside) {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    }
    if let Some((attempt, state)) = find_state(&aside) {
        let kept = folder.with_file_name(format!("{name}.{attempt}.tfstate"));
        fs::rename(&state, &kept)?;
        tracing::error!(
            state = %kept.display(),
            "a killed executor has left a state that terraform could not store; it is kept in this file"
        );
    }
    Ok(Some(aside))
}

/// Finds the state that terraform could not store and its executor did not live to store. Terraform has
/// started in a folder without such a file.
fn find_state(work: &Path) -> Option<(String, PathBuf)> {
    let record: StartRecord =
        serde_json::from_slice(&regular_file::read(&work.join(StartRecord::FILE), regular_file::SMALL).ok()?)
            .ok()?;
    let state = work.join(record.unsaved_state()?);
    fs::symlink_metadata(&state).is_ok_and(|found| found.is_file()).then_some((record.attempt, state))
}

fn none_is_fine(removed: io::Result<()>) -> io::Result<()> {
    match removed {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        removed => removed,
    }
}

#[cfg(test)]
mod tests {
    use job_spec::executor_files::ERRORED_STATE;

    use super::*;
    use crate::work_paths::WorkPaths;

    fn make_old(path: &Path, age: Duration) {
        File::options().write(true).open(path).unwrap().set_modified(SystemTime::now() - age).unwrap();
    }

    #[test]
    fn removes_what_dead_executors_have_left_and_nothing_else() {
        let temp = tempfile::tempdir().unwrap();
        let paths = |workspace| WorkPaths::prepare(temp.path(), "org", workspace, "attempt-1").unwrap();
        let (live, dead) = (paths("live"), paths("dead"));
        let live_dir = live.lock_work().unwrap();
        // As if it had been killed: the lock is free, the rest is there.
        drop(dead.lock_work().unwrap());
        let source = dead.work().join("source/live/dev");
        fs::create_dir_all(&source).unwrap();
        fs::write(dead.work().join("plan"), "secret").unwrap();
        record_start(&dead.work(), "attempt-1", Path::new("source/live/dev")).unwrap();
        fs::write(source.join(ERRORED_STATE), "the only copy").unwrap();
        let old = 2 * MIN_AGE;
        for (file, age) in [
            (live.log(), old),
            (dead.log(), old),
            (paths("new").log(), Duration::ZERO),
            (dead.kept_log(), old),
            (paths("ancient").kept_log(), 2 * KEPT_LOG_AGE),
            (paths("ancient").kept_state(), 2 * KEPT_LOG_AGE),
        ] {
            fs::write(&file, "x").unwrap();
            make_old(&file, age);
        }
        let live_log = File::options().write(true).open(live.log()).unwrap();
        live_log.try_lock().unwrap();
        fs::create_dir(dead.work().with_file_name("half.removed-1")).unwrap();

        remove(temp.path());
        let mut names: Vec<_> = fs::read_dir(temp.path().join("ephemeral-agents/org"))
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        let expected = [
            "ancient.attempt-1.tfstate",
            "dead.attempt-1.kept.log",
            "dead.attempt-1.tfstate",
            "dead.lock",
            "live",
            "live.attempt-1.log",
            "live.lock",
            "new.attempt-1.log",
        ];
        assert_eq!(names, expected);
        assert_eq!(fs::read_to_string(dead.kept_state()).unwrap(), "the only copy");
        drop(live_dir);
        dead.lock_work().unwrap();
    }
}
