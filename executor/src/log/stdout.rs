//! Copies the log from the spool file to standard output, where a cluster keeps it as the log of the pod.
//!
//! A task of its own, so that a slow reader of standard output does not slow terraform down.

use std::{io, os::unix::fs::FileExt};

use tokio::io::{AsyncWrite, AsyncWriteExt};

use super::LogReader;

const BUFFER_BYTES: u64 = 64 * 1024;

/// Copies everything that is written until the log ends.
///
/// # Errors
/// When the file cannot be read or standard output is closed; the log itself is not affected.
pub(crate) async fn copy(mut log: LogReader, mut to: impl AsyncWrite + Unpin) -> io::Result<()> {
    let mut copied = 0;
    loop {
        let written = *log.written.borrow_and_update();
        if copied == written {
            to.flush().await?;
            if log.written.changed().await.is_err() {
                return Ok(());
            }
            continue;
        }
        let length = (written - copied).min(BUFFER_BYTES);
        let mut buffer = vec![0; usize::try_from(length).unwrap_or_default()];
        log.file.read_exact_at(&mut buffer, copied)?;
        to.write_all(&buffer).await?;
        copied += length;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::log::{Log, Masker};

    #[tokio::test]
    async fn copies_whole_log_in_order() {
        let dir = tempfile::tempdir().unwrap();
        let log = Log::create(&dir.path().join("log"), Masker::new(["secret"]).unwrap()).unwrap();
        let reader = log.reader().unwrap();
        let write = async {
            for number in 0..5000 {
                log.note(&format!("secret line {number} with some more text"));
                tokio::task::yield_now().await;
            }
            drop(log);
        };
        let mut copy_of_log = Vec::new();
        let (copied, ()) = tokio::join!(copy(reader, &mut copy_of_log), write);
        copied.unwrap();
        assert_eq!(copy_of_log, std::fs::read(dir.path().join("log")).unwrap());
        assert!(copy_of_log.ends_with(b"*** line 4999 with some more text\n"));
    }
}
