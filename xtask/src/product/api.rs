//! A client for the HTTP API of a server of ours: no TLS, short waits, the server's own words in errors.

use std::{io::Read, time::Duration};

use anyhow::{Context as _, anyhow};
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::Value;
use ureq::{Agent, Body, http::Response};

const TIMEOUT: Duration = Duration::from_secs(30);

/// The API of one server, with the token of its administrator.
#[derive(Debug, Clone)]
pub(crate) struct Api {
    address: String,
    token: String,
    agent: Agent,
    /// Without a limit for the whole answer, which for a stream is as long as a step.
    streams: Agent,
}

/// An error as the API answers it; only what is shown.
#[derive(Debug, Deserialize)]
struct ProblemDetails {
    title: Option<String>,
    detail: Option<String>,
    #[serde(default)]
    problems: Vec<Value>,
}

impl Api {
    /// Makes a client; nothing is sent yet.
    pub(crate) fn new(address: &str, token: String) -> Self {
        let agent = |timeout: Option<Duration>| {
            let config =
                Agent::config_builder().http_status_as_error(false).proxy(None).timeout_global(timeout);
            config.timeout_connect(Some(TIMEOUT)).build().new_agent()
        };
        Self { address: address.to_owned(), token, agent: agent(Some(TIMEOUT)), streams: agent(None) }
    }

    /// Returns the address of a path.
    pub(crate) fn url(&self, path: &str) -> String {
        format!("{}{path}", self.address)
    }

    /// Reads something.
    pub(crate) fn get<T: DeserializeOwned>(&self, path: &str) -> anyhow::Result<T> {
        let text = self.text(path)?;
        serde_json::from_str(&text)
            .with_context(|| format!("the answer to GET {path} is not what was expected"))
    }

    /// Reads a text as it is.
    pub(crate) fn text(&self, path: &str) -> anyhow::Result<String> {
        let what = format!("GET {path}");
        let request = self.agent.get(self.url(path)).header("Authorization", self.bearer());
        let mut response = successful(&what, request.call())?;
        response.body_mut().read_to_string().with_context(|| format!("the answer to {what} broke off"))
    }

    /// Makes something.
    pub(crate) fn create<T: DeserializeOwned>(&self, path: &str, body: &Value) -> anyhow::Result<T> {
        let what = format!("POST {path}");
        let request = self.agent.post(self.url(path)).header("Authorization", self.bearer());
        let mut response = successful(&what, request.send_json(body))?;
        let text = response
            .body_mut()
            .read_to_string()
            .with_context(|| format!("the answer to {what} broke off"))?;
        serde_json::from_str(&text).with_context(|| format!("the answer to {what} is not what was expected"))
    }

    /// Asks for an action that needs no input.
    pub(crate) fn act(&self, path: &str) -> anyhow::Result<()> {
        let request = self.agent.post(self.url(path)).header("Authorization", self.bearer());
        successful(&format!("POST {path}"), request.send_empty()).map(drop)
    }

    /// Opens a stream of server-sent events, from where an earlier one broke off.
    pub(crate) fn events(&self, path: &str, last_id: Option<&str>) -> anyhow::Result<impl Read + use<>> {
        let request = self.streams.get(self.url(path)).header("Authorization", self.bearer());
        let mut request = request.header("Accept", "text/event-stream");
        if let Some(id) = last_id {
            request = request.header("Last-Event-ID", id);
        }
        let response = successful(&format!("GET {path}"), request.call())?;
        Ok(response.into_body().into_reader())
    }

    fn bearer(&self) -> String {
        format!("Bearer {}", self.token)
    }
}

fn successful(what: &str, result: Result<Response<Body>, ureq::Error>) -> anyhow::Result<Response<Body>> {
    let mut response = result.with_context(|| format!("could not send {what}"))?;
    if response.status().is_success() {
        return Ok(response);
    }
    let body = response.body_mut().read_to_string().unwrap_or_default();
    Err(anyhow!("{what} was answered with {}: {}", response.status(), explain(&body)))
}

/// Finds the words for people in the body of an error.
fn explain(body: &str) -> String {
    let Ok(details) = serde_json::from_str::<ProblemDetails>(body) else { return body.trim().to_owned() };
    let summary = details.detail.or(details.title).unwrap_or_else(|| body.trim().to_owned());
    let problems = details.problems.iter().map(Value::to_string);
    std::iter::once(summary).chain(problems).collect::<Vec<_>>().join("; ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_is_told_in_the_servers_own_words() {
        let cases = [
            (
                r#"{"title":"Conflict","status":409,"detail":"the workspace is locked"}"#,
                "the workspace is locked",
            ),
            (r#"{"title":"Conflict","status":409}"#, "Conflict"),
            (r#"{"detail":"no","problems":[{"key":"A"}]}"#, r#"no; {"key":"A"}"#),
            ("  bad gateway\n", "bad gateway"),
        ];
        for (body, expected) in cases {
            assert_eq!(explain(body), expected);
        }
    }
}
