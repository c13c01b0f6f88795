//! Errors of the requests to the api-server.
//!
//! The kind is what code matches on. The message names the address, the answer and what to do.

use std::fmt;

use reqwest::{Response, StatusCode, header};
use serde::Deserialize;
use url::Url;

/// Number of characters of an unknown answer that a message shows.
const MAX_SHOWN_CHARS: usize = 300;

/// What the caller can do about an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ErrorKind {
    /// A retry may succeed: no answer, a 5xx status, or an answer that is not from the api-server.
    Unavailable,
    /// 409: another executor or another message was first.
    Conflict,
    /// 410: the attempt is closed.
    Closed,
    /// 404.
    NotFound,
    /// A retry cannot succeed.
    Refused,
}

/// A request that did not succeed.
#[derive(Debug, thiserror::Error)]
#[error("could not {target}")]
pub(crate) struct ApiError {
    target: Target,
    pub(crate) kind: ErrorKind,
    #[source]
    source: AnswerError,
}

/// What a request was for, and where it went.
#[derive(Debug)]
pub(super) struct Target {
    action: &'static str,
    address: String,
}

/// What was wrong with the answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AnswerError {
    /// A file of the executor could not be read or written.
    #[error(transparent)]
    Local(std::io::Error),
    #[error("it has not stored what was sent: {detail}")]
    NotStored { detail: String },
    /// Connection, timeout, or an answer that broke off.
    #[error(transparent)]
    None(reqwest::Error),
    #[error("the api-server answered {status}{}", optional(": ", detail.as_ref()))]
    Status { status: StatusCode, detail: Option<String> },
    #[error(
        "the answer ({status}) is an HTML page{}, so it does not come from the api-server; \
         check the address, and proxies and ingresses in front of the api-server",
        optional(" titled ", title.as_ref().map(|title| format!("{title:?}")).as_ref())
    )]
    Html { status: StatusCode, title: Option<String> },
    #[error(
        "the answer ({status}) redirects to {location:?}, which an executor does not follow; \
         use an address that reaches the api-server directly"
    )]
    Redirect { status: StatusCode, location: String },
    #[error(
        "the answer is not the JSON of this message; \
         check the address, and that executor and api-server have the same version"
    )]
    Body(#[source] serde_json::Error),
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at {}", self.action, self.address)
    }
}

impl Target {
    pub(super) fn new(action: &'static str, url: &str) -> Self {
        Self { action, address: display_address(url) }
    }

    /// The request got no complete answer.
    pub(super) fn no_answer(self, error: reqwest::Error) -> ApiError {
        // A request that cannot be built (a token that is no header value) fails in the same way again.
        let kind = if error.is_builder() { ErrorKind::Refused } else { ErrorKind::Unavailable };
        ApiError { target: self, kind, source: AnswerError::None(error.without_url()) }
    }

    /// A file of the executor failed.
    pub(super) fn local(self, error: std::io::Error) -> ApiError {
        ApiError { target: self, kind: ErrorKind::Refused, source: AnswerError::Local(error) }
    }

    pub(super) fn unavailable(self, source: AnswerError) -> ApiError {
        ApiError { target: self, kind: ErrorKind::Unavailable, source }
    }

    /// Reads an answer that was not accepted.
    pub(super) async fn rejection(self, answer: Response) -> ApiError {
        let (status, html) = (answer.status(), is_html(&answer));
        let location = answer.headers().get(header::LOCATION);
        if let (true, Some(location)) = (status.is_redirection(), location) {
            let location = display_address(&String::from_utf8_lossy(location.as_bytes()));
            let source = AnswerError::Redirect { status, location };
            return ApiError { target: self, kind: ErrorKind::Refused, source };
        }
        let body = answer.text().await.unwrap_or_default();
        if html {
            // Its status is that of a proxy: a 404 or 410 of a proxy does not close the attempt.
            return self.unavailable(AnswerError::Html { status, title: html_title(&body) });
        }
        let source = AnswerError::Status { status, detail: detail(&body) };
        ApiError { target: self, kind: kind_of(status), source }
    }
}

impl ApiError {
    /// The api-server has not stored what it should.
    pub(crate) fn not_stored(action: &'static str, detail: &str) -> Self {
        let source = AnswerError::NotStored { detail: detail.to_owned() };
        Self { target: Target::new(action, "the api-server"), kind: ErrorKind::Refused, source }
    }
}

#[cfg(test)]
impl ApiError {
    /// An error of a test server.
    pub(crate) fn scripted(kind: ErrorKind) -> Self {
        let source = AnswerError::Status { status: StatusCode::IM_A_TEAPOT, detail: None };
        Self { target: Target::new("store the log", "http://server/log"), kind, source }
    }
}

/// Returns whether an answer is an HTML page. The api-server sends none to an executor.
pub(super) fn is_html(answer: &Response) -> bool {
    let content_type = answer.headers().get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    content_type.is_some_and(|value| value.trim_start().to_ascii_lowercase().starts_with("text/html"))
}

fn html_title(page: &str) -> Option<String> {
    let lower = page.to_ascii_lowercase();
    let start = lower.find("<title>")? + "<title>".len();
    let length = lower[start..].find("</title>")?;
    shortened(&page[start..start + length])
}

/// Returns the sentence of a problem detail (RFC 9457), or the beginning of any other text.
fn detail(body: &str) -> Option<String> {
    #[derive(Deserialize)]
    struct Problem {
        detail: String,
    }
    match serde_json::from_str::<Problem>(body) {
        Ok(problem) => shortened(&problem.detail),
        Err(_) => shortened(body),
    }
}

fn shortened(text: &str) -> Option<String> {
    let text: String = text.trim().chars().take(MAX_SHOWN_CHARS).collect();
    (!text.is_empty()).then_some(text)
}

fn optional(prefix: &str, text: Option<&String>) -> String {
    text.map(|text| format!("{prefix}{text}")).unwrap_or_default()
}

/// Formats an address without the parts that may hold credentials.
pub(crate) fn display_address(address: &str) -> String {
    let Ok(mut url) = Url::parse(address) else {
        return address.split(['?', '#']).next().unwrap_or_default().to_owned();
    };
    // These fail for an address without a host, which has no user name or password.
    let _ = url.set_username("");
    let _ = url.set_password(None);
    url.set_query(None);
    url.set_fragment(None);
    url.into()
}

fn kind_of(status: StatusCode) -> ErrorKind {
    match status {
        StatusCode::CONFLICT => ErrorKind::Conflict,
        StatusCode::GONE => ErrorKind::Closed,
        StatusCode::NOT_FOUND => ErrorKind::NotFound,
        StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_MANY_REQUESTS => ErrorKind::Unavailable,
        status if status.is_server_error() => ErrorKind::Unavailable,
        _ => ErrorKind::Refused,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classifies_status_codes() {
        let cases = [
            (400, ErrorKind::Refused),
            (401, ErrorKind::Refused),
            (403, ErrorKind::Refused),
            (404, ErrorKind::NotFound),
            (408, ErrorKind::Unavailable),
            (409, ErrorKind::Conflict),
            (410, ErrorKind::Closed),
            (413, ErrorKind::Refused),
            (429, ErrorKind::Unavailable),
            (500, ErrorKind::Unavailable),
            (503, ErrorKind::Unavailable),
        ];
        for (status, kind) in cases {
            assert_eq!(kind_of(StatusCode::from_u16(status).unwrap()), kind, "{status}");
        }
    }

    #[test]
    fn reads_detail_of_problem_and_start_of_other_texts() {
        let problem = r#"{"type":"about:blank","title":"Gone","status":410,"detail":"the attempt is over"}"#;
        assert_eq!(detail(problem).as_deref(), Some("the attempt is over"));
        assert_eq!(detail("  plain\n").as_deref(), Some("plain"));
        assert_eq!(detail(&"é".repeat(1000)).map(|text| text.chars().count()), Some(MAX_SHOWN_CHARS));
        assert_eq!(detail(" \n"), None);
    }

    #[test]
    fn reads_title_of_html_page() {
        assert_eq!(html_title("<HTML><Title> 502 Bad Gateway </TITLE>").as_deref(), Some("502 Bad Gateway"));
        assert_eq!(html_title("<title>İ</title>").as_deref(), Some("İ"));
        for page in ["", "<title>", "</title><title>", "<title></title>"] {
            assert_eq!(html_title(page), None, "{page}");
        }
    }

    #[test]
    fn hides_credentials_of_address() {
        assert_eq!(
            display_address("https://me:secret@host:8443/a/b?token=secret#x"),
            "https://host:8443/a/b"
        );
        assert_eq!(display_address("/relative?token=secret"), "/relative");
    }
}
