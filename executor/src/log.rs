//! The log of the attempt: every line is masked and appended to a spool file.
//!
//! Writing never waits for a reader: [`upload`] and [`stdout`] read the file at their own speed. Only masked
//! text is written, so the file holds no secret that the [`Masker`] knows. A line that may end with the
//! beginning of a secret waits a moment for the next one: [`Log::release`].

pub(crate) mod mask;
pub(crate) mod stdout;
pub(crate) mod upload;

use std::{
    fmt,
    fs::{File, OpenOptions},
    io::{self, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
    sync::{Mutex, MutexGuard, PoisonError},
    time::Instant,
};

use tokio::sync::watch;

use mask::MaskedLines;
pub(crate) use mask::Masker;

/// The longest line that is kept; the rest of a longer one is dropped.
const MAX_LINE_BYTES: usize = 1024 * 1024;

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
    lines: MaskedLines,
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
    /// Number of bytes in the file; the sender is dropped at the end of the log.
    pub(super) written: watch::Receiver<u64>,
}

impl Log {
    /// Creates an empty log in a file that only this user can read, and locks it.
    pub(crate) fn create(path: &Path, masker: Masker) -> io::Result<Self> {
        let file = OpenOptions::new().create(true).write(true).truncate(true).mode(0o600).open(path)?;
        let lines = MaskedLines::new(masker.clone());
        Ok(Self {
            masker,
            spool: Mutex::new(Spool { file, length: 0, lost_lines: 0, lines }),
            written: watch::Sender::new(0),
            path: path.to_owned(),
        })
    }

    /// Opens the log for reading.
    pub(crate) fn reader(&self) -> io::Result<LogReader> {
        Ok(LogReader { file: File::open(&self.path)?, written: self.written.subscribe() })
    }

    /// Masks a text that is sent elsewhere.
    pub(crate) fn mask(&self, text: &str) -> String {
        self.masker.mask(text).into_owned()
    }

    /// Writes a line of the executor itself.
    pub(crate) fn note(&self, text: &str) {
        for line in text.lines() {
            self.line(line.as_bytes());
        }
        self.flush();
    }

    /// Number of bytes of a line that [`Log::line`] needs: what is kept, and a secret that begins in it.
    pub(crate) fn line_capacity(&self) -> usize {
        MAX_LINE_BYTES + self.masker.longest()
    }

    /// Writes one line of output; bytes that are not UTF-8 are replaced, so that the log is always text.
    ///
    /// A full disk loses lines and reports that later, but never stops terraform.
    pub(crate) fn line(&self, line: &[u8]) {
        self.lines(std::iter::once(line));
    }

    /// Writes several lines at once: one write and one notification are enough for all of them.
    pub(crate) fn lines<'l>(&self, lines: impl Iterator<Item = &'l [u8]>) {
        let mut spool = self.spool();
        for line in lines {
            let text = String::from_utf8_lossy(line);
            let keep = text.floor_char_boundary(MAX_LINE_BYTES);
            spool.lines.push(&text, keep);
        }
        self.append(&mut spool, |lines| lines.ready(Instant::now()));
    }

    /// Returns when [`Log::release`] has something to write at the latest.
    pub(crate) fn due(&self) -> Option<Instant> {
        self.spool().lines.due()
    }

    /// Writes the lines that have waited long enough for the next one.
    pub(crate) fn release(&self) {
        self.append(&mut self.spool(), |lines| lines.ready(Instant::now()));
    }

    /// Writes the lines that wait: no other one follows.
    pub(crate) fn flush(&self) {
        self.append(&mut self.spool(), MaskedLines::finish);
    }

    fn append(&self, spool: &mut Spool, take: impl FnOnce(&mut MaskedLines) -> Vec<String>) {
        let lines = take(&mut spool.lines);
        if lines.is_empty() {
            return;
        }
        let mut text = String::with_capacity(lines.iter().map(|line| line.len() + 1).sum());
        for line in &lines {
            text.push_str(line);
            text.push('\n');
        }
        spool.append(&text, lines.len());
        self.written.send_replace(spool.length);
    }

    fn spool(&self) -> MutexGuard<'_, Spool> {
        self.spool.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Log {
    fn drop(&mut self) {
        self.flush();
    }
}

impl Spool {
    /// Appends a text of this many lines.
    fn append(&mut self, text: &str, lines: usize) {
        let notice = match self.lost_lines {
            0 => String::new(),
            lost => format!("({lost} lines are missing: the disk of the executor was full)\n"),
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
                    tracing::error!(%error, "could not write the log");
                }
                self.lost_lines += lines as u64;
                // A half-written line must not shift what comes later.
                let _ = self.file.set_len(self.length);
                let _ = io::Seek::seek(&mut self.file, io::SeekFrom::Start(self.length));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(lines: &[&[u8]]) -> String {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("log");
        let log = Log::create(&path, Masker::new(["hunter22", "pässwörd"]).unwrap()).unwrap();
        for line in lines {
            log.line(line);
        }
        std::fs::read_to_string(path).unwrap()
    }

    #[test]
    fn masks_secrets_between_bytes_that_are_not_utf_8() {
        let line =
            [b"\xff\xc3".as_slice(), b"hunter22", b"\xe2\x82", "pässwörd".as_bytes(), b"\x80"].concat();
        assert_eq!(written(&[&line]), "\u{fffd}\u{fffd}***\u{fffd}***\u{fffd}\n");
    }

    #[test]
    fn cuts_long_line_without_leaving_part_of_a_secret() {
        for before in MAX_LINE_BYTES - 9..=MAX_LINE_BYTES {
            let line = format!("{}hunter22{}", "x".repeat(before), "y".repeat(100));
            let text = written(&[line.as_bytes()]);
            assert!(text.ends_with(" (line cut)\n"), "{before}");
            assert!(!text.contains('h') && text.len() <= MAX_LINE_BYTES + 20, "{before}");
        }
        let exact = "x".repeat(MAX_LINE_BYTES);
        assert_eq!(written(&[exact.as_bytes()]), format!("{exact}\n"));
    }
}
