//! Logs over HTTP: as they are stored, or live by server-sent events, from any byte offset.

use std::{convert::Infallible, sync::Arc, time::Duration};

use axum::{
    extract::State,
    http::{HeaderMap, StatusCode, header},
    response::{
        IntoResponse, Response,
        sse::{Event, KeepAlive, Sse},
    },
};
use futures::stream::{self, Stream};
use serde::Deserialize;
use serde_json::json;
use tokio::sync::{OwnedSemaphorePermit, watch};
use tokio_util::sync::CancellationToken;

use super::{
    AppState,
    extract::{Path, Query},
    problem::Problem,
};
use crate::{
    logs::{PIECE, whole_text},
    services::Services,
};

/// A follower reads the log again after this time, even without a notification: another replica may have
/// appended to it.
const READ_INTERVAL: Duration = Duration::from_secs(1);

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct LogQuery {
    #[serde(default)]
    offset: u64,
}

/// Sends the stored log from `offset` on.
pub(super) async fn read(
    State(services): State<Arc<Services>>,
    Path(attempt): Path<String>,
    Query(query): Query<LogQuery>,
) -> Result<Response, Problem> {
    let (name, _) = services.store.attempt_log_state(&attempt).await?;
    let pieces = stream::try_unfold(query.offset, move |offset| {
        let (services, name) = (Arc::clone(&services), name.clone());
        async move {
            let piece = services.logs.read(&name, offset).await?;
            let next = offset + piece.len() as u64;
            Ok::<_, std::io::Error>((!piece.is_empty()).then_some((piece, next)))
        }
    });
    let body = axum::body::Body::from_stream(pieces);
    Ok(([(header::CONTENT_TYPE, "text/plain; charset=utf-8")], body).into_response())
}

/// Follows a log to its end: events `log` with a piece of text, then one event `end`. The id of an event is
/// the offset after it, so that a client which reconnects with `Last-Event-ID` resumes there.
pub(super) async fn follow(
    State(app): State<AppState>,
    Path(attempt): Path<String>,
    Query(query): Query<LogQuery>,
    headers: HeaderMap,
) -> Result<Sse<impl Stream<Item = Result<Event, Infallible>>>, Problem> {
    let (name, _) = app.services.store.attempt_log_state(&attempt).await?;
    let place = app.services.logs.follower().ok_or_else(|| {
        Problem::new(StatusCode::SERVICE_UNAVAILABLE, "too many clients follow logs; try again later")
    })?;
    let last_seen = headers.get("last-event-id").and_then(|id| id.to_str().ok()?.parse().ok());
    let follower = Follower {
        changes: app.services.logs.changes(),
        services: app.services,
        shutdown: app.shutdown,
        attempt,
        name,
        offset: last_seen.unwrap_or(query.offset),
        ended: false,
        _place: place,
    };
    let events = stream::unfold(follower, |mut follower| async {
        let event = follower.next().await?;
        Some((Ok(event), follower))
    });
    Ok(Sse::new(events).keep_alive(KeepAlive::default()))
}

struct Follower {
    services: Arc<Services>,
    changes: watch::Receiver<()>,
    shutdown: CancellationToken,
    attempt: String,
    name: String,
    offset: u64,
    ended: bool,
    _place: OwnedSemaphorePermit,
}

impl Follower {
    /// Waits for the next event; `None` after the end, when the server stops, or when the log cannot be read.
    async fn next(&mut self) -> Option<Event> {
        if self.ended {
            return None;
        }
        loop {
            // Read before the log: then everything that was written before the end is in it.
            let (_, over) = self.services.store.attempt_log_state(&self.attempt).await.ok()?;
            let piece = self.services.logs.read(&self.name, self.offset).await.ok()?;
            let is_rest = over && piece.len() < PIECE;
            let text = if is_rest { piece.as_slice() } else { whole_text(&piece) };
            if !text.is_empty() {
                return Some(self.log_event(text));
            }
            if over {
                self.ended = true;
                return Some(self.event("end", &json!({ "offset": self.offset })));
            }
            tokio::select! {
                changed = self.changes.changed() => changed.ok()?,
                () = tokio::time::sleep(READ_INTERVAL) => {}
                () = self.shutdown.cancelled() => return None,
            }
        }
    }

    fn log_event(&mut self, text: &[u8]) -> Event {
        let start = self.offset;
        self.offset += text.len() as u64;
        self.event("log", &json!({ "offset": start, "text": String::from_utf8_lossy(text) }))
    }

    fn event(&self, kind: &str, data: &serde_json::Value) -> Event {
        Event::default().event(kind).id(self.offset.to_string()).data(data.to_string())
    }
}
