//! The environment of a process as a value.
//!
//! The program reads the environment once, in `main`, and collects the pairs into a snapshot.

use std::{collections::BTreeMap, fmt};

/// A sorted copy of environment variables, the only input of the loading functions.
///
/// `Debug` shows names only, because values are often secrets.
///
/// ```
/// let env: config_core::EnvSnapshot = [("HOME", "/home/me")].into_iter().collect();
/// assert_eq!(env.get("HOME"), Some("/home/me"));
/// assert_eq!(env.get("home"), None);
/// ```
#[derive(Clone, Default, PartialEq, Eq)]
pub struct EnvSnapshot(BTreeMap<String, String>);

impl EnvSnapshot {
    /// Returns the value of a variable; names are case-sensitive.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    /// Iterates over names and values, sorted by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }
}

impl<K: Into<String>, V: Into<String>> FromIterator<(K, V)> for EnvSnapshot {
    fn from_iter<I: IntoIterator<Item = (K, V)>>(pairs: I) -> Self {
        Self(pairs.into_iter().map(|(name, value)| (name.into(), value.into())).collect())
    }
}

impl fmt::Debug for EnvSnapshot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_shows_names_and_no_values() {
        let env: EnvSnapshot = [("TOKEN", "hunter2")].into_iter().collect();
        assert_eq!(format!("{env:?}"), r#"{"TOKEN"}"#);
    }
}
