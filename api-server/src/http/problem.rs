//! Errors of the HTTP API: problem details after [RFC 9457](https://www.rfc-editor.org/rfc/rfc9457).
//!
//! The only place where an error becomes a status code. Errors of the client are answered in full; details of
//! internal errors go to the server's log only.

use axum::{
    Json,
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde::Serialize;
use serde_json::json;

use super::warning::WarningView;
use crate::{blobs::BlobError, services::chain, store::StoreError};

/// One error in what a client sent or has configured.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct FieldError {
    /// The source of the value.
    pub(super) source: String,
    /// The field, setting or variable.
    pub(super) key: String,
    /// What was found.
    pub(super) found: Option<String>,
    /// What was expected.
    pub(super) expected: String,
    /// How to fix it.
    pub(super) hint: Option<String>,
}

impl FieldError {
    /// Returns an error of a field in the body of a request.
    pub(super) fn in_body(key: &str, found: impl Into<Option<String>>, expected: &str) -> Self {
        Self {
            source: "request".to_owned(),
            key: key.to_owned(),
            found: found.into(),
            expected: expected.to_owned(),
            hint: None,
        }
    }
}

/// An error response.
#[derive(Debug)]
pub(super) struct Problem {
    status: StatusCode,
    detail: String,
    errors: Vec<FieldError>,
    warnings: Vec<WarningView>,
}

impl Problem {
    /// Returns a problem with a status and a detail.
    pub(super) fn new(status: StatusCode, detail: impl Into<String>) -> Self {
        Self { status, detail: detail.into(), errors: Vec::new(), warnings: Vec::new() }
    }

    /// Returns a 422 with all errors that were found.
    pub(super) fn invalid(detail: impl Into<String>, errors: Vec<FieldError>) -> Self {
        Self { errors, ..Self::new(StatusCode::UNPROCESSABLE_ENTITY, detail) }
    }

    /// Adds what is wrong with one field.
    #[must_use]
    pub(super) fn with_problem(mut self, error: FieldError) -> Self {
        self.errors.push(error);
        self
    }

    /// Adds warnings: problems that the request did not cause.
    #[must_use]
    pub(super) fn with_warnings(mut self, warnings: Vec<WarningView>) -> Self {
        self.warnings = warnings;
        self
    }

    /// Returns a 401 that says which header is expected, and where the first token is.
    #[must_use]
    pub(super) fn unauthorized(headers: &HeaderMap) -> Self {
        let found = if headers.contains_key(header::AUTHORIZATION) {
            "the token in the header `Authorization` is not valid"
        } else {
            "there is no header `Authorization`"
        };
        let detail = format!(
            "{found}; expected `Bearer TOKEN`, or the token as the password of `Basic`. The first start of \
             the server writes a token to the file admin-token in its data folder"
        );
        Self::new(StatusCode::UNAUTHORIZED, detail)
    }

    /// Returns a 403: the token is valid, but not for this request.
    #[must_use]
    pub(super) fn forbidden() -> Self {
        Self::new(StatusCode::FORBIDDEN, "this token is not good for this request; nothing was stored")
    }

    /// Returns a 404 for an attempt.
    #[must_use]
    pub(super) fn no_attempt() -> Self {
        Self::new(StatusCode::NOT_FOUND, "there is no such attempt")
    }

    /// Returns a 410: the attempt has ended, and nothing of it is stored any more.
    #[must_use]
    pub(super) fn attempt_over() -> Self {
        Self::new(StatusCode::GONE, "the attempt has ended; nothing was read or stored")
    }

    fn internal(error: &dyn std::error::Error) -> Self {
        tracing::error!(error = chain(error), "a request failed");
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "internal error; the log of the server has the details")
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let title = self.status.canonical_reason().unwrap_or("error");
        let mut body = json!({
            "type": "about:blank", "title": title, "status": self.status.as_u16(), "detail": self.detail,
        });
        if !self.errors.is_empty() {
            body["problems"] = json!(self.errors);
        }
        if !self.warnings.is_empty() {
            body["warnings"] = json!(self.warnings);
        }
        let mut response = (self.status, Json(body)).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, header::HeaderValue::from_static("application/problem+json"));
        if self.status == StatusCode::UNAUTHORIZED {
            // Users send the first scheme, Terraform's http backend the second.
            headers.append(header::WWW_AUTHENTICATE, header::HeaderValue::from_static("Bearer"));
            headers
                .append(header::WWW_AUTHENTICATE, header::HeaderValue::from_static("Basic realm=\"state\""));
        }
        response
    }
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        match &error {
            StoreError::NotFound { .. } => Self::new(StatusCode::NOT_FOUND, error.to_string()),
            StoreError::Exists { .. } | StoreError::Conflict(_) => {
                Self::new(StatusCode::CONFLICT, error.to_string())
            }
            StoreError::Database { .. } => {
                tracing::error!(error = chain(&error), "the store failed");
                Self::new(StatusCode::SERVICE_UNAVAILABLE, "the store is unavailable; try again")
            }
            StoreError::Sealed(_)
            | StoreError::WrongKey
            | StoreError::LeaseLost { .. }
            | StoreError::Corrupt(_) => Self::internal(&error),
        }
    }
}

impl From<BlobError> for Problem {
    fn from(error: BlobError) -> Self {
        Self::internal(&error)
    }
}

impl From<std::io::Error> for Problem {
    fn from(error: std::io::Error) -> Self {
        Self::internal(&error)
    }
}

impl From<&config_core::Problem> for FieldError {
    fn from(problem: &config_core::Problem) -> Self {
        Self {
            source: problem.origin.source.as_str().to_owned(),
            key: problem.origin.key.clone(),
            found: problem.found.clone(),
            expected: problem.expected.clone(),
            hint: problem.hint.clone(),
        }
    }
}

impl From<config_core::Problems> for Problem {
    fn from(problems: config_core::Problems) -> Self {
        Self::invalid(problems.to_string(), problems.iter().map(Into::into).collect())
    }
}
