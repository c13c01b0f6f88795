//! Which system calls the processes of a pod may make.

use std::fmt;

use super::EntryError;
use crate::unknown;

/// Which system calls the processes of a pod may make:
/// <https://kubernetes.io/docs/tutorials/security/seccomp/>.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SeccompProfile {
    /// Those of the default profile of the container runtime.
    RuntimeDefault,
    /// All.
    Unconfined,
    /// Those of a profile of the node, by its path below the kubelet's folder of profiles:
    /// a relative one without `..`.
    Localhost(String),
}

const RUNTIME_DEFAULT: &str = "RuntimeDefault";
const UNCONFINED: &str = "Unconfined";
const LOCALHOST: &str = "Localhost";

impl SeccompProfile {
    /// Returns the name that Kubernetes gives this type of profile.
    #[must_use]
    pub const fn type_name(&self) -> &'static str {
        match self {
            Self::RuntimeDefault => RUNTIME_DEFAULT,
            Self::Unconfined => UNCONFINED,
            Self::Localhost(_) => LOCALHOST,
        }
    }

    /// Returns the path of a profile of the node.
    #[must_use]
    pub fn localhost_profile(&self) -> Option<&str> {
        match self {
            Self::Localhost(path) => Some(path),
            Self::RuntimeDefault | Self::Unconfined => None,
        }
    }

    pub(super) fn parse(entry: &str, value: &str) -> Result<Self, EntryError> {
        match value.split_once('/') {
            None if value == RUNTIME_DEFAULT => return Ok(Self::RuntimeDefault),
            None if value == UNCONFINED => return Ok(Self::Unconfined),
            Some((LOCALHOST, path)) if is_relative(path) => return Ok(Self::Localhost(path.to_owned())),
            Some((LOCALHOST, path)) => {
                let expected = format!("a relative path without `..` after {LOCALHOST}/, not {path:?}");
                return Err(EntryError::new(entry, expected));
            }
            _ => {}
        }
        let expected = format!("{RUNTIME_DEFAULT}, {UNCONFINED} or {LOCALHOST}/<path>, not {value:?}");
        let error = EntryError::new(entry, expected);
        let kind = value.split_once('/').map_or(value, |(kind, _)| kind);
        Err(match unknown::nearest(kind, [RUNTIME_DEFAULT, UNCONFINED, LOCALHOST]) {
            Some(LOCALHOST) => error.with_hint(format!(
                "write {LOCALHOST}/ and the path of the profile below the kubelet's folder of profiles"
            )),
            Some(near) => error.with_hint(format!("did you mean {near:?}?")),
            None => error,
        })
    }
}

/// The rule of Kubernetes for `localhostProfile`, and no characters that end a line.
fn is_relative(path: &str) -> bool {
    !path.is_empty()
        && !path.starts_with('/')
        && path.split('/').all(|part| part != "..")
        && !path.chars().any(char::is_control)
}

impl fmt::Display for SeccompProfile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.type_name())?;
        match self {
            Self::Localhost(path) => write!(f, "/{path}"),
            Self::RuntimeDefault | Self::Unconfined => Ok(()),
        }
    }
}
