//! Follows the live log of one attempt in a thread of its own.
//!
//! A stream that breaks off is opened again where it ended, as long as there is hope.

use std::{io::Read as _, sync::mpsc::Sender, thread, time::Duration};

use anyhow::{Context as _, anyhow};
use serde::Deserialize;

use super::{
    api::Api,
    sse::{Event, Parser},
};

/// How often in a row a stream may bring nothing before it is given up: a server that is moved to another node comes back
/// within this time.
const MOST_FAILURES: u32 = 240;
const PAUSE: Duration = Duration::from_millis(250);

/// What a log brings.
#[derive(Debug)]
pub(crate) enum LogEvent {
    /// The next text of this attempt.
    Text { attempt: String, text: String },
    /// The log of this attempt is complete.
    End { attempt: String },
    /// The log of this attempt could not be followed any more.
    Lost { attempt: String, error: anyhow::Error },
}

#[derive(Deserialize)]
struct Chunk {
    text: String,
}

/// Sends what the log of an attempt brings until it ends. The thread ends with the log or with the receiver.
pub(crate) fn follow(api: Api, attempt: String, sender: Sender<LogEvent>) {
    thread::spawn(move || {
        let mut stream = LogStream { api, attempt, sender, last_id: None };
        let mut failures = 0;
        loop {
            let before = stream.last_id.clone();
            let attempt = stream.attempt.clone();
            let error = match stream.read() {
                Ok(Ended::Complete) => return stream.send(LogEvent::End { attempt }),
                Ok(Ended::NobodyListens) => return Some(()),
                Ok(Ended::Cut) => anyhow!("the stream ends before the log does"),
                Err(error) => error,
            };
            failures = if stream.last_id == before { failures + 1 } else { 0 };
            if failures > MOST_FAILURES {
                return stream.send(LogEvent::Lost { attempt, error });
            }
            thread::park_timeout(PAUSE);
        }
    });
}

enum Ended {
    Complete,
    Cut,
    NobodyListens,
}

struct LogStream {
    api: Api,
    attempt: String,
    sender: Sender<LogEvent>,
    last_id: Option<String>,
}

impl LogStream {
    fn read(&mut self) -> anyhow::Result<Ended> {
        let path = format!("/v1/attempts/{}/log/stream", self.attempt);
        let mut input = self.api.events(&path, self.last_id.as_deref())?;
        let mut parser = Parser::default();
        let mut buffer = [0; 8192];
        loop {
            let length = input.read(&mut buffer).context("the log stream broke off")?;
            if length == 0 {
                return Ok(Ended::Cut);
            }
            for event in parser.feed(&buffer[..length]) {
                if event.name == "end" {
                    return Ok(Ended::Complete);
                }
                if self.pass_on(event)?.is_none() {
                    return Ok(Ended::NobodyListens);
                }
            }
        }
    }

    fn pass_on(&mut self, event: Event) -> anyhow::Result<Option<()>> {
        if event.name != "log" {
            return Ok(Some(()));
        }
        let chunk: Chunk =
            serde_json::from_str(&event.data).context("an event of the log is not what was expected")?;
        self.last_id = event.id;
        Ok(self.send(LogEvent::Text { attempt: self.attempt.clone(), text: chunk.text }))
    }

    /// Sends an event; `None` if nobody listens any more.
    fn send(&self, event: LogEvent) -> Option<()> {
        self.sender.send(event).ok()
    }
}
