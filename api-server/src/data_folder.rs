//! The data folder: only its owner can read it, and one server at a time uses it.

use std::{
    fs,
    os::unix::fs::DirBuilderExt as _,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, bail};

/// A locked data folder.
#[derive(Debug)]
pub(crate) struct DataFolder {
    root: PathBuf,
    _lock: fs::File,
}

impl DataFolder {
    /// Creates the folder if it is missing, and locks it.
    pub(crate) fn open(root: &Path) -> anyhow::Result<Self> {
        create_folder(root)?;
        let root = fs::canonicalize(root).with_context(|| format!("cannot use data folder {root:?}"))?;
        let lock = fs::File::create(root.join("lock"))
            .with_context(|| format!("cannot write to data folder {root:?}"))?;
        match lock.try_lock() {
            Ok(()) => Ok(Self { root, _lock: lock }),
            Err(fs::TryLockError::WouldBlock) => bail!("another api-server uses data folder {root:?}"),
            Err(fs::TryLockError::Error(error)) => {
                Err(error).with_context(|| format!("cannot lock data folder {root:?}"))
            }
        }
    }

    /// Returns the path of a file in the folder.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.root.join(name)
    }

    /// Returns the path of a subfolder, which is created if it is missing.
    pub(crate) fn folder(&self, name: &str) -> anyhow::Result<PathBuf> {
        let path = self.path(name);
        create_folder(&path)?;
        Ok(path)
    }
}

pub(crate) fn create_folder(path: &Path) -> anyhow::Result<()> {
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)
        .with_context(|| format!("cannot create folder {path:?}"))
}
