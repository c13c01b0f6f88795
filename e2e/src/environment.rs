//! The environment of these programs.

use std::ffi::OsString;

/// Returns an environment variable, empty if it is not set.
#[expect(clippy::disallowed_methods, reason = "the one place where these programs read the environment")]
pub(crate) fn variable(name: &str) -> OsString {
    std::env::var_os(name).unwrap_or_default()
}
