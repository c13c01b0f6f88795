//! Logs over HTTP: as they are stored, or live by server-sent events, from any byte offset.

use std::{convert::Infallible, io, sync::Arc, time::Duration};

use axum::{
    extract::State,
    http::{HeaderMap, HeaderName, StatusCode, header},
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
    store::LogState,
};

/// Header with the status of a log: `growing`, then `complete`, `incomplete` (the executor had more than it
/// could deliver) or `unknown` (it has reported nothing).
const STATUS_HEADER: &str = "log-status";

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
    let state = services.store.attempt_log_state(&attempt).await?;
    let end = end_of(&services, &state).await?;
    let status = status_of(&state, end);
    let name = state.name;
    let pieces = stream::try_unfold(query.offset, move |offset| {
        let (services, name) = (Arc::clone(&services), name.clone());
        async move {
            let mut piece = services.logs.read(&name, offset).await?;
            cut(&mut piece, offset, end);
            let next = offset + piece.len() as u64;
            Ok::<_, std::io::Error>((!piece.is_empty()).then_some((piece, next)))
        }
    });
    let body = axum::body::Body::from_stream(pieces);
    let headers = [
        (header::CONTENT_TYPE, "text/plain; charset=utf-8"),
        (HeaderName::from_static(STATUS_HEADER), status),
    ];
    Ok((headers, body).into_response())
}

/// Returns where a log ends that no executor may append to any more.
async fn end_of(services: &Services, state: &LogState) -> io::Result<Option<u64>> {
    Ok(if state.is_closed { Some(services.logs.seal(&state.name).await?) } else { None })
}

/// Returns what a reader knows who has read to the end.
fn status_of(state: &LogState, end: Option<u64>) -> &'static str {
    match (end, state.delivered) {
        (None, _) => "growing",
        (Some(end), Some(delivered)) if delivered.is_complete_at(end) => "complete",
        (Some(_), Some(_)) => "incomplete",
        (Some(_), None) => "unknown",
    }
}

/// Shortens a piece to what is part of the log.
fn cut(piece: &mut Vec<u8>, offset: u64, end: Option<u64>) {
    if let Some(end) = end {
        piece.truncate(usize::try_from(end.saturating_sub(offset)).unwrap_or(usize::MAX));
    }
}

/// Follows a log to its end: events `log` with a piece of text, then one event `end` with the status of the
/// log. The id of an event is
/// the offset after it, so that a client which reconnects with `Last-Event-ID` resumes there.
pub(super) async fn follow(
    State(app): State<AppState>,
    Path(attempt): Path<String>,
    Query(query): Query<LogQuery>,
    headers: HeaderMap,
) -> Result<Sse<impl Stream<Item = Result<Event, Infallible>>>, Problem> {
    app.services.store.attempt_log_state(&attempt).await?;
    let place = app.services.logs.follower().ok_or_else(|| {
        Problem::new(StatusCode::SERVICE_UNAVAILABLE, "too many clients follow logs; try again later")
    })?;
    let last_seen = headers.get("last-event-id").and_then(|id| id.to_str().ok()?.parse().ok());
    let follower = Follower {
        changes: app.services.logs.changes(),
        services: app.services,
        shutdown: app.shutdown,
        attempt,
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
            let state = self.services.store.attempt_log_state(&self.attempt).await.ok()?;
            let end = end_of(&self.services, &state).await.ok()?;
            let mut piece = self.services.logs.read(&state.name, self.offset).await.ok()?;
            let is_rest = state.has_ended && piece.len() < PIECE;
            cut(&mut piece, self.offset, end);
            let text = if is_rest { piece.as_slice() } else { whole_text(&piece) };
            if !text.is_empty() {
                return Some(self.log_event(text));
            }
            if state.has_ended {
                self.ended = true;
                let status = status_of(&state, end);
                return Some(self.event("end", &json!({ "offset": self.offset, "status": status })));
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
