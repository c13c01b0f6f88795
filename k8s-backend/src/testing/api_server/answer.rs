//! Answers of the server: objects, the `Status` object of a refusal, and streams that may go on for ever.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll},
};

use futures::{
    StreamExt as _,
    stream::{self, BoxStream},
};
use http::Response;
use http_body::Frame;
use kube::client::Body;
use serde_json::{Value, json};

use super::request::Resource;

/// What one frame of an answer is made of.
pub(super) type Bytes = <Body as http_body::Body>::Data;

/// An answer that comes in pieces and may go on for ever.
pub(super) struct Pieces(BoxStream<'static, io::Result<Bytes>>);

impl http_body::Body for Pieces {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, Self::Error>>> {
        self.0.poll_next_unpin(context).map(|piece| piece.map(|piece| piece.map(Frame::data)))
    }
}

pub(super) type Answer = Response<Pieces>;

/// Answers with one JSON object.
pub(super) fn object(code: u16, body: &Value) -> Answer {
    whole(code, "application/json", body.to_string())
}

/// Answers with a stream of lines.
pub(super) fn lines(lines: BoxStream<'static, io::Result<Bytes>>) -> Answer {
    let mut answer = Response::new(Pieces(lines));
    answer.headers_mut().insert("content-type", http::HeaderValue::from_static("application/json"));
    answer
}

/// Answers with words that are no JSON, as proxies and the flow control of the API server do.
pub(super) fn text(code: u16, body: &str) -> Answer {
    whole(code, "text/plain; charset=utf-8", body.to_owned())
}

/// Answers that there is too much to do; fixture `rate-limited-429`.
pub(super) fn too_many_requests() -> Answer {
    let mut answer = text(429, "Too many requests, please try again later.\n");
    answer.headers_mut().insert("retry-after", http::HeaderValue::from_static("1"));
    answer
}

/// A refusal with its reason.
pub(super) fn status(code: u16, reason: &str, message: &str, details: Value) -> Answer {
    object(code, &status_object(code, reason, message, details))
}

pub(super) fn status_object(code: u16, reason: &str, message: &str, details: Value) -> Value {
    let mut status = json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
        "message": message, "code": code});
    if !reason.is_empty() {
        status["reason"] = json!(reason);
    }
    if !details.is_null() {
        status["details"] = details;
    }
    status
}

/// The object is not there; fixture `not-found-404`.
pub(super) fn not_found(resource: &Resource, name: &str) -> Answer {
    let message = format!("{} {name:?} not found", resource.qualified());
    status(404, "NotFound", &message, resource.details(name, &resource.plural))
}

fn whole(code: u16, content_type: &'static str, body: String) -> Answer {
    let mut answer = Response::new(Pieces(stream::iter([Ok(Bytes::from(body))]).boxed()));
    *answer.status_mut() =
        http::StatusCode::from_u16(code).expect("the double answers only with codes that exist");
    answer.headers_mut().insert("content-type", http::HeaderValue::from_static(content_type));
    answer
}
