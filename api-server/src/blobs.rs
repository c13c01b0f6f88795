//! Plan files and states: encrypted files in one folder.
//!
//! A blob is written once under a new name, atomically, and encrypted in chunks: the memory that writing and
//! reading need does not depend on its size. The store knows which blob is current.

use std::{
    fs::{self, File},
    io::{self, Read as _, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
};

use futures::stream::{self, Stream};
use sha2::{Digest as _, Sha256};

use crate::{
    encryption::{
        EncryptionKey,
        chunks::{OpeningReader, SealingWriter},
    },
    token::hex,
};

/// A blob is read in pieces of at most this many bytes.
const PIECE_BYTES: usize = 64 * 1024;

/// An error of a blob.
#[derive(Debug, thiserror::Error)]
#[error("could not {action} blob {name:?}")]
pub struct BlobError {
    /// What failed.
    action: &'static str,
    /// Name of the blob.
    name: String,
    /// The error of the file system or of the decryption.
    #[source]
    source: io::Error,
}

/// A folder of encrypted files.
#[derive(Debug, Clone)]
pub struct Blobs {
    folder: PathBuf,
    secrets: EncryptionKey,
}

/// A blob that is completely written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredBlob {
    /// Its name.
    pub name: String,
    /// SHA-256 of its content in hexadecimal digits.
    pub digest: String,
    /// Its size in bytes.
    pub size: u64,
}

/// A blob that is being written. Dropping it discards it.
#[derive(Debug)]
pub struct BlobWriter {
    name: String,
    file: Option<BlobFile>,
}

/// A blob that code which blocks is writing. Dropping it discards it.
#[derive(Debug)]
pub struct BlobFile {
    name: String,
    writer: SealingWriter<File>,
    digest: Sha256,
    size: u64,
    temporary: Temporary,
    path: PathBuf,
}

/// A file that is removed when it is dropped; after a rename there is nothing to remove.
#[derive(Debug)]
struct Temporary(PathBuf);

impl Drop for Temporary {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

impl Blobs {
    /// Uses an existing folder.
    #[must_use]
    pub fn new(folder: &Path, secrets: EncryptionKey) -> Self {
        Self { folder: folder.into(), secrets }
    }

    /// Begins to write a blob. The caller builds `name` from ids, never from input of a client:
    /// `plans/<id>`, `states/<id>`.
    ///
    /// # Errors
    /// [`BlobError`] when the file cannot be created.
    pub async fn writer(&self, name: &str) -> Result<BlobWriter, BlobError> {
        let (blobs, context) = (self.clone(), name.to_owned());
        let file = in_background("create", name, move || blobs.create_blocking(&context)).await?;
        Ok(BlobWriter { name: name.to_owned(), file: Some(file) })
    }

    /// Begins to write a blob in code that blocks.
    ///
    /// # Errors
    /// The file cannot be created.
    pub fn create_blocking(&self, name: &str) -> io::Result<BlobFile> {
        let path = self.folder.join(name);
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent)?;
        }
        // Two writers of one name do not share a file.
        let temporary = path.with_extension(format!("{}.new", uuid::Uuid::new_v4()));
        let file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&temporary)?;
        let temporary = Temporary(temporary);
        let writer = SealingWriter::new(&self.secrets, name, file)?;
        Ok(BlobFile { name: name.to_owned(), writer, digest: Sha256::new(), size: 0, temporary, path })
    }

    /// Stores a blob that is in memory.
    ///
    /// # Errors
    /// [`BlobError`] when the file cannot be written.
    pub async fn put(&self, name: &str, content: Vec<u8>) -> Result<StoredBlob, BlobError> {
        let mut writer = self.writer(name).await?;
        writer.write(content).await?;
        writer.finish().await
    }

    /// Opens a blob for code that blocks.
    ///
    /// # Errors
    /// The file cannot be read or decrypted.
    pub fn open_blocking(&self, name: &str) -> io::Result<OpeningReader<File>> {
        OpeningReader::new(&self.secrets, name, File::open(self.folder.join(name))?)
    }

    /// Reads a blob in pieces. The first one is read at once, so that a blob that is missing or cannot be
    /// decrypted is an error here.
    ///
    /// # Errors
    /// [`BlobError`] when the file cannot be read or decrypted.
    pub async fn pieces(
        &self,
        name: &str,
    ) -> Result<impl Stream<Item = Result<Vec<u8>, BlobError>> + Send + use<>, BlobError> {
        let (blobs, context) = (self.clone(), name.to_owned());
        let reader = in_background("read", name, move || blobs.open_blocking(&context)).await?;
        let name = name.to_owned();
        let first = next_piece(&name, reader).await?;
        Ok(stream::try_unfold((name, Some(first)), |(name, next)| async move {
            let Some((piece, reader)) = next else { return Ok(None) };
            if piece.is_empty() {
                return Ok(None);
            }
            let next = next_piece(&name, reader).await?;
            Ok(Some((piece, (name, Some(next)))))
        }))
    }

    /// Reads a blob into memory.
    ///
    /// # Errors
    /// [`BlobError`] when the file cannot be read or decrypted.
    pub async fn get(&self, name: &str) -> Result<Vec<u8>, BlobError> {
        let (blobs, own_name) = (self.clone(), name.to_owned());
        in_background("read", name, move || {
            let mut content = Vec::new();
            blobs.open_blocking(&own_name)?.read_to_end(&mut content)?;
            Ok(content)
        })
        .await
    }

    /// Deletes a blob that no record names. A failure is logged; the file stays unused.
    pub async fn discard(&self, name: &str) {
        if let Err(error) = tokio::fs::remove_file(self.folder.join(name)).await {
            tracing::warn!(blob = name, %error, "could not delete an unused blob");
        }
    }
}

impl BlobWriter {
    /// Appends bytes.
    ///
    /// # Errors
    /// [`BlobError`] when the file cannot be written.
    pub async fn write(&mut self, bytes: impl AsRef<[u8]> + Send + 'static) -> Result<(), BlobError> {
        // A failed write leaves no file, so that nothing can be appended behind the gap.
        let file = self.file.take();
        let written = in_background("write", &self.name, move || {
            let mut file = file.ok_or(io::ErrorKind::BrokenPipe)?;
            file.write_all(bytes.as_ref())?;
            Ok(file)
        });
        self.file = Some(written.await?);
        Ok(())
    }

    /// Returns how many bytes are written.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.file.as_ref().map_or(0, |file| file.size)
    }

    /// Makes the blob permanent.
    ///
    /// # Errors
    /// [`BlobError`] when the file cannot be written.
    pub async fn finish(self) -> Result<StoredBlob, BlobError> {
        let Self { name, file } = self;
        in_background("write", &name, move || file.ok_or(io::ErrorKind::BrokenPipe)?.finish()).await
    }
}

impl BlobFile {
    /// Makes the blob permanent.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn finish(self) -> io::Result<StoredBlob> {
        let Self { name, writer, digest, size, temporary, path } = self;
        writer.finish()?.sync_all()?;
        fs::rename(&temporary.0, &path)?;
        if let Some(parent) = path.parent() {
            // The name survives a power failure too.
            File::open(parent)?.sync_all()?;
        }
        Ok(StoredBlob { name, digest: hex(&digest.finalize()), size })
    }
}

impl io::Write for BlobFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.writer.write(bytes)?;
        self.digest.update(&bytes[..written]);
        self.size += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.writer.flush()
    }
}

type Piece = (Vec<u8>, OpeningReader<File>);

async fn next_piece(name: &str, mut reader: OpeningReader<File>) -> Result<Piece, BlobError> {
    in_background("read", name, move || {
        let mut piece = Vec::new();
        reader.by_ref().take(PIECE_BYTES as u64).read_to_end(&mut piece)?;
        Ok((piece, reader))
    })
    .await
}

async fn in_background<T: Send + 'static>(
    action: &'static str,
    name: &str,
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> Result<T, BlobError> {
    let result = tokio::task::spawn_blocking(work).await.map_err(io::Error::other).flatten();
    result.map_err(|source| BlobError { action, name: name.to_owned(), source })
}

#[cfg(test)]
mod tests {
    use futures::TryStreamExt as _;

    use super::*;

    fn blobs() -> (tempfile::TempDir, Blobs) {
        let folder = tempfile::tempdir().unwrap();
        let blobs = Blobs::new(folder.path(), EncryptionKey::new([1; 32]));
        (folder, blobs)
    }

    #[tokio::test]
    async fn reads_back_a_blob_that_is_encrypted_on_disk() {
        let (folder, blobs) = blobs();
        let stored = blobs.put("states/a", b"top secret".to_vec()).await.unwrap();
        assert_eq!(stored.size, 10);
        assert_eq!(stored.digest, crate::token::digest_hex(b"top secret"));
        assert_eq!(blobs.get("states/a").await.unwrap(), b"top secret");
        let stored = fs::read(folder.path().join("states/a")).unwrap();
        assert!(!stored.windows(6).any(|window| window == b"secret"));
    }

    #[tokio::test]
    async fn reads_large_blob_in_pieces() {
        let (_folder, blobs) = blobs();
        let content: Vec<u8> = (0..300_000_u32).map(|index| index.to_le_bytes()[1]).collect();
        blobs.put("plans/a", content.clone()).await.unwrap();
        let pieces: Vec<Vec<u8>> = blobs.pieces("plans/a").await.unwrap().try_collect().await.unwrap();
        assert!(pieces.iter().all(|piece| piece.len() <= PIECE_BYTES));
        assert!(pieces.concat() == content);
        blobs.put("plans/empty", Vec::new()).await.unwrap();
        let none: Vec<Vec<u8>> = blobs.pieces("plans/empty").await.unwrap().try_collect().await.unwrap();
        assert!(none.is_empty());
    }

    #[tokio::test]
    async fn rejects_blob_under_another_name() {
        let (folder, blobs) = blobs();
        blobs.put("states/a", b"x".to_vec()).await.unwrap();
        fs::rename(folder.path().join("states/a"), folder.path().join("states/b")).unwrap();
        let error = blobs.get("states/b").await.unwrap_err();
        assert!(crate::services::chain(&error).contains("cannot decrypt states/b"), "{error}");
        assert!(blobs.pieces("states/b").await.is_err());
        assert!(blobs.pieces("states/missing").await.is_err());
    }

    #[tokio::test]
    async fn unfinished_blob_leaves_no_file() {
        let (folder, blobs) = blobs();
        let mut writer = blobs.writer("states/a").await.unwrap();
        writer.write(b"half".to_vec()).await.unwrap();
        assert_eq!(folder.path().join("states").read_dir().unwrap().count(), 1);
        drop(writer);
        assert_eq!(folder.path().join("states").read_dir().unwrap().count(), 0);
    }
}
