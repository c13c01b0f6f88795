//! Warnings: what is accepted but probably not meant.
//!
//! A warning accompanies the result; what cannot work is a [`Problem`](crate::Problem).

mod likely_mistakes;

use std::fmt::{self, Write as _};

use serde::{Serialize, Serializer, ser::SerializeStruct};

use crate::{
    Origin, Variables, WorkspaceOverrides, keys,
    one_line::OneLine,
    platform,
    workspace::{ENABLE_EPHEMERAL_EXECUTOR, PVC_CLAIM_NAME, TF_PLUGIN_CACHE_DIR},
};

/// One thing that the user should know about a value that is accepted.
///
/// As JSON: `{"source", "key", "found", "meaning", "hint"}`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Warning {
    /// Where it is.
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
    /// Returns whether a workspace enables ephemeral executors as Terrakube understands it: by the presence
    /// of `TERRAKUBE_ENABLE_EPHEMERAL_EXECUTOR`, whatever its value.
    ///
    /// The api-server of this project does not ask: there every step runs in an ephemeral executor. A service
    /// that also has other executors can.
    ///
    /// ```
    /// use config_core::{Variables, WorkspaceOverrides};
    /// let variables: Variables = [("TERRAKUBE_ENABLE_EPHEMERAL_EXECUTOR", "false")].into_iter().collect();
    /// assert!(WorkspaceOverrides::asks_for_ephemeral_executor(&variables));
    /// assert_eq!(WorkspaceOverrides::warnings(&variables).len(), 1);
    /// ```
    #[must_use]
    pub fn asks_for_ephemeral_executor(variables: &Variables) -> bool {
        variables.get(ENABLE_EPHEMERAL_EXECUTOR.name).is_some()
    }

    /// Returns what is accepted in variables of a workspace but probably does not do what was meant,
    /// sorted by name.
    #[must_use]
    pub fn warnings(variables: &Variables) -> Vec<Warning> {
        let mut warnings = platform_settings(variables);
        warnings.extend(half_a_plugin_cache(variables));
        warnings.extend(likely_mistakes::pod_annotations(variables));
        warnings.extend(likely_mistakes::amounts(variables));
        let value = variables.get(ENABLE_EPHEMERAL_EXECUTOR.name).filter(|value| is_negative(value));
        warnings.extend(value.map(|value| {
            Warning::new(variables, ENABLE_EPHEMERAL_EXECUTOR.name, value).with_meaning(
                "which has no effect, because every step runs in an ephemeral executor",
                "remove it",
            )
        }));
        warnings.sort_by(|left, right| left.origin.key.cmp(&right.origin.key));
        warnings
    }
}

impl Warning {
    fn new(variables: &Variables, name: &str, found: &str) -> Self {
        let origin = variables.origin_of(name);
        Self { origin, found: found.to_owned(), meaning: String::new(), hint: String::new() }
    }

    fn with_meaning(self, meaning: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { meaning: meaning.into(), hint: hint.into(), ..self }
    }
}

/// Settings of the platform in a workspace: they change nothing there.
fn platform_settings(variables: &Variables) -> Vec<Warning> {
    platform::settings()
        .filter_map(|setting| Some((setting, variables.get(setting.name)?)))
        .map(|(setting, value)| {
            let hint = match setting.replaced_by {
                Some(variable) => format!("set {variable} to change it for a workspace"),
                None => "remove it; only the platform operator can change it".to_owned(),
            };
            Warning::new(variables, setting.name, value)
                .with_meaning("which has no effect, because it is a setting of the platform", hint)
        })
        .collect()
}

/// Folder and claim of a plugin cache do nothing without each other.
fn half_a_plugin_cache(variables: &Variables) -> Option<Warning> {
    let (folder_name, claim_name) = (TF_PLUGIN_CACHE_DIR.name(), PVC_CLAIM_NAME.name());
    match (variables.get(folder_name), variables.get(claim_name)) {
        (None, Some(claim)) => Some(Warning::new(variables, claim_name, claim).with_meaning(
            "which is not mounted without a folder",
            format!("set {folder_name} to the folder"),
        )),
        (Some(folder), None) => Some(Warning::new(variables, folder_name, folder).with_meaning(
            "where nothing is mounted without the name of a claim",
            format!(
                "set {claim_name}={} to mount the claim of that name, \
                 or ignore this if the image has the folder",
                keys::USUAL_PVC_CLAIM_NAME
            ),
        )),
        (Some(_), Some(_)) | (None, None) => None,
    }
}

fn is_negative(value: &str) -> bool {
    ["0", "false", "no", "off", "n", "f", "disabled", ""]
        .iter()
        .any(|spelling| value.trim().eq_ignore_ascii_case(spelling))
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
    fn any_value_asks_for_ephemeral_executors() {
        for value in ["1", "true", "0", "false", ""] {
            let variables = variables(&[("TERRAKUBE_ENABLE_EPHEMERAL_EXECUTOR", value)]);
            assert!(WorkspaceOverrides::asks_for_ephemeral_executor(&variables), "{value:?}");
        }
        for name in ["terrakube_enable_ephemeral_executor", "TERRAKUBE_ENABLE_EPHEMERAL_EXECUTORS"] {
            assert!(!WorkspaceOverrides::asks_for_ephemeral_executor(&variables(&[(name, "1")])), "{name}");
        }
    }

    #[test]
    fn warns_about_negative_switch() {
        for value in ["0", "false", "FALSE", " off ", "No", ""] {
            assert_eq!(
                messages(&[("TERRAKUBE_ENABLE_EPHEMERAL_EXECUTOR", value)]),
                [format!(
                    "workspace variable TERRAKUBE_ENABLE_EPHEMERAL_EXECUTOR: found {value:?}, which has no \
                     effect, because every step runs in an ephemeral executor; remove it"
                )]
            );
        }
        for value in ["1", "true", "yes", "anything"] {
            assert!(messages(&[("TERRAKUBE_ENABLE_EPHEMERAL_EXECUTOR", value)]).is_empty(), "{value}");
        }
    }

    #[test]
    fn warning_has_the_origin_of_the_value() {
        let global = [("TERRAKUBE_ENABLE_EPHEMERAL_EXECUTOR".to_owned(), "0".to_owned())].into();
        let merged = Variables::merge(&BTreeMap::new(), &global, &[]);
        assert_eq!(
            WorkspaceOverrides::warnings(&merged)[0].origin.to_string(),
            "global variable TERRAKUBE_ENABLE_EPHEMERAL_EXECUTOR"
        );
    }

    #[test]
    fn warns_about_platform_settings_in_workspace() {
        assert_eq!(
            messages(&[("ExecutorEphemeralImage", "a"), ("PodStartTimeout", "1m"), ("ExecutorUrl", "x")]),
            [
                "workspace variable ExecutorEphemeralImage: found \"a\", which has no effect, because it is \
                 a setting of the platform; set EPHEMERAL_CONFIG_IMAGE to change it for a workspace",
                "workspace variable PodStartTimeout: found \"1m\", which has no effect, because it is a \
                 setting of the platform; remove it; only the platform operator can change it",
            ]
        );
    }

    #[test]
    fn warns_about_half_a_plugin_cache() {
        assert_eq!(
            messages(&[("TF_PLUGIN_CACHE_DIR", "/cache")]),
            ["workspace variable TF_PLUGIN_CACHE_DIR: found \"/cache\", where nothing is mounted without \
                 the name of a claim; set PVC_CLAIM_NAME=terrakube-plugin-pvc to mount the claim of that \
                 name, or ignore this if the image has the folder"]
        );
        assert_eq!(
            messages(&[("PVC_CLAIM_NAME", "cache")]),
            ["workspace variable PVC_CLAIM_NAME: found \"cache\", which is not mounted without a folder; \
                 set TF_PLUGIN_CACHE_DIR to the folder"]
        );
        assert!(messages(&[("PVC_CLAIM_NAME", "cache"), ("TF_PLUGIN_CACHE_DIR", "/cache")]).is_empty());
    }

    #[test]
    fn serializes_warnings_sorted_by_name() {
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
                    "meaning": "which has no effect, because every step runs in an ephemeral executor",
                    "hint": "remove it",
                },
            ])
        );
    }
}
