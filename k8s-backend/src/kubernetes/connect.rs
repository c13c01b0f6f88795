//! The client of a cluster: its timeouts, its retries, and how it renews its token.
//!
//! | failure | reaction |
//! |---|---|
//! | no response | timeouts: 10 s to connect, 30 s to the head of a response; a stream that is idle for 150 s is closed |
//! | 429, 503, 504 | up to 4 retries, when `Retry-After` says so (at most 30 s later); not of a creation, whose refusal is reported at once |
//! | 401 | the token is read again, and the request repeated once: tokens in files are replaced while the program runs |
//!
//! This is the only place of the crate that repeats a request. Every other failure is returned to the caller
//! as an error.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use http::{HeaderValue, Request, Response, StatusCode, header};
use kube::{
    Client, Config,
    client::{Body, retry::RetryPolicy},
};
use tokio::time::Instant;
use tower::retry::{Policy, Retry};

use super::options::KubeOptions;
use crate::BoxError;

const WRITE_TIMEOUT: Duration = Duration::from_secs(30);
/// Longer than the server lets a watch last, which it ends by itself.
const READ_IDLE_TIMEOUT: Duration = Duration::from_secs(150);
/// A longer `Retry-After` is cut to this: a request that comes too early is only refused again.
const MAX_RETRY_AFTER_SECONDS: u64 = 30;
/// A refused token is not read again more often.
const MIN_RENEWAL_INTERVAL: Duration = Duration::from_secs(5);

/// Builds a client with the timeouts and retries above.
pub(super) fn client(mut config: Config, options: &KubeOptions) -> kube::Result<Client> {
    config.connect_timeout = Some(options.timeouts.connect);
    config.write_timeout = Some(WRITE_TIMEOUT);
    config.read_timeout = Some(READ_IDLE_TIMEOUT);
    // Otherwise the idle time of a pooled connection would count.
    config.reset_reader_on_write = true;
    config.default_retry = false;
    if let Ok(agent) = HeaderValue::from_str(&options.user_agent) {
        config.headers.push((header::USER_AGENT, agent));
    }
    let namespace = config.default_namespace.clone();
    let connection = Connection {
        current: Arc::new(Mutex::new(Current { client: Client::try_from(config.clone())?, renewed: None })),
        config: Arc::new(config),
        timeout: options.timeouts.response,
    };
    let service = tower::service_fn(move |request| connection.clone().send(request));
    let policy = RetryPolicy::new(Duration::from_millis(500), Duration::from_secs(8), 4, true)
        .expect("the shortest delay is shorter than the longest");
    Ok(Client::new(Retry::new(NoCreations(policy), service), namespace))
}

/// A policy that does not repeat creations. The caller of [`submit`](crate::JobBackend::submit) repeats them,
/// and can say meanwhile why it waits.
#[derive(Clone)]
struct NoCreations(RetryPolicy);

impl<E> Policy<Request<Body>, Response<Body>, E> for NoCreations
where
    RetryPolicy: Policy<Request<Body>, Response<Body>, E>,
{
    type Future = <RetryPolicy as Policy<Request<Body>, Response<Body>, E>>::Future;

    fn retry(
        &mut self,
        request: &mut Request<Body>,
        result: &mut Result<Response<Body>, E>,
    ) -> Option<Self::Future> {
        if request.method() == http::Method::POST { None } else { self.0.retry(request, result) }
    }

    fn clone_request(&mut self, request: &Request<Body>) -> Option<Request<Body>> {
        Policy::<Request<Body>, Response<Body>, E>::clone_request(&mut self.0, request)
    }
}

/// A client that is replaced by one with a new token.
#[derive(Clone)]
struct Connection {
    config: Arc<Config>,
    /// To the head of a response.
    timeout: Duration,
    current: Arc<Mutex<Current>>,
}

struct Current {
    client: Client,
    renewed: Option<Instant>,
}

impl Connection {
    async fn send(self, request: Request<Body>) -> Result<Response<Body>, BoxError> {
        let started = Instant::now();
        let again = copy(&request);
        let client = self.current.lock().unwrap_or_else(PoisonError::into_inner).client.clone();
        let response = within_head(self.timeout, client.send(request)).await?;
        if response.status() == StatusCode::UNAUTHORIZED
            && let Some(again) = again
            && let Some(client) = self.renewed(started).await?
        {
            return within_head(self.timeout, client.send(again)).await;
        }
        Ok(response)
    }

    /// Returns a client with the current token; `None` if the token was read just before `started`.
    async fn renewed(&self, started: Instant) -> Result<Option<Client>, BoxError> {
        let recent = |renewed: Instant| started.saturating_duration_since(renewed) < MIN_RENEWAL_INTERVAL;
        {
            let current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
            match current.renewed {
                // Another request renewed it meanwhile.
                Some(renewed) if renewed >= started => return Ok(Some(current.client.clone())),
                Some(renewed) if recent(renewed) => return Ok(None),
                _ => {}
            }
        }
        tracing::info!("the API server refused the token, reading it again");
        let config = Config::clone(&self.config);
        // This reads files, and may run a credential plugin.
        let client = tokio::task::spawn_blocking(move || Client::try_from(config)).await??;
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        *current = Current { client: client.clone(), renewed: Some(Instant::now()) };
        Ok(Some(client))
    }
}

/// Awaits the head of a response. The body is not limited: that of a watch takes minutes.
async fn within_head(
    timeout: Duration,
    response: impl Future<Output = kube::Result<Response<Body>>> + Send,
) -> Result<Response<Body>, BoxError> {
    let mut response = match tokio::time::timeout(timeout, response).await {
        Ok(response) => response?,
        Err(_) => return Err(format!("no response within {} s", timeout.as_secs()).into()),
    };
    let retry_after =
        response.headers().get(header::RETRY_AFTER).and_then(|value| value.to_str().ok()?.parse().ok());
    if retry_after.is_some_and(|seconds: u64| seconds > MAX_RETRY_AFTER_SECONDS) {
        response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(MAX_RETRY_AFTER_SECONDS));
    }
    Ok(response)
}

/// Copies a request, unless its body is a stream; this crate sends none.
fn copy(request: &Request<Body>) -> Option<Request<Body>> {
    let mut copy = Request::new(request.body().try_clone()?);
    *copy.method_mut() = request.method().clone();
    *copy.uri_mut() = request.uri().clone();
    *copy.headers_mut() = request.headers().clone();
    *copy.extensions_mut() = request.extensions().clone();
    Some(copy)
}

#[cfg(test)]
#[cfg(feature = "testing")]
mod tests;
