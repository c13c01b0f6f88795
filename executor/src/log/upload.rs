//! Carries the log from the spool file to the api-server.
//!
//! One task, which owns the reading end. It never gives up by itself: its owner bounds how long it may go on after the
//! end of the log. The server says where the next byte belongs, so any failure is cured by asking again from there.

use std::{io, os::unix::fs::FileExt, time::Duration};

use async_trait::async_trait;
use tokio::{
    sync::watch,
    time::{Instant, sleep, sleep_until},
};

use super::LogReader;
use crate::api::{ApiError, ErrorKind};

/// The longest piece that is sent at once.
const CHUNK: usize = 256 * 1024;

/// Lines that come within this time of each other share a request.
const BATCH: Duration = Duration::from_millis(100);

const FIRST_DELAY: Duration = Duration::from_millis(200);
const LONGEST_DELAY: Duration = Duration::from_secs(5);

/// Where the log goes.
#[async_trait]
pub(crate) trait LogSink: Send + Sync {
    /// Offers bytes at an offset and returns how many bytes are stored afterwards, which may be more or fewer than
    /// offered when the offset was not where the next byte belongs.
    async fn append(&self, offset: u64, bytes: Vec<u8>) -> Result<u64, ApiError>;
}

/// How the delivery went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Delivery {
    /// Everything is stored.
    Complete {
        /// Number of bytes.
        bytes: u64,
    },
    /// The server wants nothing more of this attempt.
    Fenced,
}

/// Sends everything that is written until the log ends; `progress` tells how much the server has.
///
/// # Errors
/// Only when the spool file cannot be read.
pub(crate) async fn deliver(
    mut log: LogReader,
    sink: &dyn LogSink,
    progress: &watch::Sender<u64>,
) -> io::Result<Delivery> {
    let mut stored = 0;
    let mut delay = FIRST_DELAY;
    let mut next = Instant::now();
    loop {
        let written = *log.written.borrow_and_update();
        if stored == written {
            if log.written.changed().await.is_err() {
                return Ok(Delivery::Complete { bytes: stored });
            }
            // Lines wait for their neighbours, but not when there will be none.
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
                    tracing::warn!(stored, position, "the log continues elsewhere");
                }
                stored = position;
                progress.send_replace(stored);
                delay = FIRST_DELAY;
                next = Instant::now() + BATCH;
                continue;
            }
            Ok(position) => tracing::warn!(stored, position, written, "the log has an impossible length"),
            Err(error) if error.kind == ErrorKind::Over => return Ok(Delivery::Fenced),
            Err(error) => tracing::debug!(error = %crate::chain::chain(&error), "the log is not accepted"),
        }
        sleep(delay).await;
        delay = (delay * 2).min(LONGEST_DELAY);
    }
}

/// Waits until nothing more will be written.
async fn ended(written: &mut watch::Receiver<u64>) {
    while written.changed().await.is_ok() {}
}

/// Reads the next piece; a piece that is not the last one ends with a line, or at least not inside a character.
fn read_chunk(log: &LogReader, from: u64, written: u64) -> io::Result<Vec<u8>> {
    let length = usize::try_from(written - from).unwrap_or(CHUNK).min(CHUNK);
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
