//! When a node pulls a container image.

use std::{fmt, str::FromStr};

use super::EntryError;
use crate::unknown;

/// When a node pulls a container image:
/// <https://kubernetes.io/docs/concepts/containers/images/#image-pull-policy>.
///
/// ```
/// use config_core::value::ImagePullPolicy;
/// assert_eq!(" IfNotPresent".parse(), Ok(ImagePullPolicy::IfNotPresent));
/// let error = "always".parse::<ImagePullPolicy>().expect_err("another case");
/// assert_eq!(
///     error.to_string(),
///     "entry \"always\": expected Always, IfNotPresent or Never; did you mean \"Always\"?"
/// );
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ImagePullPolicy {
    /// Whenever a container starts; layers that the node has are not loaded again.
    Always,
    /// Where the node does not have it.
    IfNotPresent,
    /// Not at all: the node must have it.
    Never,
}

impl ImagePullPolicy {
    /// Every policy.
    pub const ALL: [Self; 3] = [Self::Always, Self::IfNotPresent, Self::Never];

    /// Returns the name that Kubernetes gives it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Always => "Always",
            Self::IfNotPresent => "IfNotPresent",
            Self::Never => "Never",
        }
    }
}

impl FromStr for ImagePullPolicy {
    type Err = EntryError;

    /// # Errors
    /// [`EntryError`] for any other text, with the nearest name as a hint.
    fn from_str(text: &str) -> Result<Self, EntryError> {
        let text = text.trim();
        Self::ALL.into_iter().find(|policy| policy.as_str() == text).ok_or_else(|| {
            let error = EntryError::new(text, "Always, IfNotPresent or Never");
            match unknown::nearest(text, Self::ALL.map(Self::as_str)) {
                Some(near) => error.with_hint(format!("did you mean {near:?}?")),
                None => error,
            }
        })
    }
}

impl fmt::Display for ImagePullPolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn parses_what_it_prints() {
        for policy in ImagePullPolicy::ALL {
            assert_eq!(policy.to_string().parse(), Ok(policy));
            assert_eq!(format!("\t{policy} ").parse(), Ok(policy));
        }
    }

    #[test]
    fn rejects_other_texts() {
        let cases = [
            ("", "entry \"\": expected Always, IfNotPresent or Never"),
            (
                "ifnotpresent",
                "entry \"ifnotpresent\": expected Always, IfNotPresent or Never; \
                 did you mean \"IfNotPresent\"?",
            ),
            ("Nevr", "entry \"Nevr\": expected Always, IfNotPresent or Never; did you mean \"Never\"?"),
            ("Sometimes", "entry \"Sometimes\": expected Always, IfNotPresent or Never"),
            (
                "Always;",
                "entry \"Always;\": expected Always, IfNotPresent or Never; did you mean \"Always\"?",
            ),
        ];
        for (text, message) in cases {
            assert_eq!(text.parse::<ImagePullPolicy>().unwrap_err().to_string(), message, "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn parses_any_text_without_panic(text in ".*") {
            let _ = text.parse::<ImagePullPolicy>();
        }
    }
}
