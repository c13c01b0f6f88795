//! The log of the attempt: every line is masked and appended to a spool file.
//!
//! Nothing here waits for anybody: [`upload`] and [`mirror`] read the file at their own pace. Only masked text is ever
//! written, so the file holds no secret that the [`Masker`] knows.

pub(crate) mod mask;
pub(crate) mod mirror;
pub(crate) mod upload;

use std::{
    fmt,
    fs::{File, OpenOptions},
    io::{self, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
};

use tokio::sync::watch;

pub(crate) use mask::Masker;

/// The writing end of the log. Dropping it ends the log.
pub(crate) struct Log {
    masker: Masker,
    spool: Mutex<Spool>,
    written: watch::Sender<u64>,
    path: PathBuf,
}

struct Spool {
    file: File,
    length: u64,
    lost_lines: u64,
}

impl fmt::Debug for Log {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Log").field("path", &self.path).finish_non_exhaustive()
    }
}

/// The reading end of the log.
#[derive(Debug)]
pub(crate) struct LogReader {
    pub(super) file: File,
    /// How many bytes are there; the sender is gone when no more will come.
    pub(super) written: watch::Receiver<u64>,
}

impl Log {
    /// Starts an empty log in a new file that only this user can read.
    pub(crate) fn create(path: &Path, masker: Masker) -> io::Result<Self> {
        let file = OpenOptions::new().create(true).write(true).truncate(true).mode(0o600).open(path)?;
        Ok(Self {
            masker,
            spool: Mutex::new(Spool { file, length: 0, lost_lines: 0 }),
            written: watch::Sender::new(0),
            path: path.to_owned(),
        })
    }

    /// Opens the log for reading.
    pub(crate) fn reader(&self) -> io::Result<LogReader> {
        Ok(LogReader { file: File::open(&self.path)?, written: self.written.subscribe() })
    }

    /// Takes the secrets out of a text that goes elsewhere.
    pub(crate) fn mask(&self, text: &str) -> String {
        self.masker.mask(text).into_owned()
    }

    /// Writes a line of the executor itself.
    pub(crate) fn note(&self, text: &str) {
        for line in text.lines() {
            self.line(line.as_bytes());
        }
    }

    /// Writes one line of output; bytes that are not UTF-8 are replaced, so that the log is always text.
    ///
    /// A full disk loses lines and says so later, but never stops terraform.
    pub(crate) fn line(&self, line: &[u8]) {
        let text = String::from_utf8_lossy(line);
        let mut masked = self.masker.mask(&text).into_owned();
        masked.push('\n');
        let mut spool = self.spool.lock().unwrap_or_else(PoisonError::into_inner);
        spool.append(&masked);
        self.written.send_replace(spool.length);
    }
}

impl Spool {
    fn append(&mut self, text: &str) {
        let notice = match self.lost_lines {
            0 => String::new(),
            lost => format!("({lost} lines are missing here: the disk of the executor was full)\n"),
        };
        let written =
            self.file.write_all(notice.as_bytes()).and_then(|()| self.file.write_all(text.as_bytes()));
        match written {
            Ok(()) => {
                self.length += (notice.len() + text.len()) as u64;
                self.lost_lines = 0;
            }
            Err(error) => {
                if self.lost_lines == 0 {
                    tracing::error!(%error, "the log cannot be written");
                }
                self.lost_lines += 1;
                // A half-written line must not shift what comes later.
                let _ = self.file.set_len(self.length);
                let _ = io::Seek::seek(&mut self.file, io::SeekFrom::Start(self.length));
            }
        }
    }
}
