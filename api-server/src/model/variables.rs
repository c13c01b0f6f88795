//! Variables of workspaces, organizations and collections, and how their layers are merged.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use config_core::{SourceName, Variables};
use secrecy::{ExposeSecret as _, SecretString};
use serde::Serialize;

use super::VariableCategory;

/// A variable. `Debug` does not show its value.
#[derive(Debug, Clone)]
#[expect(missing_docs, reason = "the fields are those of the API")]
pub struct Variable {
    pub id: String,
    pub category: VariableCategory,
    pub key: String,
    pub value: SecretString,
    pub sensitive: bool,
    pub hcl: bool,
}

/// The record that a variable belongs to, by id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum VariableOwner {
    /// A workspace.
    Workspace(String),
    /// An organization: the variable is global, every workspace of the organization sees it.
    Organization(String),
    /// A collection: the workspaces that it is attached to see the variable.
    Collection(String),
}

/// A named set of variables that can be attached to several workspaces of its organization.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
#[expect(missing_docs, reason = "the fields are those of the API")]
pub struct Collection {
    pub id: String,
    pub organization_id: String,
    pub name: String,
    pub priority: i32,
}

/// The variables of an attached collection.
#[derive(Debug, Clone)]
#[expect(missing_docs, reason = "the fields are those of the API")]
pub struct CollectionLayer {
    pub name: String,
    pub priority: i32,
    pub variables: Vec<Variable>,
}

/// All variables that a workspace sees, layer by layer.
///
/// A key of the workspace overrides the same key of the organization, which overrides that of a collection;
/// of two collections the one with the higher priority wins, and with equal priorities the one whose name
/// sorts first. That holds for both categories.
#[derive(Debug, Clone, Default)]
pub struct VariableLayers {
    /// Variables of the workspace.
    pub workspace: Vec<Variable>,
    /// Global variables of its organization.
    pub global: Vec<Variable>,
    /// Variables of the collections that are attached to it.
    pub collections: Vec<CollectionLayer>,
}

impl VariableLayers {
    /// Merges the variables of a category. `presets` belong to the workspace's layer; a variable of the
    /// workspace overrides them.
    #[must_use]
    pub fn merge(
        &self,
        category: VariableCategory,
        presets: impl IntoIterator<Item = (String, String)>,
    ) -> Variables {
        let pairs = |variables: &[Variable]| of_category(variables, category).collect::<BTreeMap<_, _>>();
        let workspace = presets.into_iter().chain(of_category(&self.workspace, category)).collect();
        let collections: Vec<config_core::Collection> = self
            .collections
            .iter()
            .map(|layer| config_core::Collection {
                name: layer.name.clone(),
                priority: layer.priority,
                variables: pairs(&layer.variables),
            })
            .collect();
        Variables::merge(&workspace, &pairs(&self.global), &collections)
    }

    /// Returns the keys, of either category, whose merged value is sensitive.
    #[must_use]
    pub fn sensitive_keys(&self) -> BTreeSet<String> {
        self.keys_of(VariableCategory::ALL, |variable| variable.sensitive)
    }

    /// Returns the keys of input variables whose merged value is an expression.
    #[must_use]
    pub fn hcl_keys(&self) -> BTreeSet<String> {
        self.keys_of(&[VariableCategory::Terraform], |variable| variable.hcl)
    }

    /// Returns the keys whose merged value comes from a variable with a property.
    fn keys_of(
        &self,
        categories: &[VariableCategory],
        has_property: impl Fn(&Variable) -> bool,
    ) -> BTreeSet<String> {
        let found: HashSet<_> = self
            .iter()
            .filter(|(_, variable)| has_property(variable))
            .map(|((source, key), variable)| (source, key, variable.category))
            .collect();
        categories
            .iter()
            .flat_map(|category| {
                let merged = self.merge(*category, []);
                let found = &found;
                let keys = merged.iter().filter_map(move |(key, value)| {
                    let origin = (value.origin.source, value.origin.key.clone(), *category);
                    found.contains(&origin).then(|| key.to_owned())
                });
                keys.collect::<Vec<_>>()
            })
            .collect()
    }

    /// Leaves a step the global variables of a category that it names, by its names for them, and none of the
    /// collections. Settings of the pod stay, because they are not input of the step. Returns the names whose
    /// variable does not exist. Without inputs nothing changes.
    pub fn restrict(&mut self, category: VariableCategory, inputs: &BTreeMap<String, String>) -> Vec<String> {
        if inputs.is_empty() {
            return Vec::new();
        }
        let mut missing = Vec::new();
        let mut named = Vec::new();
        for (key, name) in inputs {
            match self.global.iter().find(|global| global.category == category && global.key == *name) {
                Some(global) => named.push(Variable { key: key.clone(), ..global.clone() }),
                None => missing.push(key.clone()),
            }
        }
        let stays = |variable: &Variable| variable.category != category || is_pod_setting(&variable.key);
        self.global.retain(stays);
        self.global.retain(|global| {
            !named.iter().any(|named| named.key == global.key && named.category == global.category)
        });
        self.global.append(&mut named);
        for layer in &mut self.collections {
            layer.variables.retain(stays);
        }
        missing
    }

    /// Iterates over all variables of all layers, each with the source and key that name it in problems and
    /// explanations.
    pub fn iter(&self) -> impl Iterator<Item = ((SourceName, String), &Variable)> {
        let workspace = self.workspace.iter().map(|v| ((SourceName::Workspace, v.key.clone()), v));
        let global = self.global.iter().map(|v| ((SourceName::Global, v.key.clone()), v));
        let collections = self.collections.iter().flat_map(|layer| {
            let origin = |v: &Variable| (SourceName::Collection, format!("{}/{}", layer.name, v.key));
            layer.variables.iter().map(move |v| (origin(v), v))
        });
        workspace.chain(global).chain(collections)
    }
}

/// Returns whether an environment variable is a setting of the pod.
fn is_pod_setting(key: &str) -> bool {
    key.starts_with("EPHEMERAL_")
        || ["TERRAKUBE_ENABLE_EPHEMERAL_EXECUTOR", "TF_PLUGIN_CACHE_DIR", "PVC_CLAIM_NAME"].contains(&key)
}

fn of_category(
    variables: &[Variable],
    category: VariableCategory,
) -> impl Iterator<Item = (String, String)> + '_ {
    variables
        .iter()
        .filter(move |variable| variable.category == category)
        .map(|variable| (variable.key.clone(), variable.value.expose_secret().to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn variable(category: VariableCategory, key: &str, value: &str, sensitive: bool) -> Variable {
        let (id, value) = (String::new(), value.into());
        Variable { id, category, key: key.to_owned(), value, sensitive, hcl: false }
    }

    fn layers(category: VariableCategory) -> VariableLayers {
        let layer =
            |name: &str, priority, variables| CollectionLayer { name: name.to_owned(), priority, variables };
        VariableLayers {
            workspace: vec![variable(category, "A", "workspace", false)],
            global: vec![variable(category, "A", "global", true), variable(category, "B", "global", true)],
            collections: vec![
                layer(
                    "low",
                    1,
                    vec![variable(category, "C", "low", false), variable(category, "D", "low", true)],
                ),
                layer(
                    "high",
                    2,
                    vec![variable(category, "B", "high", false), variable(category, "C", "high", false)],
                ),
            ],
        }
    }

    #[test]
    fn merges_both_categories_with_the_same_precedence() {
        for category in VariableCategory::ALL {
            let merged = layers(*category).merge(*category, [("A".to_owned(), "preset".to_owned())]);
            let origins: Vec<String> = merged.iter().map(|(_, value)| value.origin.to_string()).collect();
            let expected = [
                "workspace variable A",
                "global variable B",
                "collection variable high/C",
                "collection variable low/D",
            ];
            assert_eq!(origins, expected);
            assert_eq!(merged.get("A"), Some("workspace"));
        }
        let other = layers(VariableCategory::Terraform).merge(VariableCategory::Env, []);
        assert_eq!(other.iter().count(), 0);
    }

    #[test]
    fn key_is_sensitive_if_the_value_that_wins_is() {
        let keys = layers(VariableCategory::Env).sensitive_keys();
        assert_eq!(keys.into_iter().collect::<Vec<_>>(), ["B", "D"]);
    }

    #[test]
    fn debug_shows_no_value() {
        let shown = format!("{:?}", layers(VariableCategory::Env));
        assert!(shown.contains("\"B\"") && !shown.contains("global\""), "{shown}");
    }
}
