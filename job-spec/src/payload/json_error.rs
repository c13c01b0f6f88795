//! Errors in the JSON of a payload, without any part of the payload.

use std::fmt;

/// A JSON error: its kind and position.
///
/// The JSON library quotes what it found, which may be a password in the wrong field. Only what it expected
/// is kept of its message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JsonError {
    what: String,
    line: usize,
    column: usize,
}

impl JsonError {
    pub(super) fn of(error: &serde_json::Error) -> Self {
        let text = error.to_string();
        // Messages about the syntax are fixed texts, those about the data quote what was found.
        let what = if !error.is_data() || text.starts_with("missing field") {
            text.rsplit_once(" at line ").map_or(text.as_str(), |(what, _)| what).to_owned()
        } else {
            match text.rsplit_once(", expected ") {
                Some((_, rest)) => {
                    format!(
                        "expected {}",
                        rest.rsplit_once(" at line ").map_or(rest, |(expected, _)| expected)
                    )
                }
                None => "a value is not of the expected kind".to_owned(),
            }
        };
        Self { what, line: error.line(), column: error.column() }
    }
}

impl fmt::Display for JsonError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { what, line, column } = self;
        write!(f, "{what} at line {line} column {column}")
    }
}

impl std::error::Error for JsonError {}
