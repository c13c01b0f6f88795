//! What works but hardly as it was meant.
//!
//! Warnings stand beside the result and never replace it; what cannot work is a [`Problem`](crate::Problem).

use std::fmt::{self, Write as _};

use serde::{Serialize, Serializer, ser::SerializeStruct};

use crate::{Origin, Variables, WorkspaceOverrides, keys, one_line::OneLine};

/// One thing that a person should know about a value that is accepted.
///
/// As JSON: `{"source", "key", "found", "meaning", "hint"}`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Warning {
    /// Where.
    pub origin: Origin,
    /// The value.
    pub found: String,
    /// What it does.
    pub meaning: String,
    /// What to write instead.
    pub hint: String,
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { origin, found, meaning, hint } = self;
        write!(OneLine(f), "{origin}: found {found:?}, {meaning}; {hint}")
    }
}

impl Serialize for Warning {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self { origin: Origin { source, key }, found, meaning, hint } = self;
        let mut object = serializer.serialize_struct("Warning", 5)?;
        object.serialize_field("source", source)?;
        object.serialize_field("key", key)?;
        object.serialize_field("found", found)?;
        object.serialize_field("meaning", meaning)?;
        object.serialize_field("hint", hint)?;
        object.end()
    }
}

impl WorkspaceOverrides {
    /// Tells whether a workspace asks for ephemeral executors, by its variables of category `ENV`.
    ///
    /// Only the presence of `TERRAKUBE_ENABLE_EPHEMERAL_EXECUTOR` counts, whatever its value, because existing workspaces
    /// rely on it; [`warnings`](Self::warnings) tells where the value says the opposite.
    ///
    /// ```
    /// use config_core::{Variables, WorkspaceOverrides};
    /// let variables: Variables = [("TERRAKUBE_ENABLE_EPHEMERAL_EXECUTOR", "false")].into_iter().collect();
    /// assert!(WorkspaceOverrides::asks_for_ephemeral_executor(&variables));
    /// assert_eq!(WorkspaceOverrides::warnings(&variables).len(), 1);
    /// ```
    #[must_use]
    pub fn asks_for_ephemeral_executor(variables: &Variables) -> bool {
        variables.get(keys::ENABLE_EPHEMERAL_EXECUTOR).is_some()
    }

    /// Tells what is accepted in the variables that a workspace sees but hardly does what was meant, sorted by name; each
    /// warning names the layer that holds the value.
    #[must_use]
    pub fn warnings(variables: &Variables) -> Vec<Warning> {
        let get = |name: &str| variables.get(name);
        let warning = |key: &str, found: &str, meaning: &str, hint: String| Warning {
            origin: variables.origin_of(key),
            found: found.to_owned(),
            meaning: meaning.to_owned(),
            hint,
        };
        let mut warnings = Vec::new();
        match (get(keys::PVC_CLAIM_NAME), get(keys::TF_PLUGIN_CACHE_DIR)) {
            (Some(claim), None) => warnings.push(warning(
                keys::PVC_CLAIM_NAME,
                claim,
                "which is not mounted without a folder",
                format!("set {} to the folder", keys::TF_PLUGIN_CACHE_DIR),
            )),
            (None, Some(folder)) => warnings.push(warning(
                keys::TF_PLUGIN_CACHE_DIR,
                folder,
                "where nothing is mounted without the name of a claim",
                format!(
                    "set {}={} to mount the claim of that name, or ignore this if the image has the folder",
                    keys::PVC_CLAIM_NAME,
                    keys::USUAL_PVC_CLAIM_NAME
                ),
            )),
            (Some(_), Some(_)) | (None, None) => {}
        }
        if let Some(value) = get(keys::ENABLE_EPHEMERAL_EXECUTOR).filter(|value| says_no(value)) {
            warnings.push(warning(
                keys::ENABLE_EPHEMERAL_EXECUTOR,
                value,
                "which enables ephemeral executors too, because only the presence of the variable counts",
                "remove the variable to disable them".to_owned(),
            ));
        }
        warnings
    }
}

fn says_no(value: &str) -> bool {
    ["0", "false", "no", "off", "n", "f", "disabled", ""]
        .iter()
        .any(|word| value.trim().eq_ignore_ascii_case(word))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn variables(pairs: &[(&str, &str)]) -> Variables {
        pairs.iter().copied().collect()
    }

    fn messages(pairs: &[(&str, &str)]) -> Vec<String> {
        WorkspaceOverrides::warnings(&variables(pairs)).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn any_value_enables_ephemeral_executors() {
        for value in ["1", "true", "0", "false", ""] {
            let variables = variables(&[("TERRAKUBE_ENABLE_EPHEMERAL_EXECUTOR", value)]);
            assert!(WorkspaceOverrides::asks_for_ephemeral_executor(&variables), "{value:?}");
        }
        for name in ["terrakube_enable_ephemeral_executor", "TERRAKUBE_ENABLE_EPHEMERAL_EXECUTORS"] {
            assert!(!WorkspaceOverrides::asks_for_ephemeral_executor(&variables(&[(name, "1")])), "{name}");
        }
    }

    #[test]
    fn a_value_that_says_no_is_warned_about() {
        for value in ["0", "false", "FALSE", " off ", "No", ""] {
            assert_eq!(
                messages(&[("TERRAKUBE_ENABLE_EPHEMERAL_EXECUTOR", value)]),
                [format!(
                    "workspace variable TERRAKUBE_ENABLE_EPHEMERAL_EXECUTOR: found {value:?}, which enables ephemeral \
                     executors too, because only the presence of the variable counts; remove the variable to disable them"
                )]
            );
        }
        for value in ["1", "true", "yes", "anything"] {
            assert!(messages(&[("TERRAKUBE_ENABLE_EPHEMERAL_EXECUTOR", value)]).is_empty(), "{value}");
        }
    }

    #[test]
    fn a_warning_names_the_layer_that_holds_the_value() {
        let global = [("TERRAKUBE_ENABLE_EPHEMERAL_EXECUTOR".to_owned(), "0".to_owned())].into();
        let merged = Variables::merge(&BTreeMap::new(), &global, &[]);
        assert_eq!(
            WorkspaceOverrides::warnings(&merged)[0].origin.to_string(),
            "global variable TERRAKUBE_ENABLE_EPHEMERAL_EXECUTOR"
        );
    }

    #[test]
    fn half_a_plugin_cache_is_warned_about() {
        assert_eq!(
            messages(&[("TF_PLUGIN_CACHE_DIR", "/cache")]),
            [
                "workspace variable TF_PLUGIN_CACHE_DIR: found \"/cache\", where nothing is mounted without the name of a \
                 claim; set PVC_CLAIM_NAME=terrakube-plugin-pvc to mount the claim of that name, or ignore this if the \
                 image has the folder"
            ]
        );
        assert_eq!(
            messages(&[("PVC_CLAIM_NAME", "cache")]),
            [
                "workspace variable PVC_CLAIM_NAME: found \"cache\", which is not mounted without a folder; set \
                 TF_PLUGIN_CACHE_DIR to the folder"
            ]
        );
        assert!(messages(&[("PVC_CLAIM_NAME", "cache"), ("TF_PLUGIN_CACHE_DIR", "/cache")]).is_empty());
    }

    #[test]
    fn warnings_serialise_for_the_api_and_are_sorted_by_name() {
        let variables =
            variables(&[("TERRAKUBE_ENABLE_EPHEMERAL_EXECUTOR", "0"), ("PVC_CLAIM_NAME", "cache")]);
        assert_eq!(
            serde_json::to_value(WorkspaceOverrides::warnings(&variables)).unwrap(),
            serde_json::json!([
                {
                    "source": "workspace",
                    "key": "PVC_CLAIM_NAME",
                    "found": "cache",
                    "meaning": "which is not mounted without a folder",
                    "hint": "set TF_PLUGIN_CACHE_DIR to the folder",
                },
                {
                    "source": "workspace",
                    "key": "TERRAKUBE_ENABLE_EPHEMERAL_EXECUTOR",
                    "found": "0",
                    "meaning": "which enables ephemeral executors too, because only the presence of the variable counts",
                    "hint": "remove the variable to disable them",
                },
            ])
        );
    }
}
