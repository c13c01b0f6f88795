//! Lists of names of objects of the cluster, separated by `,`.
//!
//! Only form: whether an object of that name exists is not this module's business.

use std::{fmt, str::FromStr};

use super::{EntryError, ListError};
use crate::kubernetes::Rule;

/// A list of names, separated by `,`; it has at least one, and each is a DNS subdomain.
///
/// Spaces around the names are dropped, empty items skipped.
///
/// ```
/// use config_core::value::Names;
/// let names: Names = "executor-secrets, cloud.credentials,".parse()?;
/// assert_eq!(names.iter().collect::<Vec<_>>(), ["executor-secrets", "cloud.credentials"]);
/// assert_eq!(names.to_string(), "executor-secrets,cloud.credentials");
/// # Ok::<(), config_core::value::ListError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Names(Vec<String>);

impl Names {
    /// Iterates over the names in the order in which they were written.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(String::as_str)
    }
}

impl FromStr for Names {
    type Err = ListError;

    /// # Errors
    /// Every item that is no DNS subdomain, or the whole text if it has no item.
    fn from_str(text: &str) -> Result<Self, ListError> {
        let items = || text.split(',').map(str::trim).filter(|item| !item.is_empty());
        let expected = Rule::DnsSubdomain.expected();
        let mut errors: Vec<EntryError> = items()
            .filter(|item| !Rule::DnsSubdomain.holds(item))
            .map(|item| EntryError::new(item, expected))
            .collect();
        if items().next().is_none() {
            errors.push(EntryError::new(text, "at least one name").with_hint("remove it instead"));
        }
        ListError::none_or(errors, Self(items().map(str::to_owned).collect()))
    }
}

impl fmt::Display for Names {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.join(","))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn accepted_lists() {
        for (text, printed) in [("a", "a"), ("a,b", "a,b"), (" a ,, b.c ,", "a,b.c"), ("b,a,b", "b,a,b")] {
            assert_eq!(
                text.parse::<Names>().map(|names| names.to_string()).as_deref(),
                Ok(printed),
                "{text:?}"
            );
        }
    }

    #[test]
    fn refused_lists() {
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
        fn any_text_is_read_or_refused_without_a_panic(text in ".*|[a-c,. -]*") {
            let _ = text.parse::<Names>();
        }

        #[test]
        fn what_was_read_prints_and_reads_as_itself(text in "([a-c]{0,2}(\\.[a-c])?[, ]{0,2}){0,6}") {
            if let Ok(names) = text.parse::<Names>() {
                prop_assert_eq!(names.to_string().parse::<Names>(), Ok(names));
            }
        }
    }
}
