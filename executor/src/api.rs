//! HTTP client for the api-server.
//!
//! One method per message of [`job_spec::attempt_api`]. Each method sends a single request; [`retry`] repeats
//! it. What an answer means for the step is decided by the caller.

mod bundle;
pub(crate) mod error;
mod file_body;
pub(crate) mod retry;

use std::{future::Future, time::Duration};

use axum::body::Bytes;
use job_spec::attempt_api::{ClaimRequest, ClaimResponse, LogPosition, PlanStored, StepResult};
use reqwest::{Client, Method, RequestBuilder, Response, StatusCode, header::HeaderMap, redirect};
use secrecy::{ExposeSecret as _, SecretString};
use serde::de::DeserializeOwned;

use crate::authorities::Authorities;

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

/// A request of terraform about the state of the workspace, without what belongs to the connection.
#[derive(Debug, Clone)]
pub(crate) struct StateRequest {
    pub(crate) method: Method,
    /// The query, with the id of the lock.
    pub(crate) query: Option<String>,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

/// The answer of the api-server to a request of terraform.
#[derive(Debug)]
pub(crate) struct StateAnswer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

/// One request, and what an error says about it.
struct Call {
    target: Target,
    request: RequestBuilder,
}

impl Api {
    /// Builds the client; nothing is sent.
    pub(crate) fn new(
        url: &str,
        token: SecretString,
        authorities: Option<&Authorities>,
    ) -> Result<Self, reqwest::Error> {
        Ok(Self { http: client(url, authorities)?, url: url.to_owned(), token })
    }

    /// Returns the API of a claimed attempt: every request carries the session token.
    pub(crate) fn in_session(self, token: SecretString) -> Self {
        Self { token, ..self }
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

    /// Uploads the plan file of the job and returns the digest of what is stored.
    pub(crate) async fn upload_plan(&self, plan: Vec<u8>) -> Result<String, ApiError> {
        let call = self.call("upload the plan file", Method::PUT, "plan");
        let stored: PlanStored = call.map(|request| request.timeout(FILE_TIMEOUT).body(plan)).json().await?;
        Ok(stored.digest)
    }

    /// Sends a request of terraform about the state. Every answer is one for terraform, unless a retry may
    /// change it.
    pub(crate) async fn state(&self, state: StateRequest) -> Result<StateAnswer, ApiError> {
        let StateRequest { method, query, headers, body } = state;
        let action = match method.as_str() {
            "GET" => "read the state",
            "POST" => "store the state",
            _ => "lock or unlock the state",
        };
        let query = query.map_or_else(String::new, |query| format!("?{query}"));
        let call = self.call(action, method, &format!("state{query}"));
        let is_final = |status: StatusCode| {
            let again = matches!(status, StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_MANY_REQUESTS);
            !again && !status.is_server_error() && !status.is_redirection()
        };
        let sent = call.map(|request| request.timeout(FILE_TIMEOUT).headers(headers).body(body));
        let (target, answer) = sent.accepted(is_final).await?;
        let (status, headers) = (answer.status(), answer.headers().clone());
        let body = answer.bytes().await.map_err(|error| target.no_answer(error))?;
        Ok(StateAnswer { status, headers, body })
    }

    /// Stores a state that terraform could not store, as a version.
    pub(crate) async fn push_state(&self, body: Bytes) -> Result<(), ApiError> {
        self.send_state("store the state", Method::POST, "state", body).await
    }

    /// Hands in a state that cannot be stored as a version.
    pub(crate) async fn hand_in_state(&self, body: Bytes) -> Result<(), ApiError> {
        self.send_state("hand in the state", Method::PUT, "rescued-state", body).await
    }

    async fn send_state(
        &self,
        action: &'static str,
        method: Method,
        path: &str,
        body: Bytes,
    ) -> Result<(), ApiError> {
        let call = self.call(action, method, path);
        let json = |request: RequestBuilder| request.header("content-type", "application/json");
        call.map(|request| json(request).timeout(FILE_TIMEOUT).body(body)).send().await
    }

    /// Shows the api-server that this executor runs.
    pub(crate) async fn heartbeat(&self) -> Result<(), ApiError> {
        self.call("send a heartbeat", Method::POST, "heartbeat").send().await
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
fn client(url: &str, authorities: Option<&Authorities>) -> Result<Client, reqwest::Error> {
    // Fails if this process has a provider already, which serves as well.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let builder = Client::builder()
        .connect_timeout(CONNECT_TIMEOUT)
        .timeout(MESSAGE_TIMEOUT)
        // A proxy is for what is outside of the installation.
        .no_proxy()
        // The token must not follow a redirect to another server.
        .redirect(redirect::Policy::none())
        .user_agent(concat!("ephemeral-agents-executor/", env!("CARGO_PKG_VERSION")));
    // Plain HTTP needs no certificates: reading the system's takes time, and fails in an image that has none.
    let builder = match authorities {
        _ if url.starts_with("http://") => builder.tls_certs_only([]),
        Some(authorities) => builder.tls_certs_only(authorities.certificates()?),
        None => builder,
    };
    builder.build()
}

#[cfg(test)]
mod tests;
