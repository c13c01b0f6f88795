//! Which variable decided a setting of a workspace.

use std::collections::BTreeMap;

use crate::{Origin, SourceName};

/// The variable that decided each setting of a workspace, by the name of the setting. `Default` has none.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Origins(BTreeMap<&'static str, Origin>);

impl Origins {
    /// Returns where a setting was found; for one that no variable set, the workspace variable of that name.
    #[must_use]
    pub fn of(&self, name: &str) -> Origin {
        self.get(name).cloned().unwrap_or_else(|| Origin::new(SourceName::Workspace, name))
    }

    /// Returns where a setting was found, if a variable set it.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Origin> {
        self.0.get(name)
    }

    /// Records where a setting was found.
    pub(crate) fn set(&mut self, name: &'static str, origin: Origin) {
        self.0.insert(name, origin);
    }

    /// Iterates over names and origins, sorted by name.
    pub fn iter(&self) -> impl Iterator<Item = (&'static str, &Origin)> {
        self.0.iter().map(|(name, origin)| (*name, origin))
    }
}

impl Extend<(&'static str, Origin)> for Origins {
    fn extend<I: IntoIterator<Item = (&'static str, Origin)>>(&mut self, pairs: I) {
        self.0.extend(pairs);
    }
}

impl FromIterator<(&'static str, Origin)> for Origins {
    fn from_iter<I: IntoIterator<Item = (&'static str, Origin)>>(pairs: I) -> Self {
        Self(pairs.into_iter().collect())
    }
}
