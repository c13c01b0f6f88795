//! Responses of the server: objects, the `Status` object of a refusal, and endless streams.

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

/// The data of one frame of a response.
pub(super) type Bytes = <Body as http_body::Body>::Data;

/// A response body of several frames, which may be endless.
pub(super) struct Frames(BoxStream<'static, io::Result<Bytes>>);

impl http_body::Body for Frames {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, Self::Error>>> {
        self.0.poll_next_unpin(context).map(|frame| frame.map(|frame| frame.map(Frame::data)))
    }
}

pub(super) type ServerResponse = Response<Frames>;

/// Returns a response with one JSON object.
pub(super) fn object(code: u16, body: &Value) -> ServerResponse {
    whole(code, "application/json", body.to_string())
}

/// Returns a response with a stream of lines.
pub(super) fn lines(lines: BoxStream<'static, io::Result<Bytes>>) -> ServerResponse {
    let mut response = Response::new(Frames(lines));
    response.headers_mut().insert("content-type", http::HeaderValue::from_static("application/json"));
    response
}

/// Returns a response with plain text, as proxies and the flow control of the API server do.
pub(super) fn text(code: u16, body: &str) -> ServerResponse {
    whole(code, "text/plain; charset=utf-8", body.to_owned())
}

/// Returns the refusal of an overloaded server; fixture `rate-limited-429`.
pub(super) fn too_many_requests() -> ServerResponse {
    let mut response = text(429, "Too many requests, please try again later.\n");
    response.headers_mut().insert("retry-after", http::HeaderValue::from_static("1"));
    response
}

/// Returns a refusal with its reason.
pub(super) fn status(code: u16, reason: &str, message: &str, details: Value) -> ServerResponse {
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

/// Returns the refusal for an object that does not exist; fixture `not-found-404`.
pub(super) fn not_found(resource: &Resource, name: &str) -> ServerResponse {
    let message = format!("{} {name:?} not found", resource.qualified());
    status(404, "NotFound", &message, resource.details(name, &resource.plural))
}

fn whole(code: u16, content_type: &'static str, body: String) -> ServerResponse {
    let mut response = Response::new(Frames(stream::iter([Ok(Bytes::from(body))]).boxed()));
    *response.status_mut() = http::StatusCode::from_u16(code).expect("the server uses only valid codes");
    response.headers_mut().insert("content-type", http::HeaderValue::from_static(content_type));
    response
}
