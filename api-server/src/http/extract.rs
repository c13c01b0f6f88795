//! Extractors of axum whose rejections are problem details, and whose bodies are bounded in size and time.

use std::error::Error as _;

use axum::{
    Json,
    body::Bytes,
    extract::{
        FromRequest, FromRequestParts, Request,
        path::ErrorKind,
        rejection::{JsonRejection, PathRejection, QueryRejection},
    },
    http::{StatusCode, header, request::Parts},
};
use futures::{StreamExt as _, stream};
use serde::de::DeserializeOwned;
use tokio::time::{Instant, timeout_at};

use super::problem::{FieldError, Problem};
use crate::{
    blobs::{Blobs, StoredBlob},
    limits::{BODY_IDLE_TIMEOUT, BODY_TIMEOUT, UPLOAD},
    services::chain,
};

const LATE: &str = "it did not arrive in time";

/// Parameters of the path.
#[derive(Debug)]
pub(super) struct Path<T>(pub(super) T);

/// Parameters of the query.
#[derive(Debug)]
pub(super) struct Query<T>(pub(super) T);

/// A JSON body.
#[derive(Debug)]
pub(super) struct Body<T>(pub(super) T);

/// A body of any bytes.
#[derive(Debug)]
pub(super) struct RawBody(pub(super) Bytes);

impl<S: Send + Sync, T: DeserializeOwned + Send> FromRequestParts<S> for Path<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        match axum::extract::Path::from_request_parts(parts, state).await {
            Ok(axum::extract::Path(value)) => Ok(Self(value)),
            Err(rejection) => Err(path_problem(&rejection)),
        }
    }
}

impl<S: Send + Sync, T: DeserializeOwned> FromRequestParts<S> for Query<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        match axum::extract::Query::from_request_parts(parts, state).await {
            Ok(axum::extract::Query(value)) => Ok(Self(value)),
            Err(rejection) => Err(query_problem(&rejection)),
        }
    }
}

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for Body<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        match Json::<T>::from_request(request.map(timed), state).await {
            Ok(Json(value)) => Ok(Self(value)),
            Err(rejection) => Err(json_problem(&rejection)),
        }
    }
}

impl<S: Send + Sync> FromRequest<S> for RawBody {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        match Bytes::from_request(request.map(timed), state).await {
            Ok(bytes) => Ok(Self(bytes)),
            Err(rejection) => Err(Problem::new(rejection.status(), rejection.body_text())),
        }
    }
}

/// A large body, which goes to storage while it arrives.
#[derive(Debug)]
pub(super) struct Upload(axum::body::Body);

impl<S: Send + Sync> FromRequest<S> for Upload {
    type Rejection = Problem;

    async fn from_request(request: Request, _: &S) -> Result<Self, Problem> {
        let length = request.headers().get(header::CONTENT_LENGTH);
        let length = length.and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
        if length.is_some_and(|length| length > UPLOAD) {
            return Err(too_large(UPLOAD));
        }
        Ok(Self(timed(request.into_body())))
    }
}

impl Upload {
    /// Stores the body under a new name.
    ///
    /// # Errors
    /// 413 when it is too large, 400 when it breaks off, 408 when it stops to arrive.
    pub(super) async fn store(self, blobs: &Blobs, name: &str) -> Result<StoredBlob, Problem> {
        let mut writer = blobs.writer(name).await?;
        let mut body = self.0.into_data_stream();
        while let Some(bytes) = body.next().await {
            let bytes = bytes.map_err(|error| incomplete(&error))?;
            if writer.size() + bytes.len() as u64 > UPLOAD {
                return Err(too_large(UPLOAD));
            }
            writer.write(bytes).await?;
        }
        Ok(writer.finish().await?)
    }

    /// Reads a small body into memory.
    ///
    /// # Errors
    /// As of [`store`](Self::store).
    pub(super) async fn bytes(self, limit: u64) -> Result<Vec<u8>, Problem> {
        let mut all = Vec::new();
        let mut body = self.0.into_data_stream();
        while let Some(bytes) = body.next().await {
            let bytes = bytes.map_err(|error| incomplete(&error))?;
            if all.len() as u64 + bytes.len() as u64 > limit {
                return Err(too_large(limit));
            }
            all.extend_from_slice(&bytes);
        }
        Ok(all)
    }
}

/// Bounds how long a body takes: the time between two pieces, and the whole.
fn timed(body: axum::body::Body) -> axum::body::Body {
    let end = Instant::now() + BODY_TIMEOUT;
    let pieces = stream::unfold(body.into_data_stream(), move |mut body| async move {
        let deadline = end.min(Instant::now() + BODY_IDLE_TIMEOUT);
        if let Ok(piece) = timeout_at(deadline, body.next()).await {
            return piece.map(|piece| (piece, body));
        }
        let late = std::io::Error::new(std::io::ErrorKind::TimedOut, LATE);
        Some((Err(axum::Error::new(late)), axum::body::Body::empty().into_data_stream()))
    });
    axum::body::Body::from_stream(pieces)
}

fn too_large(limit: u64) -> Problem {
    Problem::new(StatusCode::PAYLOAD_TOO_LARGE, format!("the body is larger than {limit} bytes"))
}

fn incomplete(error: &axum::Error) -> Problem {
    let text = chain(error);
    let status = if text.contains(LATE) { StatusCode::REQUEST_TIMEOUT } else { StatusCode::BAD_REQUEST };
    Problem::new(status, format!("the body is incomplete: {text}"))
}

fn path_problem(rejection: &PathRejection) -> Problem {
    let PathRejection::FailedToDeserializePathParams(error) = rejection else {
        return Problem::new(rejection.status(), rejection.body_text());
    };
    let (key, value, expected) = match error.kind() {
        ErrorKind::ParseErrorAtKey { key, value, expected_type } => (key.as_str(), value, *expected_type),
        ErrorKind::ParseErrorAtIndex { value, expected_type, .. }
        | ErrorKind::ParseError { value, expected_type } => ("", value, *expected_type),
        _ => return Problem::new(rejection.status(), rejection.body_text()),
    };
    let expected = if expected == "i64" { "a number" } else { expected };
    let detail = format!("the path has {value:?} where {expected} is expected");
    Problem::new(rejection.status(), detail).with_problem(FieldError {
        source: "path".to_owned(),
        ..FieldError::in_body(key, value.clone(), expected)
    })
}

fn query_problem(rejection: &QueryRejection) -> Problem {
    let text = rejection.source().map_or_else(|| rejection.body_text(), ToString::to_string);
    let (key, expected) = text.split_once(": ").unwrap_or(("", &text));
    let error = FieldError { source: "query".to_owned(), ..FieldError::in_body(key, None, expected) };
    Problem::new(rejection.status(), format!("the query is not valid: {text}")).with_problem(error)
}

fn json_problem(rejection: &JsonRejection) -> Problem {
    let JsonRejection::JsonDataError(error) = rejection else {
        return Problem::new(rejection.status(), rejection.body_text());
    };
    // `name: invalid type: integer `1`, expected a string at line 1 column 9`
    let text = error.source().map_or_else(|| error.body_text(), ToString::to_string);
    let (key, expected) = text.split_once(": ").unwrap_or(("", &text));
    let error = FieldError::in_body(key, None, expected);
    Problem::invalid(format!("the body is not valid: {text}"), vec![error])
}

#[cfg(test)]
mod tests {
    use std::{convert::Infallible, time::Duration};

    use super::*;

    /// Sends one piece, and then nothing more.
    fn stopped() -> axum::body::Body {
        let first = stream::iter([Ok::<_, Infallible>("piece")]);
        axum::body::Body::from_stream(first.chain(stream::pending()))
    }

    #[tokio::test(start_paused = true)]
    async fn body_that_stops_to_arrive_is_given_up() {
        let start = Instant::now();
        let problem = Upload(timed(stopped())).bytes(100).await.unwrap_err();
        assert_eq!(start.elapsed(), BODY_IDLE_TIMEOUT);
        assert!(format!("{problem:?}").contains("status: 408"), "{problem:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn body_that_arrives_slowly_is_given_up_in_the_end() {
        let start = Instant::now();
        let pieces = stream::unfold((), |()| async {
            tokio::time::sleep(Duration::from_secs(20)).await; // virtual time
            Some((Ok::<_, Infallible>("x"), ()))
        });
        let slow = Upload(timed(axum::body::Body::from_stream(pieces)));
        assert!(format!("{:?}", slow.bytes(1000).await).contains("status: 408"));
        assert_eq!(start.elapsed(), BODY_TIMEOUT);
    }
}
