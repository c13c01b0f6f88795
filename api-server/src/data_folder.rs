//! The data folder: only its owner can read it. One server at a time uses it, or several replicas that share
//! a database.

use std::{
    fs,
    os::unix::fs::DirBuilderExt as _,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use anyhow::{Context as _, bail};

use crate::{cli::Backend, encryption::create_private_file};

const LOCK_RETRY_INTERVAL: Duration = Duration::from_millis(250);

/// Who may use the data folder at the same time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sharing {
    /// One server.
    Exclusive,
    /// All servers that open it like this.
    Replicas,
}

/// A locked data folder.
#[derive(Debug)]
pub(crate) struct DataFolder {
    root: PathBuf,
    _lock: fs::File,
}

impl DataFolder {
    /// Creates the folder if it is missing, and locks it.
    ///
    /// While another api-server holds the lock, tries again until the timeout of this backend.
    pub(crate) async fn open(root: &Path, backend: Backend, sharing: Sharing) -> anyhow::Result<Self> {
        Self::open_within(root, lock_timeout(backend), sharing).await
    }

    async fn open_within(root: &Path, timeout: Duration, sharing: Sharing) -> anyhow::Result<Self> {
        create_folder(root)?;
        let root = fs::canonicalize(root).with_context(|| format!("cannot use data folder {root:?}"))?;
        let lock = fs::File::create(root.join("lock"))
            .with_context(|| format!("cannot write to data folder {root:?}"))?;
        let deadline = Instant::now() + timeout;
        let mut is_logged = false;
        loop {
            let locked = match sharing {
                Sharing::Exclusive => lock.try_lock(),
                Sharing::Replicas => lock.try_lock_shared(),
            };
            match locked {
                Ok(()) => return Ok(Self { root, _lock: lock }),
                Err(fs::TryLockError::WouldBlock) if Instant::now() < deadline => {}
                Err(fs::TryLockError::WouldBlock) => bail!(
                    "another api-server uses data folder {root:?}; \
                     several need --database and --backend kubernetes"
                ),
                Err(fs::TryLockError::Error(error)) => {
                    return Err(error).with_context(|| format!("cannot lock data folder {root:?}"));
                }
            }
            if !std::mem::replace(&mut is_logged, true) {
                tracing::warn!(
                    path = ?root,
                    ?timeout,
                    "another api-server uses the data folder; waiting until it has stopped"
                );
            }
            tokio::time::sleep(LOCK_RETRY_INTERVAL).await;
        }
    }

    /// Returns the path of a file in the folder.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.root.join(name)
    }

    /// Returns the id of the folder, which is created with it.
    pub(crate) fn id(&self) -> anyhow::Result<String> {
        let path = self.path("data-folder-id");
        create_private_file(&path, uuid::Uuid::new_v4().to_string().as_bytes())
            .and_then(|_| fs::read_to_string(&path))
            .with_context(|| format!("cannot use {path:?}"))
    }

    /// Returns the path of a subfolder, which is created if it is missing.
    pub(crate) fn folder(&self, name: &str) -> anyhow::Result<PathBuf> {
        let path = self.path(name);
        create_folder(&path)?;
        Ok(path)
    }
}

/// In a cluster the pod of an earlier deployment may still be terminating: its grace period is 30 seconds. On
/// one machine the lock means a second server, which will not go away.
fn lock_timeout(backend: Backend) -> Duration {
    match backend {
        Backend::Kubernetes => Duration::from_mins(1),
        Backend::Local => Duration::ZERO,
    }
}

pub(crate) fn create_folder(path: &Path) -> anyhow::Result<()> {
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)
        .with_context(|| format!("cannot create folder {path:?}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn opens_the_folder_once_its_lock_is_released() {
        let folder = tempfile::tempdir().unwrap();
        let first = DataFolder::open(folder.path(), Backend::Local, Sharing::Exclusive).await.unwrap();
        let (second, ()) =
            tokio::join!(DataFolder::open(folder.path(), Backend::Kubernetes, Sharing::Exclusive), async {
                tokio::task::yield_now().await;
                drop(first);
            });
        assert_eq!(second.unwrap().root, fs::canonicalize(folder.path()).unwrap());
    }

    #[tokio::test]
    async fn refuses_a_locked_folder_after_the_timeout() {
        let folder = tempfile::tempdir().unwrap();
        let _first = DataFolder::open(folder.path(), Backend::Local, Sharing::Exclusive).await.unwrap();
        for (timeout, sharing) in
            [(Duration::ZERO, Sharing::Exclusive), (Duration::from_millis(10), Sharing::Replicas)]
        {
            let error =
                DataFolder::open_within(folder.path(), timeout, sharing).await.unwrap_err().to_string();
            assert!(error.contains("another api-server uses data folder"), "{error}");
        }
    }

    #[tokio::test]
    async fn replicas_share_a_folder_with_one_id() {
        let folder = tempfile::tempdir().unwrap();
        let open = |sharing| DataFolder::open_within(folder.path(), Duration::ZERO, sharing);
        let first = open(Sharing::Replicas).await.unwrap();
        let second = open(Sharing::Replicas).await.unwrap();
        assert_eq!(first.id().unwrap(), second.id().unwrap());
        assert!(open(Sharing::Exclusive).await.is_err());
    }
}
