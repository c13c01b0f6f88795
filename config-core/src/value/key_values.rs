//! Lists of `key=value`, separated by `;`.
//!
//! Labels and annotations add rules for keys and values (`metadata.rs`).

use std::{collections::BTreeMap, fmt, str::FromStr};

use super::{EntryError, ListError, items, metadata::write_pairs};

/// A list of `key=value`, separated by `;`.
///
/// The first `=` separates key from value; spaces around both are dropped; empty items are skipped; a value
/// may be empty. Of two items with one key the later one is used. A key holds neither `=` nor `;`,
/// a value no `;`.
///
/// ```
/// use config_core::value::KeyValues;
/// let tags: KeyValues = "diskType=ssd; token = YQ== ;".parse()?;
/// assert_eq!(tags.get("token"), Some("YQ=="));
/// assert_eq!(tags.to_string(), "diskType=ssd;token=YQ==");
/// # Ok::<(), config_core::value::ListError>(())
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct KeyValues(BTreeMap<String, String>);

impl KeyValues {
    /// Returns the value of a key.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&str> {
        self.0.get(key).map(String::as_str)
    }

    /// Iterates over keys and values, sorted by key.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(key, value)| (key.as_str(), value.as_str()))
    }

    /// Returns whether the list has no entry.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl FromStr for KeyValues {
    type Err = ListError;

    /// # Errors
    /// Every item without `=` or without a key.
    fn from_str(text: &str) -> Result<Self, ListError> {
        let mut map = BTreeMap::new();
        let mut errors = Vec::new();
        for item in items(text) {
            match item.split_once('=').map(|(key, value)| (key.trim(), value.trim())) {
                Some(("", _)) => errors.push(EntryError::new(item, "a key before the `=`")),
                Some((key, value)) => {
                    map.insert(key.to_owned(), value.to_owned());
                }
                None => errors.push(EntryError::new(item, "key=value")),
            }
        }
        ListError::into_result(errors, Self(map))
    }
}

impl fmt::Display for KeyValues {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_pairs(f, self.0.iter())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn is_empty_without_entry() {
        for (text, expected) in [("", true), (" ;", true), ("a=", false)] {
            assert_eq!(text.parse::<KeyValues>().unwrap().is_empty(), expected, "{text:?}");
        }
    }

    #[test]
    fn accepts_pairs_with_spaces_and_empty_items() {
        let cases = [
            ("two entries", "key1=value1;key2=value2", "key1=value1;key2=value2"),
            ("sorted by key", "b=2;a=1", "a=1;b=2"),
            ("separator at the end", "a=1;", "a=1"),
            ("separators at the start and doubled", ";a=1;;b=2; ;", "a=1;b=2"),
            ("spaces around everything", "  a = 1 ;\tb=2\n", "a=1;b=2"),
            ("spaces inside a value", "a=one two", "a=one two"),
            ("more `=` belong to the value", "a=b=c;d==", "a=b=c;d=="),
            ("an empty value", "a=", "a="),
            ("the later one of two", "a=1;a=2", "a=2"),
            ("no entry", "", ""),
            ("only separators", " ; ;", ""),
        ];
        for (name, text, printed) in cases {
            assert_eq!(
                text.parse::<KeyValues>().map(|list| list.to_string()).as_deref(),
                Ok(printed),
                "{name}"
            );
        }
    }

    #[test]
    fn rejects_items_without_key_or_value() {
        let cases = [
            ("no `=`", "a=1;diskType", "entry \"diskType\": expected key=value"),
            ("no key", " =1", "entry \"=1\": expected a key before the `=`"),
            (
                "every faulty entry",
                "a;b=1; = ;c",
                "entry \"a\": expected key=value, entry \"=\": expected a key before the `=`, entry \"c\": \
                 expected key=value",
            ),
        ];
        for (name, text, message) in cases {
            assert_eq!(text.parse::<KeyValues>().unwrap_err().to_string(), message, "{name}");
        }
    }

    proptest! {
        #[test]
        fn parses_any_text_without_panic(text in "[ a-c=;\t]*|.*") {
            let _ = text.parse::<KeyValues>();
        }

        #[test]
        fn parses_what_it_prints(text in "([ a-c]{0,3}=[ a-c=]{0,3};?){0,6}|.*") {
            if let Ok(list) = text.parse::<KeyValues>() {
                prop_assert_eq!(list.to_string().parse::<KeyValues>(), Ok(list));
            }
        }
    }
}
