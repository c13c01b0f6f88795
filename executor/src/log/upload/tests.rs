//! A log and a server that misbehaves on purpose.

use std::{
    collections::VecDeque,
    sync::{Mutex, MutexGuard},
};

use async_trait::async_trait;
use tokio::sync::watch;

use super::{CHUNK, Delivery, LogSink, deliver};
use crate::{
    api::{ApiError, ErrorKind},
    log::{Log, Masker},
};

/// What the server does with one request.
enum Answer {
    Away,
    Over,
    /// Stores the bytes but answers an error, as when the connection breaks after the request.
    StoreThenAway,
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

fn error(kind: ErrorKind) -> ApiError {
    ApiError { action: "store the log", kind, source: "scripted".into() }
}

#[async_trait]
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
            Some(Answer::Away) => return Err(error(ErrorKind::Unavailable)),
            Some(Answer::Over) => return Err(error(ErrorKind::Over)),
            Some(Answer::StoreThenAway) => {
                stored.extend(bytes);
                return Err(error(ErrorKind::Unavailable));
            }
            Some(Answer::StoreOnly(count)) => stored.extend(&bytes[..count]),
        }
        Ok(stored.len() as u64)
    }
}

async fn run(server: &Server, lines: &[String]) -> Delivery {
    let dir = tempfile::tempdir().unwrap();
    let log = Log::create(&dir.path().join("log"), Masker::new([])).unwrap();
    let reader = log.reader().unwrap();
    let progress = watch::Sender::new(0);
    let write = async {
        for line in lines {
            log.line(line.as_bytes());
            tokio::task::yield_now().await;
        }
        drop(log);
    };
    let (delivery, ()) = tokio::join!(deliver(reader, server, &progress), write);
    delivery.unwrap()
}

#[tokio::test(start_paused = true)]
async fn everything_arrives_once_and_in_order_whatever_the_server_does() {
    let lines: Vec<String> = (0..200).map(|number| format!("line {number} é")).collect();
    let expected = lines.join("\n") + "\n";
    let server = Server::with([
        Answer::Away,
        Answer::StoreOnly(5),
        Answer::StoreThenAway,
        Answer::Away,
        Answer::Away,
        Answer::StoreOnly(1),
    ]);
    let delivery = run(&server, &lines).await;
    assert_eq!(String::from_utf8(server.stored().clone()).unwrap(), expected);
    assert_eq!(delivery, Delivery::Complete { bytes: expected.len() as u64 });
}

#[tokio::test(start_paused = true)]
async fn a_long_log_is_sent_in_pieces_that_end_with_a_line() {
    let lines: Vec<String> = (0..8).map(|_| "x".repeat(CHUNK / 3)).collect();
    let server = Server::default();
    run(&server, &lines).await;
    assert_eq!(server.stored().len(), 8 * (CHUNK / 3 + 1));
    assert!(*server.longest.lock().unwrap() <= CHUNK);
}

#[tokio::test(start_paused = true)]
async fn a_line_longer_than_a_piece_is_not_cut_inside_a_character() {
    let line = format!("x{}", "é".repeat(CHUNK));
    let server = Server::default();
    run(&server, std::slice::from_ref(&line)).await;
    assert_eq!(String::from_utf8(server.stored().clone()).unwrap(), format!("{line}\n"));
}

#[tokio::test(start_paused = true)]
async fn a_closed_attempt_ends_the_delivery() {
    let server = Server::with([Answer::StoreOnly(2), Answer::Over]);
    assert_eq!(run(&server, &["one".into(), "two".into()]).await, Delivery::Fenced);
    assert_eq!(server.stored().as_slice(), b"on");
}
