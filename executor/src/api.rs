//! HTTP client for the api-server.
//!
//! One method per message of [`job_spec::attempt_api`]. Each method sends a single request; [`retry`] repeats
//! it. What an answer means for the step is decided by the caller.

pub(crate) mod error;
pub(crate) mod retry;

use std::{future::Future, time::Duration};

use job_spec::attempt_api::{ClaimRequest, ClaimResponse, LogPosition, StepResult};
use reqwest::{Client, Method, RequestBuilder, Response, StatusCode, redirect};
use secrecy::{ExposeSecret as _, SecretString};
use serde::de::DeserializeOwned;

use self::error::{AnswerError, ApiError, Target};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// For small messages.
const MESSAGE_TIMEOUT: Duration = Duration::from_secs(30);

/// For plan and state files.
const FILE_TIMEOUT: Duration = Duration::from_mins(5);

/// Stores the log of an attempt.
pub(crate) trait LogSink: Send + Sync {
    /// Offers bytes at an offset and returns how many bytes are stored afterwards. That may be more or fewer
    /// than offered when the offset was not the end of the stored log.
    fn append(&self, offset: u64, bytes: Vec<u8>) -> impl Future<Output = Result<u64, ApiError>> + Send;
}

/// The API of one attempt.
#[derive(Debug, Clone)]
pub(crate) struct Api {
    http: Client,
    url: String,
    token: SecretString,
}

/// Address and credentials of the state of the workspace.
#[derive(Debug, Clone)]
pub(crate) struct StateAddress {
    pub(crate) url: String,
    pub(crate) user: String,
    pub(crate) password: SecretString,
}

/// One request, and what an error says about it.
struct Call {
    target: Target,
    request: RequestBuilder,
}

impl Api {
    /// Builds the client; nothing is sent.
    pub(crate) fn new(url: &str, token: SecretString) -> Result<Self, reqwest::Error> {
        Ok(Self { http: client(url)?, url: url.to_owned(), token })
    }

    /// Returns the API of a claimed attempt: every request carries the session token.
    pub(crate) fn in_session(self, token: SecretString) -> Self {
        Self { token, ..self }
    }

    /// Returns address and credentials of the state for an attempt with this id.
    pub(crate) fn state(&self, attempt_id: &str) -> StateAddress {
        StateAddress {
            url: format!("{}/state", self.url),
            user: attempt_id.to_owned(),
            password: self.token.clone(),
        }
    }

    fn call(&self, action: &'static str, method: Method, path: &str) -> Call {
        let url = format!("{}/{path}", self.url);
        let request = self.http.request(method, &url).bearer_auth(self.token.expose_secret());
        Call { target: Target::new(action, &url), request }
    }

    /// Claims the attempt.
    pub(crate) async fn claim(&self, claim: &ClaimRequest) -> Result<ClaimResponse, ApiError> {
        self.call("claim the attempt", Method::POST, "claim").map(|request| request.json(claim)).json().await
    }

    /// Downloads the plan file of the job.
    pub(crate) async fn download_plan(&self) -> Result<Vec<u8>, ApiError> {
        let call = self.call("download the plan file", Method::GET, "plan");
        call.map(|request| request.timeout(FILE_TIMEOUT)).bytes().await
    }

    /// Uploads the plan file of the job.
    pub(crate) async fn upload_plan(&self, plan: Vec<u8>) -> Result<(), ApiError> {
        let call = self.call("upload the plan file", Method::PUT, "plan");
        call.map(|request| request.timeout(FILE_TIMEOUT).body(plan)).send().await
    }

    /// Stores a state as terraform's `http` backend would.
    pub(crate) async fn push_state(&self, state: &StateAddress, body: Vec<u8>) -> Result<(), ApiError> {
        let target = Target::new("store the state", &state.url);
        let client = match client(&state.url) {
            Ok(client) => client,
            Err(error) => return Err(target.no_answer(error)),
        };
        let request = client
            .post(&state.url)
            .basic_auth(&state.user, Some(state.password.expose_secret()))
            .header("content-type", "application/json")
            .timeout(FILE_TIMEOUT)
            .body(body);
        Call { target, request }.send().await
    }

    /// Reports the result of the step.
    pub(crate) async fn report(&self, result: &StepResult) -> Result<(), ApiError> {
        self.call("report the result", Method::POST, "result")
            .map(|request| request.json(result))
            .send()
            .await
    }
}

impl LogSink for Api {
    async fn append(&self, offset: u64, bytes: Vec<u8>) -> Result<u64, ApiError> {
        let call = self.call("store the log", Method::POST, &format!("log?offset={offset}"));
        // 409 carries the position too: where the next byte belongs.
        let accept = |status: StatusCode| status.is_success() || status == StatusCode::CONFLICT;
        let position: LogPosition = call.map(|request| request.body(bytes)).json_if(accept).await?;
        Ok(position.offset)
    }
}

impl Call {
    fn map(mut self, change: impl FnOnce(RequestBuilder) -> RequestBuilder) -> Self {
        self.request = change(self.request);
        self
    }

    /// Sends the request; the body of the answer does not matter.
    async fn send(self) -> Result<(), ApiError> {
        self.accepted(|status| status.is_success()).await.map(drop)
    }

    async fn bytes(self) -> Result<Vec<u8>, ApiError> {
        let (target, answer) = self.accepted(|status| status.is_success()).await?;
        answer.bytes().await.map(Vec::from).map_err(|error| target.no_answer(error))
    }

    async fn json<T: DeserializeOwned>(self) -> Result<T, ApiError> {
        self.json_if(|status| status.is_success()).await
    }

    async fn json_if<T: DeserializeOwned>(self, accept: impl Fn(StatusCode) -> bool) -> Result<T, ApiError> {
        let (target, answer) = self.accepted(accept).await?;
        let bytes = match answer.bytes().await {
            Ok(bytes) => bytes,
            Err(error) => return Err(target.no_answer(error)),
        };
        serde_json::from_slice(&bytes).map_err(|error| target.unavailable(AnswerError::Body(error)))
    }

    /// Sends the request and returns the answer if its status is accepted and it comes from the api-server.
    async fn accepted(self, accept: impl Fn(StatusCode) -> bool) -> Result<(Target, Response), ApiError> {
        let Self { target, request } = self;
        let answer = match request.send().await {
            Ok(answer) => answer,
            Err(error) => return Err(target.no_answer(error)),
        };
        if accept(answer.status()) && !error::is_html(&answer) {
            return Ok((target, answer));
        }
        Err(target.rejection(answer).await)
    }
}

/// Builds a client for one server.
fn client(url: &str) -> Result<Client, reqwest::Error> {
    // Fails if this process has a provider already, which serves as well.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let builder = Client::builder()
        .connect_timeout(CONNECT_TIMEOUT)
        .timeout(MESSAGE_TIMEOUT)
        // The token must not follow a redirect to another server.
        .redirect(redirect::Policy::none())
        .user_agent(concat!("ephemeral-agents-executor/", env!("CARGO_PKG_VERSION")));
    // Plain HTTP needs no certificates: reading the system's takes time, and fails in an image that has none.
    let builder = if url.starts_with("http://") { builder.tls_certs_only([]) } else { builder };
    builder.build()
}

#[cfg(test)]
mod tests;
