//! Where the executor keeps its files: one folder per workspace, with the same path in every attempt.
//!
//! ```text
//! <TMPDIR>/ephemeral-agents/<organization>/<workspace>/               work directory, emptied at the start, gone at the end
//!                                          <workspace>.lock           held while an executor uses the work directory
//!                                          <workspace>.<attempt>.log  masked log that is not delivered yet
//!                                          <workspace>.<attempt>.tfstate   a state that nobody could be given
//! ```
//! The path is stable because plan files hold absolute paths of the plan step. Everything is readable by its owner alone.

use std::{
    fs::{self, DirBuilder, File, OpenOptions, TryLockError},
    io,
    os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
};

/// Why there is no place to work in.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PlacesError {
    #[error("could not prepare folder {path:?}")]
    Folder { path: PathBuf, source: io::Error },
    #[error("folder {path:?} belongs to another user; set TMPDIR to a folder of this user")]
    Foreign { path: PathBuf },
    #[error("work directory {path:?} is in use by another executor")]
    Busy { path: PathBuf },
}

/// The paths of one attempt.
#[derive(Debug, Clone)]
pub(crate) struct Places {
    organization: PathBuf,
    workspace: String,
    attempt: String,
}

impl Places {
    /// Makes the folders above the work directory. The ids must have been checked.
    pub(crate) fn prepare(
        temp: &Path,
        organization: &str,
        workspace: &str,
        attempt: &str,
    ) -> Result<Self, PlacesError> {
        let root = temp.join("ephemeral-agents");
        let organization = root.join(organization);
        for path in [&root, &organization] {
            private_folder(path)?;
        }
        Ok(Self { organization, workspace: workspace.to_owned(), attempt: attempt.to_owned() })
    }

    /// The work directory.
    pub(crate) fn work(&self) -> PathBuf {
        self.organization.join(&self.workspace)
    }

    /// The masked log of the attempt.
    pub(crate) fn log(&self) -> PathBuf {
        self.beside(&format!("{}.log", self.attempt))
    }

    /// Where a state is kept that could not be stored.
    pub(crate) fn kept_state(&self) -> PathBuf {
        self.beside(&format!("{}.tfstate", self.attempt))
    }

    fn beside(&self, suffix: &str) -> PathBuf {
        self.organization.join(format!("{}.{suffix}", self.workspace))
    }

    /// Takes the work directory for this process alone, and empties it.
    pub(crate) fn enter(&self) -> Result<WorkDir, PlacesError> {
        let path = self.work();
        let lock_path = self.beside("lock");
        let fail = |path: &Path, source| PlacesError::Folder { path: path.to_owned(), source };
        let lock = OpenOptions::new()
            .create(true)
            .write(true)
            .truncate(false)
            .mode(0o600)
            .open(&lock_path)
            .map_err(|source| fail(&lock_path, source))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(PlacesError::Busy { path }),
            Err(TryLockError::Error(source)) => return Err(fail(&lock_path, source)),
        }
        match fs::remove_dir_all(&path) {
            Err(source) if source.kind() != io::ErrorKind::NotFound => return Err(fail(&path, source)),
            _ => {}
        }
        private_folder(&path)?;
        Ok(WorkDir { path, lock })
    }
}

/// The work directory, taken. Dropping it removes the folder, then frees the lock.
#[derive(Debug)]
pub(crate) struct WorkDir {
    path: PathBuf,
    lock: File,
}

impl WorkDir {
    /// The folder itself.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Where the configuration is put.
    pub(crate) fn source(&self) -> PathBuf {
        self.path.join("source")
    }

    /// The plan file, of terraform or for terraform.
    pub(crate) fn plan_file(&self) -> PathBuf {
        self.path.join("plan")
    }

    /// Where a private key is put, by its name.
    pub(crate) fn key_file(&self, name: &str) -> PathBuf {
        self.path.join(format!("{name}.key"))
    }
}

impl Drop for WorkDir {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_dir_all(&self.path) {
            tracing::warn!(path = %self.path.display(), %error, "the work directory is not removed completely");
        }
        // A child that is just being started has a copy of the open file; closing ours alone would not free the lock.
        let _ = self.lock.unlock();
    }
}

/// Makes a folder that only this user can look into, or checks that an existing one is such a folder.
fn private_folder(path: &Path) -> Result<(), PlacesError> {
    let fail = |source| PlacesError::Folder { path: path.to_owned(), source };
    match DirBuilder::new().mode(0o700).create(path) {
        Err(source) if source.kind() != io::ErrorKind::AlreadyExists => return Err(fail(source)),
        _ => {}
    }
    let found = fs::symlink_metadata(path).map_err(fail)?;
    if !found.is_dir() || found.uid() != rustix::process::geteuid().as_raw() {
        return Err(PlacesError::Foreign { path: path.to_owned() });
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

    fn places(temp: &Path) -> Places {
        Places::prepare(temp, "org-1", "ws-1", "attempt-1").unwrap()
    }

    #[test]
    fn the_work_directory_is_private_empty_and_gone_afterwards() {
        let temp = tempfile::tempdir().unwrap();
        let places = places(temp.path());
        fs::create_dir(places.work()).unwrap();
        fs::write(places.work().join("rest"), "of a killed executor").unwrap();
        let dir = places.enter().unwrap();
        assert_eq!(fs::read_dir(places.work()).unwrap().count(), 0);
        assert_eq!(fs::metadata(places.work()).unwrap().mode() & 0o777, 0o700);
        fs::write(dir.plan_file(), "x").unwrap();
        drop(dir);
        assert!(!places.work().exists());
        assert_eq!(places.work(), temp.path().join("ephemeral-agents/org-1/ws-1"));
    }

    #[test]
    fn two_executors_never_share_a_work_directory() {
        let temp = tempfile::tempdir().unwrap();
        let places = places(temp.path());
        let first = places.enter().unwrap();
        fs::write(first.plan_file(), "mine").unwrap();
        let refused = places.enter().unwrap_err();
        assert!(refused.to_string().ends_with("is in use by another executor"), "{refused}");
        assert_eq!(fs::read_to_string(first.plan_file()).unwrap(), "mine");
        drop(first);
        places.enter().unwrap();
    }

    #[test]
    fn a_link_in_place_of_the_folder_is_refused() {
        let temp = tempfile::tempdir().unwrap();
        let elsewhere = tempfile::tempdir().unwrap();
        std::os::unix::fs::symlink(elsewhere.path(), temp.path().join("ephemeral-agents")).unwrap();
        let refused = Places::prepare(temp.path(), "o", "w", "a").unwrap_err();
        assert!(matches!(refused, PlacesError::Foreign { .. }), "{refused}");
    }
}
