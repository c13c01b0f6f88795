//! Plan files and states: encrypted files in one folder.
//!
//! A blob is written once under a fresh name and appears whole or not at all. Which blob is current is the store's business.

use std::{
    io,
    path::{Path, PathBuf},
};

use crate::encryption::{EncryptionKey, OpenError, write_private_file};

/// What cannot be done with a blob.
#[derive(Debug, thiserror::Error)]
pub enum BlobError {
    /// The file system refused.
    #[error("could not {action} blob {name:?}")]
    Io {
        /// What was tried.
        action: &'static str,
        /// Name of the blob.
        name: String,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// The blob does not open.
    #[error(transparent)]
    Sealed(#[from] OpenError),
}

/// A folder of encrypted files.
#[derive(Debug, Clone)]
pub struct Blobs {
    folder: PathBuf,
    secrets: EncryptionKey,
}

impl Blobs {
    /// Uses a folder, which exists.
    #[must_use]
    pub fn new(folder: &Path, secrets: EncryptionKey) -> Self {
        Self { folder: folder.into(), secrets }
    }

    /// Stores a blob. `name` is made of ids by the caller, never by a client: `plans/<id>`, `states/<id>`.
    ///
    /// # Errors
    /// [`BlobError::Io`] when the file cannot be written.
    pub async fn put(&self, name: &str, content: Vec<u8>) -> Result<(), BlobError> {
        let path = self.folder.join(name);
        let sealed_name = name.to_owned();
        let secrets = self.secrets.clone();
        in_background(move || {
            if let Some(parent) = path.parent() {
                std::fs::create_dir_all(parent)?;
            }
            write_private_file(&path, &secrets.seal(&sealed_name, &content))
        })
        .await
        .map_err(|source| BlobError::Io { action: "write", name: name.to_owned(), source })
    }

    /// Reads a blob.
    ///
    /// # Errors
    /// [`BlobError`] when the file cannot be read or does not open.
    pub async fn get(&self, name: &str) -> Result<Vec<u8>, BlobError> {
        let sealed = tokio::fs::read(self.folder.join(name)).await.map_err(|source| BlobError::Io {
            action: "read",
            name: name.to_owned(),
            source,
        })?;
        Ok(self.secrets.open(name, &sealed)?)
    }

    /// Deletes a blob that no record names; a failure leaves a file that nobody reads.
    pub async fn discard(&self, name: &str) {
        if let Err(error) = tokio::fs::remove_file(self.folder.join(name)).await {
            tracing::warn!(blob = name, %error, "could not delete an unused blob");
        }
    }
}

async fn in_background(work: impl FnOnce() -> io::Result<()> + Send + 'static) -> io::Result<()> {
    tokio::task::spawn_blocking(work).await.map_err(io::Error::other)?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_blob_is_read_back_and_is_not_clear_on_disk() {
        let folder = tempfile::tempdir().unwrap();
        let blobs = Blobs::new(folder.path(), EncryptionKey::new([1; 32]));
        blobs.put("states/a", b"top secret".to_vec()).await.unwrap();
        assert_eq!(blobs.get("states/a").await.unwrap(), b"top secret");
        let stored = std::fs::read(folder.path().join("states/a")).unwrap();
        assert!(!stored.windows(6).any(|window| window == b"secret"));
    }

    #[tokio::test]
    async fn a_blob_that_was_moved_does_not_open() {
        let folder = tempfile::tempdir().unwrap();
        let blobs = Blobs::new(folder.path(), EncryptionKey::new([1; 32]));
        blobs.put("states/a", b"x".to_vec()).await.unwrap();
        std::fs::rename(folder.path().join("states/a"), folder.path().join("states/b")).unwrap();
        assert!(matches!(blobs.get("states/b").await, Err(BlobError::Sealed(_))));
    }
}
