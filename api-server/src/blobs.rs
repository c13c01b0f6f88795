//! Plan files and states: encrypted files in one folder.
//!
//! A blob is written once under a new name, atomically. The store knows which blob is current.

use std::{
    io,
    path::{Path, PathBuf},
};

use crate::encryption::{EncryptionKey, OpenError, write_private_file};

/// An error of a blob.
#[derive(Debug, thiserror::Error)]
pub enum BlobError {
    /// The file system failed.
    #[error("could not {action} blob {name:?}")]
    Io {
        /// What failed.
        action: &'static str,
        /// Name of the blob.
        name: String,
        /// The error of the system.
        #[source]
        source: io::Error,
    },
    /// The blob cannot be decrypted.
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
    /// Uses an existing folder.
    #[must_use]
    pub fn new(folder: &Path, secrets: EncryptionKey) -> Self {
        Self { folder: folder.into(), secrets }
    }

    /// Stores a blob. The caller builds `name` from ids, never from input of a client: `plans/<id>`,
    /// `states/<id>`.
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
    /// [`BlobError`] when the file cannot be read or decrypted.
    pub async fn get(&self, name: &str) -> Result<Vec<u8>, BlobError> {
        let sealed = tokio::fs::read(self.folder.join(name)).await.map_err(|source| BlobError::Io {
            action: "read",
            name: name.to_owned(),
            source,
        })?;
        Ok(self.secrets.open(name, &sealed)?)
    }

    /// Deletes a blob that no record names. A failure is logged; the file stays unused.
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
    async fn reads_back_a_blob_that_is_encrypted_on_disk() {
        let folder = tempfile::tempdir().unwrap();
        let blobs = Blobs::new(folder.path(), EncryptionKey::new([1; 32]));
        blobs.put("states/a", b"top secret".to_vec()).await.unwrap();
        assert_eq!(blobs.get("states/a").await.unwrap(), b"top secret");
        let stored = std::fs::read(folder.path().join("states/a")).unwrap();
        assert!(!stored.windows(6).any(|window| window == b"secret"));
    }

    #[tokio::test]
    async fn rejects_blob_under_another_name() {
        let folder = tempfile::tempdir().unwrap();
        let blobs = Blobs::new(folder.path(), EncryptionKey::new([1; 32]));
        blobs.put("states/a", b"x".to_vec()).await.unwrap();
        std::fs::rename(folder.path().join("states/a"), folder.path().join("states/b")).unwrap();
        assert!(matches!(blobs.get("states/b").await, Err(BlobError::Sealed(_))));
    }
}
