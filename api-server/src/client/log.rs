//! The live log of an attempt as a stream of text, resumed where it broke off.

use std::{pin::Pin, time::Duration};

use backon::{BackoffBuilder as _, ConstantBackoff, ConstantBuilder};
use eventsource_stream::{Event, Eventsource as _};
use futures::{
    StreamExt as _,
    stream::{self, Stream},
};
use reqwest::Method;
use serde::Deserialize;

use super::{Client, ClientError, decode, send};

/// A server that is moved to another node is back within this time.
const RETRY_INTERVAL: Duration = Duration::from_millis(250);
const MAX_RETRIES: usize = 240;

type Events = Pin<Box<dyn Stream<Item = Result<Event, ClientError>> + Send>>;

#[derive(Deserialize)]
struct Chunk {
    text: String,
}

struct LogStream {
    client: Client,
    attempt: String,
    /// The open connection.
    events: Option<Events>,
    last_id: Option<String>,
    retries: ConstantBackoff,
}

impl Client {
    /// Follows the log of an attempt to its end.
    ///
    /// A connection that breaks is opened again behind the last text that was received, so that nothing is
    /// lost or repeated. After a minute without new text from a server that cannot be reached, the stream
    /// fails.
    pub fn follow_log(
        &self,
        attempt: &str,
    ) -> impl Stream<Item = Result<String, ClientError>> + Send + use<> {
        let log = LogStream {
            client: self.clone(),
            attempt: attempt.to_owned(),
            events: None,
            last_id: None,
            retries: retries(),
        };
        stream::try_unfold(log, async |mut log| Ok(log.next().await?.map(|text| (text, log))))
    }
}

fn retries() -> ConstantBackoff {
    ConstantBuilder::default().with_delay(RETRY_INTERVAL).with_max_times(MAX_RETRIES).build()
}

impl LogStream {
    /// Returns the next text; `None` at the end of the log.
    async fn next(&mut self) -> Result<Option<String>, ClientError> {
        loop {
            let error = match self.event().await {
                Ok(Some(event)) if event.event == "end" => return Ok(None),
                Ok(Some(event)) if event.event == "log" => {
                    let chunk: Chunk = decode("an event of the log", &event.data)?;
                    self.last_id = Some(event.id);
                    self.retries = retries();
                    return Ok(Some(chunk.text));
                }
                // Events of a later version of the server.
                Ok(Some(_)) => continue,
                Ok(None) => ClientError::Broken { request: format!("GET {}", self.path()) },
                Err(error) => error,
            };
            self.events = None;
            let Some(delay) = self.retries.next() else { return Err(error) };
            tokio::time::sleep(delay).await;
        }
    }

    async fn event(&mut self) -> Result<Option<Event>, ClientError> {
        if self.events.is_none() {
            self.events = Some(self.connect().await?);
        }
        match &mut self.events {
            Some(events) => events.next().await.transpose(),
            None => Ok(None),
        }
    }

    fn path(&self) -> String {
        format!("/v1/attempts/{}/log/stream", self.attempt)
    }

    async fn connect(&mut self) -> Result<Events, ClientError> {
        let path = self.path();
        let name = format!("GET {path}");
        let mut request = self.client.request(Method::GET, &path).header("Accept", "text/event-stream");
        if let Some(id) = &self.last_id {
            request = request.header("Last-Event-ID", id);
        }
        let response = send(&name, request).await?;
        let chunks = stream::try_unfold(response, async |mut response| {
            Ok::<_, reqwest::Error>(response.chunk().await?.map(|chunk| (chunk, response)))
        });
        let events = chunks.boxed().eventsource();
        Ok(Box::pin(
            events.map(move |event| event.map_err(|_| ClientError::Broken { request: name.clone() })),
        ))
    }
}
