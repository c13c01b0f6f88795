//! The variables of category `ENV` that a step sees: several layers merged into one,
//! each value with its origin.
//!
//! [`crate::WorkspaceOverrides`] reads those of the `EPHEMERAL_*` family; all others are only passed on.

use std::{collections::BTreeMap, fmt};

use crate::{Origin, SourceName, Sourced};

/// Environment variables with their origins; `Debug` shows names only, because values are often secrets.
///
/// Pairs are collected as variables of a workspace:
///
/// ```
/// use config_core::Variables;
/// let variables: Variables = [("EPHEMERAL_CPU_LIMIT", "2")].into_iter().collect();
/// assert_eq!(variables.get("EPHEMERAL_CPU_LIMIT"), Some("2"));
/// assert_eq!(
///     variables.origin_of("EPHEMERAL_CPU_LIMIT").to_string(),
///     "workspace variable EPHEMERAL_CPU_LIMIT"
/// );
/// ```
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Variables(BTreeMap<String, Sourced<String>>);

/// A set of variables that several workspaces refer to; `Debug` shows no values,
/// because they are often secrets.
#[derive(Clone, PartialEq, Eq)]
pub struct Collection {
    /// Its name.
    pub name: String,
    /// Of two collections the one with the higher number wins;
    /// of two with one number the one whose name comes first.
    pub priority: i32,
    /// Its variables of category `ENV`.
    pub variables: BTreeMap<String, String>,
}

impl Variables {
    /// Merges the variables that the owners of a workspace and of its organization set: those of the
    /// workspace win over the organization's global ones, these over the
    /// collections that the workspace refers to.
    ///
    /// ```
    /// use config_core::{Collection, Variables};
    /// let pairs = |pairs: &[(&str, &str)]| {
    ///     pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    /// };
    /// let collection = Collection { name: "gpu".to_owned(), priority: 5, variables: pairs(&[("A", "c"), ("B", "c"), ("C", "c")]) };
    /// let merged = Variables::merge(&pairs(&[("A", "w")]), &pairs(&[("A", "g"), ("B", "g")]), &[collection]);
    /// assert_eq!(merged.iter().map(|(_, value)| value.value.as_str()).collect::<Vec<_>>(), ["w", "g", "c"]);
    /// assert_eq!(merged.origin_of("C").to_string(), "collection variable gpu/C");
    /// ```
    #[must_use]
    pub fn merge(
        workspace: &BTreeMap<String, String>,
        global: &BTreeMap<String, String>,
        collections: &[Collection],
    ) -> Self {
        let mut collections: Vec<&Collection> = collections.iter().collect();
        collections.sort_by(|left, right| {
            (right.priority, left.name.as_str()).cmp(&(left.priority, right.name.as_str()))
        });
        let mut merged =
            Self::of_source(SourceName::Workspace, workspace).or(Self::of_source(SourceName::Global, global));
        for Collection { name, priority: _, variables } in collections {
            merged = merged.or(Self::new(variables.iter().map(|(key, value)| {
                let origin = Origin::new(SourceName::Collection, format!("{name}/{key}"));
                (key.clone(), Sourced::new(value.clone(), origin))
            })));
        }
        merged
    }

    /// Creates variables from values with their origins.
    pub(crate) fn new(entries: impl IntoIterator<Item = (String, Sourced<String>)>) -> Self {
        Self(entries.into_iter().collect())
    }

    fn of_source(source: SourceName, variables: &BTreeMap<String, String>) -> Self {
        Self::new(variables.iter().map(|(name, value)| {
            (name.clone(), Sourced::new(value.clone(), Origin::new(source, name.as_str())))
        }))
    }

    /// Adds the variables of a weaker layer; those that are already set win.
    #[must_use]
    pub fn or(mut self, weaker: Self) -> Self {
        for (name, value) in weaker.0 {
            self.0.entry(name).or_insert(value);
        }
        self
    }

    /// Returns the value of a variable; names are case-sensitive.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(|found| found.value.as_str())
    }

    /// Returns where a variable was found; for one that is not set, the workspace variable of that name.
    #[must_use]
    pub fn origin_of(&self, name: &str) -> Origin {
        match self.0.get(name) {
            Some(found) => found.origin.clone(),
            None => Origin::new(SourceName::Workspace, name),
        }
    }

    /// Iterates over names and values, sorted by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Sourced<String>)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value))
    }

    /// Removes a variable; returns whether it was set.
    pub fn remove(&mut self, name: &str) -> bool {
        self.0.remove(name).is_some()
    }
}

impl<K: Into<String>, V: Into<String>> FromIterator<(K, V)> for Variables {
    fn from_iter<I: IntoIterator<Item = (K, V)>>(pairs: I) -> Self {
        let pairs = pairs.into_iter().map(|(name, value)| (name.into(), value.into())).collect();
        Self::of_source(SourceName::Workspace, &pairs)
    }
}

impl fmt::Debug for Collection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, priority, variables } = self;
        f.debug_struct("Collection")
            .field("name", name)
            .field("priority", priority)
            .field("variables", &variables.keys())
            .finish()
    }
}

impl fmt::Debug for Variables {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pairs(names: &[&str], value: &str) -> BTreeMap<String, String> {
        names.iter().map(|name| ((*name).to_owned(), value.to_owned())).collect()
    }

    fn collection(name: &str, priority: i32, names: &[&str]) -> Collection {
        Collection { name: name.to_owned(), priority, variables: pairs(names, name) }
    }

    #[test]
    fn merges_workspace_over_global_over_collections_by_priority() {
        let merged = Variables::merge(
            &pairs(&["A"], "workspace"),
            &pairs(&["A", "B"], "global"),
            &[
                collection("low", -1, &["A", "B", "C", "D", "E"]),
                collection("b", 7, &["A", "B", "C", "D"]),
                collection("a", 7, &["C"]),
            ],
        );
        let origins: Vec<String> = merged.iter().map(|(_, value)| value.origin.to_string()).collect();
        assert_eq!(
            origins,
            [
                "workspace variable A",
                "global variable B",
                "collection variable a/C",
                "collection variable b/D",
                "collection variable low/E"
            ]
        );
        let values: Vec<&str> = merged.iter().map(|(_, value)| value.value.as_str()).collect();
        assert_eq!(values, ["workspace", "global", "a", "b", "low"]);
    }

    #[test]
    fn keeps_empty_value() {
        let merged = Variables::merge(&pairs(&["A"], ""), &pairs(&["A"], "global"), &[]);
        assert_eq!(merged.get("A"), Some(""));
    }

    #[test]
    fn removes_variable_once() {
        let mut variables: Variables = [("A", "1"), ("B", "2")].into_iter().collect();
        assert_eq!([variables.remove("A"), variables.remove("A")], [true, false]);
        assert_eq!((variables.get("A"), variables.get("B")), (None, Some("2")));
    }

    #[test]
    fn debug_shows_names_and_no_values() {
        let variables: Variables = [("TOKEN", "hunter2")].into_iter().collect();
        assert_eq!(format!("{variables:?}"), r#"{"TOKEN"}"#);
    }

    #[test]
    fn debug_of_a_collection_shows_no_values() {
        let variables = [("A".to_owned(), "hunter2".to_owned())].into();
        let shown = format!("{:?}", Collection { name: "c".to_owned(), priority: 1, variables });
        assert_eq!(shown, "Collection { name: \"c\", priority: 1, variables: [\"A\"] }");
    }
}
