//! Environment variables of a container, `NAME=value` separated by `;`.
//!
//! Their values are often secret, so neither `Debug` nor an error message shows one.

use std::{collections::BTreeMap, fmt, str::FromStr};

use super::{EntryError, ListError, metadata::write_pairs};
use crate::kubernetes::Rule;

/// Environment variables, `NAME=value` separated by `;`.
///
/// The first `=` separates name from value; spaces around both are dropped; empty items are skipped; a value
/// may be empty. Of two items with one name the later one is used. A `;` in a value is written `\;`, any
/// other `\` is itself, and a `$` is a plain character.
///
/// ```
/// use config_core::value::EnvVars;
/// let variables: EnvVars = "HTTPS_PROXY=http://proxy:3128; FLAGS = -a=b".parse()?;
/// assert_eq!(variables.get("FLAGS"), Some("-a=b"));
/// let connection: EnvVars = r"DB=Server=db\;Port=1;A=b".parse()?;
/// assert_eq!(connection.get("DB"), Some("Server=db;Port=1"));
/// assert_eq!(format!("{variables:?}"), r#"{"FLAGS", "HTTPS_PROXY"}"#);
/// let error = "A=1;hunter2".parse::<EnvVars>().expect_err("no name");
/// assert_eq!(error.to_string(), "entry \"item 2\": expected NAME=value");
/// # Ok::<(), config_core::value::ListError>(())
/// ```
#[derive(Clone, Default, PartialEq, Eq)]
pub struct EnvVars(BTreeMap<String, String>);

impl EnvVars {
    /// Returns the value of a variable.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    /// Iterates over names and values, sorted by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }
}

/// Splits a list at each `;` that has no `\` before it, and drops empty items.
fn escaped_items(text: &str) -> Vec<String> {
    let mut items = vec![String::new()];
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        let item = items.last_mut().expect("there is at least one item");
        match c {
            '\\' if chars.peek() == Some(&';') => item.extend(chars.next()),
            ';' => items.push(String::new()),
            c => item.push(c),
        }
    }
    items.into_iter().map(|item| item.trim().to_owned()).filter(|item| !item.is_empty()).collect()
}

impl FromStr for EnvVars {
    type Err = ListError;

    /// # Errors
    /// Every item without `=`, by its number, because it may be the rest of a value that holds a `;`; every
    /// invalid name; every value with a NUL character, which no environment can hold.
    fn from_str(text: &str) -> Result<Self, ListError> {
        let mut map = BTreeMap::new();
        let mut errors = Vec::new();
        for (index, item) in escaped_items(text).iter().enumerate() {
            let Some((name, value)) = item.split_once('=') else {
                errors.push(EntryError::new(&format!("item {}", index + 1), "NAME=value"));
                continue;
            };
            let (name, value) = (name.trim(), value.trim());
            if !Rule::EnvName.holds(name) {
                errors.push(EntryError::new(
                    &format!("item {}", index + 1),
                    format!("{} before the `=`", Rule::EnvName.expected()),
                ));
            } else if value.contains('\0') {
                errors.push(EntryError::new(name, "a value without NUL characters"));
            } else {
                map.insert(name.to_owned(), value.to_owned());
            }
        }
        ListError::into_result(errors, Self(map))
    }
}

impl fmt::Display for EnvVars {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let escaped: Vec<_> = self.0.iter().map(|(name, value)| (name, value.replace(';', "\\;"))).collect();
        write_pairs(f, escaped.iter().map(|(name, value)| (*name, value)))
    }
}

impl fmt::Debug for EnvVars {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn finds_variable_by_name() {
        let variables: EnvVars = "A=1;B=".parse().unwrap();
        assert_eq!(["A", "B", "C"].map(|name| variables.get(name)), [Some("1"), Some(""), None]);
    }

    #[test]
    fn accepts_pairs_with_spaces_and_empty_items() {
        let cases = [
            ("", ""),
            ("A=1;B=2", "A=1;B=2"),
            (" B = x y ;; a.b-c_1 = $(HOME)=$ ; ", "B=x y;a.b-c_1=$(HOME)=$"),
            ("A=1;A=", "A="),
            ("DB=Server=a\\;Port=1;B=2", "B=2;DB=Server=a\\;Port=1"),
            ("A=C:\\x;B=a\\\\;C=1", "A=C:\\x;B=a\\\\;C=1"),
        ];
        for (text, printed) in cases {
            assert_eq!(
                text.parse::<EnvVars>().map(|list| list.to_string()).as_deref(),
                Ok(printed),
                "{text:?}"
            );
        }
    }

    #[test]
    fn rejects_malformed_items_without_showing_values() {
        let name = Rule::EnvName.expected();
        let cases = [
            ("PASSWORD=a;hunter2", "entry \"item 2\": expected NAME=value".to_owned()),
            ("=hunter2", format!("entry \"item 1\": expected {name} before the `=`")),
            (
                "A=1;;B C=hunter2;1=2",
                format!(
                    "entry \"item 2\": expected {name} before the `=`, entry \"item 3\": \
                     expected {name} before the `=`"
                ),
            ),
            ("A=hun\0ter2", "entry \"A\": expected a value without NUL characters".to_owned()),
        ];
        for (text, message) in cases {
            assert_eq!(text.parse::<EnvVars>().unwrap_err().to_string(), message, "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn parses_any_text_without_panic(text in ".*|[A-C=;$. \t]*") {
            let _ = text.parse::<EnvVars>();
        }

        #[test]
        fn parses_what_it_prints(text in "( ?[A-C]{1,2} ?=[ a-c=$]{0,4};?){0,6}") {
            if let Ok(list) = text.parse::<EnvVars>() {
                prop_assert_eq!(list.to_string().parse::<EnvVars>(), Ok(list));
            }
        }
    }
}
