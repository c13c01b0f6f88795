//! The files and folders of the executor: one work directory per workspace, with the same path in every
//! attempt ([`ExecutorFiles`]).
//!
//! What a killed executor has left is removed by the next one that starts ([`leftovers`]).
//! The path is stable because plan files hold absolute paths of the plan step. Only the owner can read these
//! files.

pub(crate) mod leftovers;

use std::{
    any::Any,
    fs::{self, DirBuilder, File, OpenOptions, TryLockError},
    io,
    ops::Deref,
    os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
};

use job_spec::executor_files::ExecutorFiles;

/// Why the work directory cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum WorkPathsError {
    #[error("could not prepare folder {path:?}")]
    Folder { path: PathBuf, source: io::Error },
    #[error("folder {path:?} belongs to another user; set TMPDIR to a folder of this user")]
    Foreign { path: PathBuf },
    #[error("work directory {path:?} is in use by another executor")]
    Busy { path: PathBuf },
}

/// The paths of one attempt, whose folders exist.
#[derive(Debug, Clone)]
pub(crate) struct WorkPaths(ExecutorFiles);

impl Deref for WorkPaths {
    type Target = ExecutorFiles;

    fn deref(&self) -> &ExecutorFiles {
        &self.0
    }
}

impl WorkPaths {
    /// Creates the folders above the work directory. The ids must be valid (`check_id`).
    pub(crate) fn prepare(
        temp: &Path,
        organization: &str,
        workspace: &str,
        attempt: &str,
    ) -> Result<Self, WorkPathsError> {
        let files = ExecutorFiles::new(temp, organization, workspace, attempt);
        for path in [&ExecutorFiles::root(temp), files.organization()] {
            private_folder(path)?;
        }
        Ok(Self(files))
    }

    /// Locks the work directory for this process and empties it.
    pub(crate) fn lock_work(&self) -> Result<WorkDir, WorkPathsError> {
        let path = self.work();
        let lock_path = self.lock();
        let fail = |path: &Path, source| WorkPathsError::Folder { path: path.to_owned(), source };
        let lock = OpenOptions::new()
            .create(true)
            .write(true)
            .truncate(false)
            .mode(0o600)
            .open(&lock_path)
            .map_err(|source| fail(&lock_path, source))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(WorkPathsError::Busy { path }),
            Err(TryLockError::Error(source)) => return Err(fail(&lock_path, source)),
        }
        let removed = leftovers::set_aside(&path).and_then(|aside| match aside {
            Some(aside) => fs::remove_dir_all(aside),
            None => Ok(()),
        });
        removed.map_err(|source| fail(&path, source))?;
        private_folder(&path)?;
        Ok(WorkDir { kept: Mutex::default(), path, lock, attempt: self.attempt().to_owned() })
    }
}

/// The locked work directory. Dropping it removes the folder, then releases the lock.
#[derive(Debug)]
pub(crate) struct WorkDir {
    /// What is dropped together with the folder.
    kept: Mutex<Vec<Box<dyn Any + Send + Sync>>>,
    path: PathBuf,
    lock: File,
    attempt: String,
}

impl WorkDir {
    /// The folder itself.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// The folder for the configuration.
    pub(crate) fn source(&self) -> PathBuf {
        self.path.join("source")
    }

    /// A file that is sent or received: `source`, `files`.
    pub(crate) fn archive_file(&self, name: &str) -> PathBuf {
        self.path.join(format!("{name}.tar.gz"))
    }

    /// The plan file: output of a plan, input of an apply.
    pub(crate) fn plan_file(&self) -> PathBuf {
        self.path.join("plan")
    }

    /// Records that terraform is about to change infrastructure from this folder: if both are killed, the
    /// next executor looks there for a state.
    pub(crate) fn record_start(&self, folder: &Path) -> io::Result<()> {
        let path = self.path.canonicalize()?;
        let inside = folder.strip_prefix(path).map_err(io::Error::other)?;
        leftovers::record_start(&self.path, &self.attempt, inside)
    }

    /// Keeps a value as long as the folder.
    pub(crate) fn keep(&self, value: impl Any + Send + Sync) {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner).push(Box::new(value));
    }

    /// The file of the certificates that children trust.
    pub(crate) fn authorities(&self) -> PathBuf {
        self.path.join("authorities.pem")
    }

    /// The folder for the plugin cache of this step, if the shared one cannot be written.
    pub(crate) fn plugin_cache(&self) -> PathBuf {
        self.path.join("plugin-cache")
    }

    /// The file for the private key of this name.
    pub(crate) fn key_file(&self, name: &str) -> PathBuf {
        self.path.join(format!("{name}.key"))
    }
}

impl Drop for WorkDir {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_dir_all(&self.path) {
            tracing::warn!(path = %self.path.display(), %error, "could not remove the work directory");
        }
        // A child process that is just starting has a copy of the open file; closing ours would not release
        // the lock.
        let _ = self.lock.unlock();
    }
}

/// Creates a folder that only this user can read, or checks that an existing one is such a folder.
fn private_folder(path: &Path) -> Result<(), WorkPathsError> {
    let fail = |source| WorkPathsError::Folder { path: path.to_owned(), source };
    match DirBuilder::new().mode(0o700).create(path) {
        Err(source) if source.kind() != io::ErrorKind::AlreadyExists => return Err(fail(source)),
        _ => {}
    }
    let found = fs::symlink_metadata(path).map_err(fail)?;
    if !found.is_dir() || found.uid() != rustix::process::geteuid().as_raw() {
        return Err(WorkPathsError::Foreign { path: path.to_owned() });
    }
    if found.mode() & 0o777 != 0o700 {
        fs::set_permissions(path, fs::Permissions::from_mode(0o700)).map_err(fail)?;
    }
    Ok(())
}

/// Writes a file that only this user can read.
pub(crate) fn write_private(path: &Path, bytes: &[u8]) -> io::Result<()> {
    use io::Write as _;
    OpenOptions::new().create(true).write(true).truncate(true).mode(0o600).open(path)?.write_all(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn paths(temp: &Path) -> WorkPaths {
        WorkPaths::prepare(temp, "org-1", "ws-1", "attempt-1").unwrap()
    }

    #[test]
    fn work_directory_is_private_and_empty_and_removed_on_drop() {
        let temp = tempfile::tempdir().unwrap();
        let paths = paths(temp.path());
        fs::create_dir(paths.work()).unwrap();
        fs::write(paths.work().join("rest"), "left by a killed executor").unwrap();
        let dir = paths.lock_work().unwrap();
        assert_eq!(fs::read_dir(paths.work()).unwrap().count(), 0);
        assert_eq!(fs::metadata(paths.work()).unwrap().mode() & 0o777, 0o700);
        fs::write(dir.plan_file(), "x").unwrap();
        drop(dir);
        assert!(!paths.work().exists());
        assert_eq!(paths.work(), temp.path().join("ephemeral-agents/org-1/ws-1"));
    }

    #[test]
    fn rejects_second_executor_in_the_same_work_directory() {
        let temp = tempfile::tempdir().unwrap();
        let paths = paths(temp.path());
        let first = paths.lock_work().unwrap();
        fs::write(first.plan_file(), "mine").unwrap();
        let refused = paths.lock_work().unwrap_err();
        assert!(refused.to_string().ends_with("is in use by another executor"), "{refused}");
        assert_eq!(fs::read_to_string(first.plan_file()).unwrap(), "mine");
        drop(first);
        paths.lock_work().unwrap();
    }

    #[test]
    fn rejects_symlink_in_place_of_the_folder() {
        let temp = tempfile::tempdir().unwrap();
        let elsewhere = tempfile::tempdir().unwrap();
        std::os::unix::fs::symlink(elsewhere.path(), temp.path().join("ephemeral-agents")).unwrap();
        let refused = WorkPaths::prepare(temp.path(), "o", "w", "a").unwrap_err();
        assert!(matches!(refused, WorkPathsError::Foreign { .. }), "{refused}");
    }
}
