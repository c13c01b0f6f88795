//! Lists of names of Kubernetes objects, separated by `,`.

use std::{fmt, str::FromStr};

use super::{EntryError, ListError};
use crate::names::NameError;

/// A list of names of one type, separated by `,`; it has at least one.
///
/// Spaces around the names are dropped, empty items are skipped.
///
/// ```
/// use config_core::{names::SecretName, value::NameList};
/// let names: NameList<SecretName> = "executor-secrets, cloud.credentials,".parse()?;
/// assert_eq!(names.iter().map(SecretName::as_str).collect::<Vec<_>>(), ["executor-secrets", "cloud.credentials"]);
/// assert_eq!(names.to_string(), "executor-secrets,cloud.credentials");
/// # Ok::<(), config_core::value::ListError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NameList<T>(Vec<T>);

impl<T> NameList<T> {
    /// Iterates over the names in the order in which they were written.
    pub fn iter(&self) -> std::slice::Iter<'_, T> {
        self.0.iter()
    }

    /// Returns the names in the order in which they were written; there is at least one.
    #[must_use]
    pub fn as_slice(&self) -> &[T] {
        &self.0
    }
}

impl<'a, T> IntoIterator for &'a NameList<T> {
    type Item = &'a T;
    type IntoIter = std::slice::Iter<'a, T>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl<T: FromStr<Err = NameError>> FromStr for NameList<T> {
    type Err = ListError;

    /// # Errors
    /// Every item that breaks the rule of its type, or the whole text if it has no item.
    fn from_str(text: &str) -> Result<Self, ListError> {
        let mut names = Vec::new();
        let mut errors = Vec::new();
        for item in text.split(',').map(str::trim).filter(|item| !item.is_empty()) {
            match item.parse() {
                Ok(name) => names.push(name),
                Err(error) => errors.push(EntryError::from(error)),
            }
        }
        if names.is_empty() && errors.is_empty() {
            errors.push(EntryError::new(text, "at least one name").with_hint("remove it instead"));
        }
        ListError::into_result(errors, Self(names))
    }
}

impl<T: fmt::Display> fmt::Display for NameList<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, name) in self.0.iter().enumerate() {
            let separator = if index == 0 { "" } else { "," };
            write!(f, "{separator}{name}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{kubernetes::Rule, names::SecretName};

    type Names = NameList<SecretName>;

    #[test]
    fn accepts_lists_with_spaces_and_empty_items() {
        for (text, printed) in [("a", "a"), ("a,b", "a,b"), (" a ,, b.c ,", "a,b.c"), ("b,a,b", "b,a,b")] {
            assert_eq!(
                text.parse::<Names>().map(|names| names.to_string()).as_deref(),
                Ok(printed),
                "{text:?}"
            );
        }
    }

    #[test]
    fn rejects_empty_lists_and_invalid_names() {
        let subdomain = Rule::DnsSubdomain.expected();
        let cases = [
            ("", "entry \"\": expected at least one name; remove it instead".to_owned()),
            (" , ", "entry \" , \": expected at least one name; remove it instead".to_owned()),
            ("a;b", format!("entry \"a;b\": expected {subdomain}")),
            ("A,b,c_d", format!("entry \"A\": expected {subdomain}, entry \"c_d\": expected {subdomain}")),
        ];
        for (text, message) in cases {
            assert_eq!(text.parse::<Names>().unwrap_err().to_string(), message, "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn parses_any_text_without_panic(text in ".*|[a-c,. -]*") {
            let _ = text.parse::<Names>();
        }

        #[test]
        fn parses_what_it_prints(text in "([a-c]{0,2}(\\.[a-c])?[, ]{0,2}){0,6}") {
            if let Ok(names) = text.parse::<Names>() {
                prop_assert_eq!(names.to_string().parse::<Names>(), Ok(names));
            }
        }
    }
}
