//! What is wrong with the JSON of a payload, told without a piece of the payload.

use std::fmt;

/// A fault in JSON: its kind and place.
///
/// The JSON library quotes what it found, and that may be a password that stands in the wrong field. Only what was
/// expected is kept of its words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JsonFault {
    what: String,
    line: usize,
    column: usize,
}

impl JsonFault {
    pub(super) fn of(error: &serde_json::Error) -> Self {
        let text = error.to_string();
        // Faults of the grammar are told in fixed words, those of the data quote what was found.
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

impl fmt::Display for JsonFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { what, line, column } = self;
        write!(f, "{what} at line {line} column {column}")
    }
}

impl std::error::Error for JsonFault {}
