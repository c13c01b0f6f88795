//! The logs of attempts: one file each, appended by byte offset and followed live.
//!
//! Bytes are written at their offset, and the bytes of an offset never differ: so replicas can append to the
//! same file without a lock, which one that is stopped would keep from the others.
//!
//! The executor masks secrets before it sends a line, so the files are not encrypted. The store knows whether
//! a log has ended.

use std::{
    collections::hash_map::DefaultHasher,
    hash::{Hash as _, Hasher as _},
    io::{self, SeekFrom},
    path::{Path, PathBuf},
    sync::Arc,
};

use tokio::{
    fs::{self, File, OpenOptions},
    io::{AsyncReadExt as _, AsyncSeekExt as _, AsyncWriteExt as _},
    sync::{Mutex, OwnedSemaphorePermit, Semaphore, watch},
};

use crate::limits::FOLLOWERS;

/// Followers get a log in pieces of at most this many bytes. Each of them may keep a few in memory.
pub const PIECE: usize = 16 * 1024;

/// How many logs can be appended at the same time.
const SHARDS: usize = 64;

/// Outcome of an append.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Appended {
    /// The bytes are stored; the log now has this length.
    Stored(u64),
    /// The offset is wrong: the log has this length.
    WrongOffset(u64),
}

/// A folder of logs; clones share it.
#[derive(Debug, Clone)]
pub struct Logs {
    folder: PathBuf,
    locks: Arc<[Mutex<()>; SHARDS]>,
    changed: watch::Sender<()>,
    followers: Arc<Semaphore>,
}

impl Logs {
    /// Uses an existing folder.
    #[must_use]
    pub fn new(folder: &Path) -> Self {
        Self {
            folder: folder.into(),
            locks: Arc::new(std::array::from_fn(|_| Mutex::new(()))),
            changed: watch::Sender::new(()),
            followers: Arc::new(Semaphore::new(FOLLOWERS)),
        }
    }

    /// Appends bytes at `offset`. Bytes that are already stored are skipped, so that a sender can repeat a
    /// request whose answer was lost.
    ///
    /// # Errors
    /// The file system failed.
    pub async fn append(&self, name: &str, offset: u64, bytes: &[u8]) -> io::Result<Appended> {
        let _guard = self.lock(name).lock().await;
        let mut file =
            OpenOptions::new().create(true).write(true).truncate(false).open(self.path(name)).await?;
        let length = file.metadata().await?.len();
        let known = match length.checked_sub(offset) {
            Some(known) if known <= bytes.len() as u64 => usize::try_from(known).unwrap_or(usize::MAX),
            _ => return Ok(Appended::WrongOffset(length)),
        };
        file.seek(SeekFrom::Start(length)).await?;
        file.write_all(&bytes[known..]).await?;
        file.flush().await?;
        self.notify();
        Ok(Appended::Stored(offset + bytes.len() as u64))
    }

    /// Reads a piece from `offset`; empty at the end of the log.
    ///
    /// # Errors
    /// The file system failed. A log that was never written is empty.
    pub async fn read(&self, name: &str, offset: u64) -> io::Result<Vec<u8>> {
        let mut piece = Vec::new();
        if let Some(mut file) = self.open(name).await? {
            file.seek(SeekFrom::Start(offset)).await?;
            file.take(PIECE as u64).read_to_end(&mut piece).await?;
        }
        Ok(piece)
    }

    /// Returns the length of a log in bytes.
    ///
    /// # Errors
    /// The file system failed.
    pub async fn length(&self, name: &str) -> io::Result<u64> {
        Ok(match self.open(name).await? {
            Some(file) => file.metadata().await?.len(),
            None => 0,
        })
    }

    /// Returns the length of a log that no executor may append to any more, which stays the same from then
    /// on: a request that was under way may still add bytes, but these are not part of the log.
    ///
    /// # Errors
    /// The file system failed.
    pub async fn seal(&self, name: &str) -> io::Result<u64> {
        let seal = self.folder.join(format!("{name}.end"));
        if let Some(length) = read_seal(&seal).await? {
            return Ok(length);
        }
        let length = self.length(name).await?;
        // Another replica may do the same. The first link is kept.
        let new = self.folder.join(format!("{name}.{}.new", uuid::Uuid::new_v4()));
        fs::write(&new, length.to_string()).await?;
        let linked = fs::hard_link(&new, &seal).await;
        fs::remove_file(&new).await?;
        match linked {
            Ok(()) => Ok(length),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                read_seal(&seal).await?.ok_or_else(|| io::Error::other("the end of a log has vanished"))
            }
            Err(error) => Err(error),
        }
    }

    /// Notifies all followers: a log has grown or has ended.
    pub fn notify(&self) {
        self.changed.send_replace(());
    }

    /// Returns a receiver that is notified of changes from now on.
    #[must_use]
    pub fn changes(&self) -> watch::Receiver<()> {
        self.changed.subscribe()
    }

    /// Returns a place among the followers, as long as there is one.
    #[must_use]
    pub fn follower(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.followers).try_acquire_owned().ok()
    }

    async fn open(&self, name: &str) -> io::Result<Option<File>> {
        match fs::File::open(self.path(name)).await {
            Ok(file) => Ok(Some(file)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.join(format!("{name}.log"))
    }

    fn lock(&self, name: &str) -> &Mutex<()> {
        let mut hasher = DefaultHasher::new();
        name.hash(&mut hasher);
        let shard = usize::try_from(hasher.finish() % SHARDS as u64).unwrap_or_default();
        &self.locks[shard]
    }
}

/// Reads the length of a sealed log; `None` if it is not sealed.
async fn read_seal(path: &Path) -> io::Result<Option<u64>> {
    match fs::read_to_string(path).await {
        Ok(text) => text.parse().map(Some).map_err(io::Error::other),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Shortens a piece of a log to whole lines, or to whole characters if it holds no line.
#[must_use]
pub fn whole_text(piece: &[u8]) -> &[u8] {
    if let Some(line) = piece.iter().rposition(|byte| *byte == b'\n') {
        return &piece[..=line];
    }
    match std::str::from_utf8(piece) {
        // Only an incomplete last character is cut off; bytes that are not UTF-8 stay.
        Err(error) if error.error_len().is_none() => &piece[..error.valid_up_to()],
        _ => piece,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn stores_repeated_append_once() {
        let folder = tempfile::tempdir().unwrap();
        let logs = Logs::new(folder.path());
        assert_eq!(logs.append("a", 0, b"hello ").await.unwrap(), Appended::Stored(6));
        assert_eq!(logs.append("a", 0, b"hello world").await.unwrap(), Appended::Stored(11));
        assert_eq!(logs.append("a", 6, b"world").await.unwrap(), Appended::Stored(11));
        assert_eq!(logs.read("a", 0).await.unwrap(), b"hello world");
    }

    #[tokio::test]
    async fn rejects_append_at_wrong_offset_with_the_length() {
        let folder = tempfile::tempdir().unwrap();
        let logs = Logs::new(folder.path());
        logs.append("a", 0, b"12345").await.unwrap();
        assert_eq!(logs.append("a", 9, b"x").await.unwrap(), Appended::WrongOffset(5));
        assert_eq!(logs.append("a", 0, b"12").await.unwrap(), Appended::WrongOffset(5));
        assert_eq!(logs.read("a", 3).await.unwrap(), b"45");
    }

    #[tokio::test]
    async fn sealed_log_stays_as_it_is() {
        let folder = tempfile::tempdir().unwrap();
        let replicas = [Logs::new(folder.path()), Logs::new(folder.path())];
        replicas[0].append("a", 0, b"12345").await.unwrap();
        let (one, two) = tokio::join!(replicas[0].seal("a"), replicas[1].seal("a"));
        assert_eq!((one.unwrap(), two.unwrap()), (5, 5));
        replicas[1].append("a", 5, b"late").await.unwrap();
        assert_eq!(replicas[0].seal("a").await.unwrap(), 5);
        assert_eq!(replicas[1].seal("never written").await.unwrap(), 0);
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 3);
    }

    #[tokio::test]
    async fn replicas_append_to_the_same_log() {
        let folder = tempfile::tempdir().unwrap();
        let replicas = [Logs::new(folder.path()), Logs::new(folder.path())];
        // The sender repeats requests at the other replica while the first one may still work on them.
        let text: Vec<u8> = (0..100_000_u32).flat_map(u32::to_be_bytes).collect();
        let sends = (0..text.len()).step_by(20_000).flat_map(|offset| [(offset, 0), (offset, 1)]);
        for (offset, replica) in sends {
            let piece = &text[offset..text.len().min(offset + 50_000)];
            let other = &replicas[1 - replica];
            let offset = offset as u64;
            let (one, two) =
                tokio::join!(replicas[replica].append("a", offset, piece), other.append("a", offset, piece));
            one.unwrap();
            two.unwrap();
        }
        let mut stored = Vec::new();
        while stored.len() < text.len() {
            stored.extend(replicas[0].read("a", stored.len() as u64).await.unwrap());
        }
        assert!(stored == text);
    }

    #[tokio::test]
    async fn reads_log_that_was_never_written_as_empty() {
        let folder = tempfile::tempdir().unwrap();
        let logs = Logs::new(folder.path());
        assert_eq!(logs.length("a").await.unwrap(), 0);
        assert!(logs.read("a", 7).await.unwrap().is_empty());
    }

    #[test]
    fn shortens_pieces_to_whole_lines_or_characters() {
        assert_eq!(whole_text(b"one\ntw"), b"one\n");
        assert_eq!(whole_text("grö".as_bytes()), "grö".as_bytes());
        assert_eq!(whole_text(&"grö".as_bytes()[..3]), b"gr");
        assert_eq!(whole_text(b"\xff\xfe"), b"\xff\xfe");
    }
}
