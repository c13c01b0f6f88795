//! The one place that talks to the api-server.
//!
//! One method per message of [`job_spec::attempt_api`]; each makes a single request, and [`persist`] repeats it. What an
//! answer means for the step is decided elsewhere.

use std::{
    future::Future,
    time::{Duration, Instant},
};

use async_trait::async_trait;
use backon::{ExponentialBuilder, Retryable};
use job_spec::attempt_api::{ClaimRequest, ClaimResponse, LogPosition, StepResult};
use reqwest::{Client, Method, RequestBuilder, Response, StatusCode, redirect};

use crate::{chain::chain, input::Secret, log::upload::LogSink};

/// An error of any source.
pub(crate) type BoxError = Box<dyn std::error::Error + Send + Sync + 'static>;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// For small messages.
const MESSAGE_TIMEOUT: Duration = Duration::from_secs(30);

/// For plan and state files.
const FILE_TIMEOUT: Duration = Duration::from_mins(5);

/// How much of an error answer is shown.
const SHOWN_ANSWER: usize = 300;

/// What a caller can do about an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ErrorKind {
    /// It may work next time.
    Unavailable,
    /// 409: somebody else was first.
    Conflict,
    /// 410: the attempt is over.
    Over,
    /// 404.
    NotFound,
    /// It will never work.
    Refused,
}

/// A request that did not succeed.
#[derive(Debug, thiserror::Error)]
#[error("could not {action}")]
pub(crate) struct ApiError {
    /// What was tried.
    pub(crate) action: &'static str,
    pub(crate) kind: ErrorKind,
    #[source]
    pub(crate) source: BoxError,
}

/// The api-server, as seen by one attempt.
#[derive(Debug, Clone)]
pub(crate) struct Api {
    http: Client,
    url: String,
    token: Secret,
}

impl Api {
    /// Prepares the client; nothing is sent.
    pub(crate) fn new(url: &str, token: Secret) -> Result<Self, reqwest::Error> {
        Ok(Self { http: client(url)?, url: url.to_owned(), token })
    }

    fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.http.request(method, format!("{}/{path}", self.url)).bearer_auth(self.token.expose())
    }

    /// Takes the attempt.
    pub(crate) async fn claim(&self, claim: &ClaimRequest) -> Result<ClaimResponse, ApiError> {
        const ACTION: &str = "claim the attempt";
        let answer = send(ACTION, self.request(Method::POST, "claim").json(claim)).await?;
        answer.json().await.map_err(|error| broken(ACTION, error))
    }

    /// Fetches the plan file of the job.
    pub(crate) async fn download_plan(&self) -> Result<Vec<u8>, ApiError> {
        const ACTION: &str = "download the plan file";
        let answer = send(ACTION, self.request(Method::GET, "plan").timeout(FILE_TIMEOUT)).await?;
        Ok(answer.bytes().await.map_err(|error| broken(ACTION, error))?.into())
    }

    /// Stores the plan file of the job.
    pub(crate) async fn upload_plan(&self, plan: Vec<u8>) -> Result<(), ApiError> {
        let request = self.request(Method::PUT, "plan").timeout(FILE_TIMEOUT).body(plan);
        send("upload the plan file", request).await.map(drop)
    }

    /// Stores a state as terraform's `http` backend would.
    pub(crate) async fn push_state(&self, state: &StateAddress, body: Vec<u8>) -> Result<(), ApiError> {
        const ACTION: &str = "store the state";
        let request = client(&state.url)
            .map_err(|error| broken(ACTION, error))?
            .post(&state.url)
            .basic_auth(&state.user, Some(state.password.expose()))
            .header("content-type", "application/json")
            .timeout(FILE_TIMEOUT)
            .body(body);
        send(ACTION, request).await.map(drop)
    }

    /// Reports how the step ended.
    pub(crate) async fn report(&self, result: &StepResult) -> Result<(), ApiError> {
        send("report the result", self.request(Method::POST, "result").json(result)).await.map(drop)
    }
}

#[async_trait]
impl LogSink for Api {
    async fn append(&self, offset: u64, bytes: Vec<u8>) -> Result<u64, ApiError> {
        const ACTION: &str = "store the log";
        let request = self.request(Method::POST, &format!("log?offset={offset}")).body(bytes);
        let answer = request.send().await.map_err(|error| broken(ACTION, error))?;
        if answer.status().is_success() || answer.status() == StatusCode::CONFLICT {
            let position: LogPosition = answer.json().await.map_err(|error| broken(ACTION, error))?;
            return Ok(position.offset);
        }
        Err(refusal(ACTION, answer).await)
    }
}

/// Makes a client for one server.
fn client(url: &str) -> Result<Client, reqwest::Error> {
    // Somebody else in this process may have chosen already; both choices are fine.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let builder = Client::builder()
        .connect_timeout(CONNECT_TIMEOUT)
        .timeout(MESSAGE_TIMEOUT)
        // The token must not follow a redirect to somewhere else.
        .redirect(redirect::Policy::none())
        .user_agent(concat!("ephemeral-agents-executor/", env!("CARGO_PKG_VERSION")));
    // Plain HTTP needs no certificates: reading the system's takes time, and fails in an image that has none.
    let builder = if url.starts_with("http://") { builder.tls_certs_only([]) } else { builder };
    builder.build()
}

/// Where the state of the workspace is stored, and with which name and password.
#[derive(Debug, Clone)]
pub(crate) struct StateAddress {
    pub(crate) url: String,
    pub(crate) user: String,
    pub(crate) password: Secret,
}

async fn send(action: &'static str, request: RequestBuilder) -> Result<Response, ApiError> {
    let answer = request.send().await.map_err(|error| broken(action, error))?;
    if answer.status().is_success() { Ok(answer) } else { Err(refusal(action, answer).await) }
}

/// The exchange itself broke: connection, time, or an answer that cannot be read.
fn broken(action: &'static str, error: reqwest::Error) -> ApiError {
    // A request that cannot be built (a token that is no header value) will never work.
    let kind = if error.is_builder() { ErrorKind::Refused } else { ErrorKind::Unavailable };
    ApiError { action, kind, source: error.without_url().into() }
}

/// The server answered, but not with success.
async fn refusal(action: &'static str, answer: Response) -> ApiError {
    let status = answer.status();
    let body: String = answer.text().await.unwrap_or_default().chars().take(SHOWN_ANSWER).collect();
    let kind = kind_of(status);
    ApiError { action, kind, source: format!("the api-server answered {status}: {}", body.trim()).into() }
}

fn kind_of(status: StatusCode) -> ErrorKind {
    match status {
        StatusCode::CONFLICT => ErrorKind::Conflict,
        StatusCode::GONE => ErrorKind::Over,
        StatusCode::NOT_FOUND => ErrorKind::NotFound,
        StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_MANY_REQUESTS => ErrorKind::Unavailable,
        status if status.is_server_error() => ErrorKind::Unavailable,
        _ => ErrorKind::Refused,
    }
}

/// Repeats a request while the server is away, until `patience` is used up.
///
/// A request that is under way is never cut off by the bound, so that its effect is known.
pub(crate) async fn persist<T, F>(
    patience: Duration,
    give_up: impl Fn() -> bool,
    request: impl FnMut() -> F,
) -> Result<T, ApiError>
where
    F: Future<Output = Result<T, ApiError>>,
{
    let end = Instant::now() + patience;
    let backoff = ExponentialBuilder::default()
        .with_min_delay(Duration::from_millis(100))
        .with_max_delay(Duration::from_secs(5))
        .with_jitter()
        .without_max_times();
    request
        .retry(backoff)
        .when(|error| error.kind == ErrorKind::Unavailable && Instant::now() < end && !give_up())
        .notify(|error, delay| {
            tracing::warn!(error = %chain(error), ?delay, "trying again");
        })
        .await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_absent_server_is_asked_again() {
        let cases = [
            (400, ErrorKind::Refused),
            (401, ErrorKind::Refused),
            (403, ErrorKind::Refused),
            (404, ErrorKind::NotFound),
            (408, ErrorKind::Unavailable),
            (409, ErrorKind::Conflict),
            (410, ErrorKind::Over),
            (413, ErrorKind::Refused),
            (429, ErrorKind::Unavailable),
            (500, ErrorKind::Unavailable),
            (503, ErrorKind::Unavailable),
        ];
        for (status, kind) in cases {
            assert_eq!(kind_of(StatusCode::from_u16(status).unwrap()), kind, "{status}");
        }
    }
}
