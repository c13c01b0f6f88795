//! What goes wrong with one request on its way, or in the server.

use std::time::Duration;

use super::request::Verb;

/// A request as those see it who decide about trouble.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// What is wanted.
    pub verb: Verb,
    /// The plural name: `jobs`, `secrets`.
    pub resource: String,
    /// The object; empty for requests on all of them.
    pub name: String,
}

/// What the client sees of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Seen {
    /// The answer itself.
    #[default]
    Answer,
    /// Nothing: the connection breaks.
    Cut,
    /// A refusal of this code, in the words that servers in trouble use.
    Refusal(u16),
}

/// Trouble of one request. The default is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Trouble {
    /// How long the request is under way.
    pub late: Duration,
    /// The request has no effect; what the server would have answered is not seen either.
    pub lost: bool,
    /// The request arrives twice, and the second answer is the one that counts.
    pub twice: bool,
    /// How long the answer is under way. Watches may tell of the effect earlier.
    pub answer_late: Duration,
    /// What is seen of the answer.
    pub seen: Seen,
}

impl Trouble {
    /// The connection breaks before the request arrives.
    pub const CUT_BEFORE: Self =
        Self { late: Duration::ZERO, lost: true, twice: false, answer_late: Duration::ZERO, seen: Seen::Cut };

    /// The request is carried out, and the connection breaks before the answer.
    pub const CUT_AFTER: Self = Self { lost: false, ..Self::CUT_BEFORE };

    /// The request is refused with this code and has no effect.
    #[must_use]
    pub const fn refused(code: u16) -> Self {
        Self { seen: Seen::Refusal(code), ..Self::CUT_BEFORE }
    }
}
