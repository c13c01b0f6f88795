//! Faults of single requests: on the network, or in the server.

use std::time::Duration;

use super::request::Verb;

/// A request, for the decision about its fault.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Request {
    /// The verb, as rights name it.
    pub verb: Verb,
    /// The plural name: `jobs`, `secrets`.
    pub resource: String,
    /// The object; empty for requests on all objects.
    pub name: String,
}

/// What the client gets in place of the response.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum ResponseFault {
    /// The response itself.
    #[default]
    None,
    /// Nothing: the connection breaks.
    ConnectionReset,
    /// A refusal with this code, and with the message of a failing server.
    Refusal(u16),
}

/// The fault of one request. The default is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Fault {
    /// How long the request takes to the server.
    pub request_delay: Duration,
    /// The request has no effect.
    pub lost: bool,
    /// The request arrives twice; the client gets the second response.
    pub duplicated: bool,
    /// How long the response takes to the client. Watches may report the effect earlier.
    pub response_delay: Duration,
    /// What the client gets in place of the response.
    pub response: ResponseFault,
}

impl Fault {
    /// The connection breaks before the request arrives.
    pub const BROKEN_BEFORE: Self = Self {
        request_delay: Duration::ZERO,
        lost: true,
        duplicated: false,
        response_delay: Duration::ZERO,
        response: ResponseFault::ConnectionReset,
    };

    /// The request is carried out, and the connection breaks before the response.
    pub const BROKEN_AFTER: Self = Self { lost: false, ..Self::BROKEN_BEFORE };

    /// Returns no fault.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The request is refused with this code and has no effect.
    #[must_use]
    pub const fn refused(code: u16) -> Self {
        Self { response: ResponseFault::Refusal(code), ..Self::BROKEN_BEFORE }
    }

    /// Delays the request.
    #[must_use]
    pub const fn request_delay(mut self, delay: Duration) -> Self {
        self.request_delay = delay;
        self
    }

    /// Sends the request twice.
    #[must_use]
    pub const fn duplicated(mut self) -> Self {
        self.duplicated = true;
        self
    }

    /// Delays the response.
    #[must_use]
    pub const fn response_delay(mut self, delay: Duration) -> Self {
        self.response_delay = delay;
        self
    }

    /// Replaces the response; the request has its effect.
    #[must_use]
    pub const fn response(mut self, response: ResponseFault) -> Self {
        self.response = response;
        self
    }
}
