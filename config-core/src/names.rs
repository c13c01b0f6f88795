//! Names of Kubernetes objects as types: a value that exists satisfies its rule.
//!
//! The rules, with links, are those of [`crate::kubernetes`]. Whether an object of that name exists,
//! only a cluster knows.

use std::{borrow::Borrow, fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use crate::kubernetes::Rule;

/// A text that breaks the rule of its type.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("found {found:?}, expected {}", rule.expected())]
pub struct NameError {
    /// The text.
    pub found: String,
    /// The rule.
    pub rule: Rule,
}

/// Defines one type of names by its rule.
macro_rules! name {
    ($(#[$doc:meta])* $name:ident, $rule:expr) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        impl $name {
            /// The rule that every value satisfies.
            pub const RULE: Rule = $rule;

            /// Checks a text.
            ///
            /// # Errors
            /// [`NameError`] with the text and the rule that it breaks.
            pub fn new(text: impl Into<String>) -> Result<Self, NameError> {
                let text = text.into();
                if Self::RULE.holds(&text) {
                    Ok(Self(text))
                } else {
                    Err(NameError { found: text, rule: Self::RULE })
                }
            }

            /// Returns the text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = NameError;

            /// # Errors
            /// [`NameError`] with the text and the rule that it breaks.
            fn from_str(text: &str) -> Result<Self, NameError> {
                Self::new(text)
            }
        }

        impl TryFrom<String> for $name {
            type Error = NameError;

            fn try_from(text: String) -> Result<Self, NameError> {
                Self::new(text)
            }
        }

        impl TryFrom<&str> for $name {
            type Error = NameError;

            fn try_from(text: &str) -> Result<Self, NameError> {
                Self::new(text)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }

        impl Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }

        impl PartialEq<str> for $name {
            fn eq(&self, other: &str) -> bool {
                self.0 == other
            }
        }

        impl PartialEq<&str> for $name {
            fn eq(&self, other: &&str) -> bool {
                self.0 == *other
            }
        }

        impl From<$name> for String {
            fn from(name: $name) -> Self {
                name.0
            }
        }
    };
}

name!(
    /// Name of a namespace.
    Namespace,
    Rule::DnsLabel
);
name!(
    /// Name of a Secret.
    SecretName,
    Rule::DnsSubdomain
);
name!(
    /// Name of a config map.
    ConfigMapName,
    Rule::DnsSubdomain
);
name!(
    /// Name of a persistent volume claim.
    ClaimName,
    Rule::DnsSubdomain
);
name!(
    /// Name of a service account.
    ServiceAccountName,
    Rule::DnsSubdomain
);
name!(
    /// Name of a priority class.
    PriorityClassName,
    Rule::DnsSubdomain
);
name!(
    /// Name of a runtime class.
    RuntimeClassName,
    Rule::DnsSubdomain
);
name!(
    /// A container image.
    Image,
    Rule::ContainerImage
);
name!(
    /// Key of a label.
    LabelKey,
    Rule::LabelKey
);
name!(
    /// Value of a label.
    LabelValue,
    Rule::LabelValue
);
name!(
    /// Key of an annotation.
    AnnotationKey,
    Rule::AnnotationKey
);
name!(
    /// Path inside a container at which something is mounted.
    MountPath,
    Rule::MountPath
);

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn reports_invalid_name_with_its_rule() {
        let message = "found \"Terra_Kube\", expected a DNS label: 1 to 63 lower-case letters, digits and \
                       `-`, with a letter or digit at both ends";
        assert_eq!(Namespace::new("Terra_Kube").unwrap_err().to_string(), message);
        assert_eq!("Terra_Kube".parse::<Namespace>().unwrap_err().to_string(), message);
        assert_eq!(Namespace::try_from("Terra_Kube"), Namespace::try_from("Terra_Kube".to_owned()));
    }

    #[test]
    fn serde_checks_the_rule() {
        let name: Namespace = serde_json::from_str("\"terrakube\"").unwrap();
        assert_eq!(serde_json::to_string(&name).unwrap(), "\"terrakube\"");
        let error = serde_json::from_str::<Namespace>("\"Terra_Kube\"").unwrap_err().to_string();
        assert!(error.starts_with("found \"Terra_Kube\", expected a DNS label"), "{error}");
    }

    #[test]
    fn looks_up_map_entries_by_text() {
        let labels: BTreeMap<LabelKey, u8> = [(LabelKey::new("diskType").unwrap(), 1)].into();
        assert_eq!(labels.get("diskType"), Some(&1));
    }
}
