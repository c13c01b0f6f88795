//! Uploads the log from the spool file to the api-server.
//!
//! One task, which owns the reading end. It has no timeout of its own: its owner bounds how long it may run
//! after the end of the log. The server answers where the next byte belongs, so after any failure the upload
//! continues there, and a chunk that was stored without an answer is not stored twice.

use std::{io, os::unix::fs::FileExt, time::Duration};

use tokio::{
    sync::watch,
    time::{Instant, sleep, sleep_until},
};

use super::LogReader;
use crate::{
    api::{LogSink, error::ErrorKind, retry::delays},
    error_chain::chain,
};

/// The longest piece that is sent at once.
const MAX_CHUNK_BYTES: usize = 256 * 1024;

/// Lines that are written within this time of each other share a request.
const BATCH_INTERVAL: Duration = Duration::from_millis(40);

/// How the upload ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum UploadEnd {
    /// Everything is stored.
    Complete {
        /// Number of bytes.
        bytes: u64,
    },
    /// The api-server has closed the attempt.
    Fenced,
}

/// Sends everything that is written until the log ends; `progress` holds the number of bytes that the server
/// has stored.
///
/// # Errors
/// Only when the spool file cannot be read.
pub(crate) async fn upload(
    mut log: LogReader,
    sink: &impl LogSink,
    progress: &watch::Sender<u64>,
) -> io::Result<UploadEnd> {
    let mut stored = 0;
    let mut retry_delays = delays();
    let mut next = Instant::now();
    loop {
        let written = *log.written.borrow_and_update();
        if stored == written {
            if log.written.changed().await.is_err() {
                return Ok(UploadEnd::Complete { bytes: stored });
            }
            // Lines wait for the next ones, but not when the log has ended.
            tokio::select! {
                () = sleep_until(next) => {}
                () = ended(&mut log.written) => {}
            }
            continue;
        }
        let bytes = read_chunk(&log, stored, written)?;
        let end = stored + bytes.len() as u64;
        match sink.append(stored, bytes).await {
            Ok(position) if position <= written && position != stored => {
                if position != end {
                    tracing::warn!(stored, position, "the upload of the log continues at another position");
                }
                stored = position;
                progress.send_replace(stored);
                retry_delays = delays();
                next = Instant::now() + BATCH_INTERVAL;
                continue;
            }
            Ok(position) => {
                tracing::warn!(
                    stored,
                    position,
                    written,
                    "the api-server reports an impossible position of the log"
                );
            }
            Err(error) if error.kind == ErrorKind::Closed => return Ok(UploadEnd::Fenced),
            Err(error) => tracing::debug!("{}; retrying", chain(&error)),
        }
        sleep(retry_delays.next().unwrap_or(BATCH_INTERVAL)).await;
    }
}

/// Waits for the end of the log.
async fn ended(written: &mut watch::Receiver<u64>) {
    while written.changed().await.is_ok() {}
}

/// Reads the next chunk. It ends at the end of a line, or at least not inside a character.
fn read_chunk(log: &LogReader, from: u64, written: u64) -> io::Result<Vec<u8>> {
    let length = usize::try_from(written - from).unwrap_or(MAX_CHUNK_BYTES).min(MAX_CHUNK_BYTES);
    let mut bytes = vec![0; length];
    log.file.read_exact_at(&mut bytes, from)?;
    if let Some(newline) = bytes.iter().rposition(|byte| *byte == b'\n') {
        bytes.truncate(newline + 1);
    } else if let Err(error) = std::str::from_utf8(&bytes)
        && error.valid_up_to() > 0
    {
        bytes.truncate(error.valid_up_to());
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests;
