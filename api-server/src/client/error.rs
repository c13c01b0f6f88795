//! What can go wrong with a request.

use reqwest::StatusCode;
use serde::Deserialize;
use serde_json::Value;

/// A request that failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ClientError {
    /// The server could not be reached, or its answer broke off.
    #[error("{request} failed")]
    Request {
        /// Method and path.
        request: String,
        /// Why.
        source: reqwest::Error,
    },
    /// The server answered with an error.
    #[error("{request} failed with {status}: {message}")]
    Refused {
        /// Method and path.
        request: String,
        /// The HTTP status.
        status: StatusCode,
        /// The error message of the server, with all its problems.
        message: String,
    },
    /// The answer has another form than this version of the client expects.
    #[error("the answer to {request} is not what was expected")]
    Decode {
        /// Method and path.
        request: String,
        /// Where.
        source: serde_json::Error,
    },
    /// A stream broke off, again and again.
    #[error("{request} broke off")]
    Broken {
        /// Method and path.
        request: String,
    },
}

/// Problem details (RFC 9457), as far as they are shown.
#[derive(Deserialize)]
struct ProblemDetails {
    title: Option<String>,
    detail: Option<String>,
    #[serde(default)]
    problems: Vec<Value>,
}

impl ClientError {
    pub(super) fn refused(request: &str, status: StatusCode, body: &str) -> Self {
        Self::Refused { request: request.to_owned(), status, message: message(body) }
    }
}

/// Returns the error message in the body of an error response.
fn message(body: &str) -> String {
    let Ok(details) = serde_json::from_str::<ProblemDetails>(body) else { return body.trim().to_owned() };
    let summary = details.detail.or(details.title).unwrap_or_else(|| body.trim().to_owned());
    let problems = details.problems.iter().map(Value::to_string);
    std::iter::once(summary).chain(problems).collect::<Vec<_>>().join("; ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn message_of_a_refused_request_is_that_of_the_server() {
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
            assert_eq!(message(body), expected);
        }
    }
}
