//! The small grammars of workspace variables, one type each with `FromStr` and `Display`.
//!
//! A list is parsed to its end, so every faulty entry is reported, not only the first one.
//! The caller adds the origin.

use std::fmt;

use crate::names::NameError;

mod count;
mod delivery;
mod env_vars;
mod host_aliases;
mod image_pull_policy;
mod key_values;
mod metadata;
mod name_list;
mod quantity;
mod seconds;
mod security;
mod tolerations;
mod yaml;

pub(crate) use count::COUNT;
pub use count::Count;
pub use delivery::{Deliveries, Delivery};
pub use env_vars::EnvVars;
pub use host_aliases::{HostAlias, HostAliases};
pub use image_pull_policy::ImagePullPolicy;
pub use key_values::KeyValues;
#[cfg(test)]
pub(crate) use metadata::MAX_ANNOTATION_BYTES;
pub use metadata::{Annotations, Labels};
pub use name_list::NameList;
pub use quantity::Quantity;
pub use seconds::Seconds;
pub(crate) use seconds::{SECONDS, SECONDS_AT_LEAST_1, positive_seconds};
pub use security::{ContainerSecurity, PodSecurity, SeccompProfile};
pub use tolerations::{TaintEffect, TaintMatch, Toleration, Tolerations};
pub use yaml::{Yaml, json_type_name};

/// A faulty entry of a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EntryError {
    /// The entry as it was written.
    pub entry: String,
    /// What was expected instead.
    pub expected: String,
    /// What to do, where that is not obvious.
    pub hint: Option<String>,
}

impl EntryError {
    pub(crate) fn new(entry: &str, expected: impl Into<String>) -> Self {
        Self { entry: entry.to_owned(), expected: expected.into(), hint: None }
    }

    pub(crate) fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

impl From<NameError> for EntryError {
    fn from(NameError { found, rule }: NameError) -> Self {
        Self::new(&found, rule.expected())
    }
}

impl fmt::Display for EntryError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { entry, expected, hint } = self;
        write!(f, "entry {entry:?}: expected {expected}")?;
        match hint {
            Some(hint) => write!(f, "; {hint}"),
            None => Ok(()),
        }
    }
}

/// Every faulty entry of a list, in the order of the list; there is at least one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListError(Vec<EntryError>);

impl std::error::Error for EntryError {}

impl From<EntryError> for ListError {
    fn from(error: EntryError) -> Self {
        Self(vec![error])
    }
}

impl From<NameError> for ListError {
    fn from(error: NameError) -> Self {
        EntryError::from(error).into()
    }
}

impl ListError {
    /// Returns `value` if there is no error.
    fn into_result<T>(errors: Vec<EntryError>, value: T) -> Result<T, Self> {
        if errors.is_empty() { Ok(value) } else { Err(Self(errors)) }
    }

    /// Iterates over the faulty entries.
    pub fn iter(&self) -> std::slice::Iter<'_, EntryError> {
        self.0.iter()
    }
}

impl<'a> IntoIterator for &'a ListError {
    type Item = &'a EntryError;
    type IntoIter = std::slice::Iter<'a, EntryError>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl fmt::Display for ListError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, error) in self.0.iter().enumerate() {
            if index > 0 {
                f.write_str(", ")?;
            }
            write!(f, "{error}")?;
        }
        Ok(())
    }
}

impl std::error::Error for ListError {}

/// The items of a list that is separated by `;`: trimmed, empty ones skipped.
fn items(text: &str) -> impl Iterator<Item = &str> {
    text.split(';').map(str::trim).filter(|item| !item.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn list_error_iterates_faulty_entries_in_order() {
        let errors = "a;b=1;c".parse::<KeyValues>().unwrap_err();
        let mut entries = Vec::new();
        for error in &errors {
            entries.push(error.entry.as_str());
        }
        assert_eq!(entries, ["a", "c"]);
    }
}
