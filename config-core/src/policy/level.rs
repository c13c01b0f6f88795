//! The levels of the Pod Security Standards.

use std::{fmt, str::FromStr};

use crate::{unknown, value::EntryError};

/// A level of the [Pod Security
/// Standards](https://kubernetes.io/docs/concepts/security/pod-security-standards/), the strictest last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum PodSecurityLevel {
    /// No restriction.
    Privileged,
    /// No known privilege escalation.
    Baseline,
    /// The current best practices of pod hardening.
    Restricted,
}

impl PodSecurityLevel {
    /// Every level.
    pub const ALL: [Self; 3] = [Self::Privileged, Self::Baseline, Self::Restricted];

    /// Returns the name that Kubernetes gives it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Privileged => "privileged",
            Self::Baseline => "baseline",
            Self::Restricted => "restricted",
        }
    }
}

impl fmt::Display for PodSecurityLevel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for PodSecurityLevel {
    type Err = EntryError;

    /// # Errors
    /// [`EntryError`] for any other text.
    fn from_str(text: &str) -> Result<Self, EntryError> {
        if let Some(level) = Self::ALL.into_iter().find(|level| level.as_str() == text) {
            return Ok(level);
        }
        let error = EntryError::new(text, "restricted, baseline or privileged");
        Err(match unknown::nearest(text, Self::ALL.map(Self::as_str)) {
            Some(near) => error.with_hint(format!("did you mean {near:?}?")),
            None => error,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parses_what_it_prints_and_suggests_the_nearest_level() {
        for level in PodSecurityLevel::ALL {
            assert_eq!(level.to_string().parse(), Ok(level));
        }
        assert_eq!(
            "Restrictd".parse::<PodSecurityLevel>().unwrap_err().to_string(),
            "entry \"Restrictd\": expected restricted, baseline or privileged; did you mean \"restricted\"?"
        );
    }
}
