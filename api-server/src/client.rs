//! A client of the HTTP API: typed requests, the error messages of the server, and live logs that survive its
//! restarts.
//!
//! The demo and the end-to-end scenarios use it, and so can any program that starts jobs.

mod error;
mod log;
mod model;

use std::time::Duration;

use reqwest::{Method, RequestBuilder, Response};
use serde::{Serialize, de::DeserializeOwned};

pub use self::{
    error::ClientError,
    model::{Attempt, Job, List, Named, Step},
};

const TIMEOUT: Duration = Duration::from_secs(30);

/// A client of one api-server, with an API token.
#[derive(Clone)]
pub struct Client {
    address: String,
    token: String,
    http: reqwest::Client,
}

impl Client {
    /// Creates a client for the server at this address (`http://HOST:PORT`). Sends nothing.
    ///
    /// # Errors
    /// The TLS library cannot be set up.
    pub fn new(address: &str, token: &str) -> Result<Self, ClientError> {
        // Fails if the program has chosen a provider already, which is as good.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let http = reqwest::Client::builder()
            .connect_timeout(TIMEOUT)
            .no_proxy()
            // A server that was restarted has closed the idle connections.
            .pool_max_idle_per_host(0)
            .build()
            .map_err(|source| ClientError::Request { request: "the HTTP client".to_owned(), source })?;
        let address = address.trim_end_matches('/').to_owned();
        Ok(Self { address, token: token.to_owned(), http })
    }

    /// Returns the URL of a path of the API.
    #[must_use]
    pub fn url(&self, path: &str) -> String {
        format!("{}{path}", self.address)
    }

    /// Reads a resource.
    ///
    /// # Errors
    /// The server cannot be reached, refuses the request, or answers with something else than `T`.
    pub async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, ClientError> {
        let text = self.text(path).await?;
        decode(&format!("GET {path}"), &text)
    }

    /// Reads a text, such as a log or a Terraform state.
    ///
    /// # Errors
    /// The server cannot be reached or refuses the request.
    pub async fn text(&self, path: &str) -> Result<String, ClientError> {
        let request = self.request(Method::GET, path).timeout(TIMEOUT);
        body(&format!("GET {path}"), request).await
    }

    /// Creates a resource.
    ///
    /// # Errors
    /// The server cannot be reached, refuses the request, or answers with something else than `T`.
    pub async fn create<T: DeserializeOwned>(
        &self,
        path: &str,
        resource: &(impl Serialize + Sync),
    ) -> Result<T, ClientError> {
        let name = format!("POST {path}");
        let request = self.request(Method::POST, path).timeout(TIMEOUT).json(resource);
        decode(&name, &body(&name, request).await?)
    }

    /// Requests an action that needs no input, such as `/v1/jobs/7/cancel`.
    ///
    /// # Errors
    /// The server cannot be reached or refuses the action.
    pub async fn post(&self, path: &str) -> Result<(), ClientError> {
        let request = self.request(Method::POST, path).timeout(TIMEOUT);
        body(&format!("POST {path}"), request).await.map(drop)
    }

    /// Sends JSON whose answer has no content of interest, such as a state to its path.
    ///
    /// # Errors
    /// The server cannot be reached or refuses the request.
    pub async fn send(&self, path: &str, content: &(impl Serialize + Sync)) -> Result<(), ClientError> {
        let request = self.request(Method::POST, path).timeout(TIMEOUT).json(content);
        body(&format!("POST {path}"), request).await.map(drop)
    }

    /// Reads a job.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    pub async fn job(&self, id: i64) -> Result<Job, ClientError> {
        self.get(&format!("/v1/jobs/{id}")).await
    }

    fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.http.request(method, self.url(path)).bearer_auth(&self.token)
    }
}

impl std::fmt::Debug for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Client").field("address", &self.address).finish_non_exhaustive()
    }
}

async fn body(name: &str, request: RequestBuilder) -> Result<String, ClientError> {
    let response = send(name, request).await?;
    response.text().await.map_err(|source| ClientError::Request { request: name.to_owned(), source })
}

/// Sends a request; any status but success is an error.
async fn send(name: &str, request: RequestBuilder) -> Result<Response, ClientError> {
    let failed = |source| ClientError::Request { request: name.to_owned(), source };
    let response = request.send().await.map_err(failed)?;
    let status = response.status();
    if status.is_success() {
        return Ok(response);
    }
    Err(ClientError::refused(name, status, &response.text().await.unwrap_or_default()))
}

fn decode<T: DeserializeOwned>(name: &str, text: &str) -> Result<T, ClientError> {
    serde_json::from_str(text).map_err(|source| ClientError::Decode { request: name.to_owned(), source })
}
