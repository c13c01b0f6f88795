//! The address of the state that terraform gets: a listener on the loopback interface that forwards to the
//! api-server with the session token.
//!
//! Code inside a step (providers, provisioners, scripts) can read everything that terraform can read. So
//! terraform gets no credential of the executor, only this address, whose path is a secret: it is good for
//! the state of this workspace, in a plan step for reading alone, and it is gone when the attempt ends.
//! While the server is unavailable, requests wait here: terraform would end an apply after a failed one.

mod pushes;

use std::{
    io,
    net::Ipv4Addr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use axum::{
    Router,
    body::{Body, to_bytes},
    extract::{Request, State},
    http::{
        HeaderMap, HeaderName, Method, StatusCode,
        header::{CONTENT_TYPE, HeaderValue},
    },
    response::{IntoResponse, Response},
};
use reqwest::header;
use subtle::ConstantTimeEq as _;
use tokio::{net::TcpListener, sync::Semaphore, task::JoinHandle};
use uuid::Uuid;

pub(crate) use self::pushes::{LastPush, Pushes, StateDigest};
use crate::{
    api::{Api, StateAnswer, StateRequest, error::ApiError, retry::retry},
    error_chain::chain,
    stop::Stop,
    timeouts::Timeouts,
};

/// The longest state, which is also the limit of the api-server.
const MAX_STATE_BYTES: usize = 256 * 1024 * 1024;

/// The longest lock information.
const MAX_LOCK_BYTES: usize = 64 * 1024;

/// Number of requests that are forwarded at the same time.
const MAX_REQUESTS: usize = 16;

/// What passes in both directions; everything else belongs to a connection or is a credential.
const FORWARDED_HEADERS: [HeaderName; 2] = [CONTENT_TYPE, HeaderName::from_static("content-md5")];

/// The listener. Dropping it ends it.
#[derive(Debug)]
pub(crate) struct StateProxy {
    url: String,
    secret: String,
    shared: Shared,
    task: JoinHandle<()>,
}

/// What every request needs.
#[derive(Debug, Clone)]
struct Shared {
    api: Api,
    stop: Stop,
    timeouts: Timeouts,
    path: Arc<str>,
    limit: Arc<Semaphore>,
    /// `None` in a step that must not write.
    pushes: Option<Pushes>,
    /// Number of requests for the state.
    requests: Arc<AtomicU64>,
}

impl StateProxy {
    /// Listens on a free port. Without `pushes`, the state cannot be written.
    pub(crate) async fn start(
        api: Api,
        stop: Stop,
        timeouts: Timeouts,
        pushes: Option<Pushes>,
    ) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let secret = format!("{}{}", Uuid::new_v4().simple(), Uuid::new_v4().simple());
        let url = format!("http://{}/{secret}", listener.local_addr()?);
        let path = format!("/{secret}").into();
        let limit = Arc::new(Semaphore::new(MAX_REQUESTS));
        let requests = Arc::default();
        let shared = Shared { api, stop, timeouts, path, limit, pushes, requests };
        let app = Router::new().fallback(answer).with_state(shared.clone());
        let task = tokio::spawn(async move {
            if let Err(error) = axum::serve(listener, app).await {
                tracing::error!(%error, "the address of the state has ended");
            }
        });
        Ok(Self { url, secret, shared, task })
    }

    /// The address for terraform, which is a credential.
    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// The part of the address that is secret.
    pub(crate) fn secret(&self) -> &str {
        &self.secret
    }

    /// Returns how often the state was read, written or locked: a command that never did has done nothing.
    pub(crate) fn requests(&self) -> u64 {
        self.shared.requests.load(Ordering::Relaxed)
    }

    /// Ends the listener when terraform has ended, and returns what became of the last state that terraform
    /// sent.
    pub(crate) async fn close(&self) -> LastPush {
        self.task.abort();
        match &self.shared.pushes {
            Some(pushes) => pushes.close().await,
            None => LastPush::None,
        }
    }
}

impl Drop for StateProxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Answers a request of terraform, or of anything else on this machine.
async fn answer(State(shared): State<Shared>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let is_address: bool = parts.uri.path().as_bytes().ct_eq(shared.path.as_bytes()).into();
    let max_bytes = match parts.method.as_str() {
        "GET" => 0,
        "LOCK" | "UNLOCK" => MAX_LOCK_BYTES,
        "POST" => MAX_STATE_BYTES,
        _ => return StatusCode::NOT_FOUND.into_response(),
    };
    if !is_address {
        return StatusCode::NOT_FOUND.into_response();
    }
    shared.requests.fetch_add(1, Ordering::Relaxed);
    let is_push = parts.method == Method::POST;
    if is_push && shared.pushes.is_none() {
        return (StatusCode::FORBIDDEN, "a plan step must not write the state").into_response();
    }
    let Ok(_permit) = shared.limit.acquire().await else {
        return StatusCode::SERVICE_UNAVAILABLE.into_response();
    };
    let Ok(body) = to_bytes(body, max_bytes).await else {
        return StatusCode::PAYLOAD_TOO_LARGE.into_response();
    };
    let request = StateRequest {
        method: parts.method,
        query: parts.uri.query().map(ToOwned::to_owned),
        headers: forwarded(&parts.headers),
        body,
    };
    let answered = match &shared.pushes {
        Some(pushes) if is_push => pushes.push(shared.clone(), request).await,
        _ => shared.forward(request).await,
    };
    response(answered)
}

fn forwarded(headers: &HeaderMap) -> HeaderMap {
    let value = |name: HeaderName| headers.get(&name).cloned().map(|value| (name, value));
    FORWARDED_HEADERS.into_iter().filter_map(value).collect()
}

fn response(answered: Result<StateAnswer, ApiError>) -> Response {
    match answered {
        Ok(StateAnswer { status, headers, body }) => {
            (status, forwarded(&headers), Body::from(body)).into_response()
        }
        Err(error) => {
            let plain = [(header::CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"))];
            (StatusCode::GATEWAY_TIMEOUT, plain, chain(&error)).into_response()
        }
    }
}

impl Shared {
    /// Forwards a request, again and again while the server is unavailable.
    async fn forward(&self, request: StateRequest) -> Result<StateAnswer, ApiError> {
        let Self { api, stop, timeouts, .. } = self;
        let closed = async {
            match &self.pushes {
                Some(pushes) => pushes.closed().await,
                None => std::future::pending().await,
            }
        };
        let give_up = async {
            tokio::select! {
                () = stop.fenced_or_late(timeouts.lost_contact_after_stop) => {}
                () = closed => {}
            }
        };
        let answer = retry(timeouts.lost_contact, give_up, || api.state(request.clone())).await?;
        if answer.status == StatusCode::GONE {
            stop.fence();
        }
        Ok(answer)
    }
}

#[cfg(test)]
mod tests;
