//! Formats an error together with its sources.
//!
//! The errors of this crate print only themselves; this is the one place that walks their sources.

use std::error::Error;

/// Formats an error and its sources as one line: `a: b: c`.
pub(crate) fn chain(error: &(dyn Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}
