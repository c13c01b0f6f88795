//! A log and a server with failures.

use std::{
    collections::VecDeque,
    sync::{Mutex, MutexGuard},
};

use tokio::sync::watch;

use super::{LogSink, MAX_CHUNK_BYTES, UploadEnd, upload};
use crate::{
    api::error::{ApiError, ErrorKind},
    log::{Log, Masker},
};

/// What the server does with one request.
enum Answer {
    Unavailable,
    Closed,
    /// Stores the bytes but answers an error, as when the connection breaks after the request.
    StoreThenUnavailable,
    /// Stores only some bytes.
    StoreOnly(usize),
}

#[derive(Default)]
struct Server {
    stored: Mutex<Vec<u8>>,
    script: Mutex<VecDeque<Answer>>,
    longest: Mutex<usize>,
}

impl Server {
    fn with(script: impl IntoIterator<Item = Answer>) -> Self {
        Self { script: Mutex::new(script.into_iter().collect()), ..Self::default() }
    }

    fn stored(&self) -> MutexGuard<'_, Vec<u8>> {
        self.stored.lock().unwrap()
    }
}

impl LogSink for Server {
    async fn append(&self, offset: u64, bytes: Vec<u8>) -> Result<u64, ApiError> {
        let mut stored = self.stored();
        let mut longest = self.longest.lock().unwrap();
        *longest = longest.max(bytes.len());
        if stored.len() as u64 != offset {
            return Ok(stored.len() as u64);
        }
        match self.script.lock().unwrap().pop_front() {
            None => stored.extend(bytes),
            Some(Answer::Unavailable) => return Err(ApiError::scripted(ErrorKind::Unavailable)),
            Some(Answer::Closed) => return Err(ApiError::scripted(ErrorKind::Closed)),
            Some(Answer::StoreThenUnavailable) => {
                stored.extend(bytes);
                return Err(ApiError::scripted(ErrorKind::Unavailable));
            }
            Some(Answer::StoreOnly(count)) => stored.extend(&bytes[..count]),
        }
        Ok(stored.len() as u64)
    }
}

async fn run(server: &Server, lines: &[String]) -> UploadEnd {
    let dir = tempfile::tempdir().unwrap();
    let log = Log::create(&dir.path().join("log"), Masker::new(["hunter22"]).unwrap()).unwrap();
    let reader = log.reader().unwrap();
    let progress = watch::Sender::new(0);
    let write = async {
        for line in lines {
            log.line(line.as_bytes());
            tokio::task::yield_now().await;
        }
        drop(log);
    };
    let (end, ()) = tokio::join!(upload(reader, server, &progress), write);
    end.unwrap()
}

#[tokio::test(start_paused = true)]
async fn log_arrives_once_and_in_order_despite_failures() {
    let lines: Vec<String> = (0..200).map(|number| format!("line {number} é")).collect();
    let expected = lines.join("\n") + "\n";
    let server = Server::with([
        Answer::Unavailable,
        Answer::StoreOnly(5),
        Answer::StoreThenUnavailable,
        Answer::Unavailable,
        Answer::Unavailable,
        Answer::StoreOnly(1),
    ]);
    let end = run(&server, &lines).await;
    assert_eq!(String::from_utf8(server.stored().clone()).unwrap(), expected);
    assert_eq!(end, UploadEnd::Complete { bytes: expected.len() as u64 });
}

#[tokio::test(start_paused = true)]
async fn splits_long_log_at_line_ends() {
    let lines: Vec<String> = (0..8).map(|_| "x".repeat(MAX_CHUNK_BYTES / 3)).collect();
    let server = Server::default();
    run(&server, &lines).await;
    assert_eq!(server.stored().len(), 8 * (MAX_CHUNK_BYTES / 3 + 1));
    assert!(*server.longest.lock().unwrap() <= MAX_CHUNK_BYTES);
}

#[tokio::test(start_paused = true)]
async fn splits_long_line_between_characters() {
    let line = format!("x{}", "é".repeat(MAX_CHUNK_BYTES));
    let server = Server::default();
    run(&server, std::slice::from_ref(&line)).await;
    assert_eq!(String::from_utf8(server.stored().clone()).unwrap(), format!("{line}\n"));
}

#[tokio::test(start_paused = true)]
async fn closed_attempt_ends_the_upload() {
    let server = Server::with([Answer::StoreOnly(2), Answer::Closed]);
    assert_eq!(run(&server, &["one".into(), "two".into()]).await, UploadEnd::Fenced);
    assert_eq!(server.stored().as_slice(), b"on");
}

#[tokio::test(start_paused = true)]
async fn chunk_boundary_reveals_no_part_of_a_secret() {
    for before in MAX_CHUNK_BYTES - 8..=MAX_CHUNK_BYTES {
        let line = format!("{}hunter22 and more", "x".repeat(before));
        let server = Server::default();
        run(&server, &[line]).await;
        let expected = format!("{}*** and more\n", "x".repeat(before));
        assert_eq!(String::from_utf8(server.stored().clone()).unwrap(), expected);
    }
}
