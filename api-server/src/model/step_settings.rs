//! What the template of a job says about a step, beyond its number, name and type.

use std::collections::BTreeMap;

use job_spec::{Command, ImportCommands};
use serde::{Deserialize, Serialize};

/// Settings of a step; the default is a step whose template has nothing but a type.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct StepSettings {
    /// Scripts of the step.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub commands: Vec<Command>,
    /// Scripts that run after it has failed.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub on_failure: Vec<Command>,
    /// Where the scripts are, if not in `commands`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub import_commands: Option<ImportCommands>,
    /// A failed plan does not fail the step.
    pub ignore_error: bool,
    /// Environment variables, by the global variable that each is taken from. If there are any, the step sees
    /// no other global variables and no collections.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub inputs_env: BTreeMap<String, String>,
    /// The same for input variables.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub inputs_terraform: BTreeMap<String, String>,
    /// The team that should approve. It is shown, not checked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub team: Option<String>,
    /// Number of the approval after whose rejection the step runs; otherwise it does not run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub on_reject_of: Option<u32>,
}

impl StepSettings {
    /// Returns the stored form; `None` for the default.
    #[must_use]
    pub fn to_json(&self) -> Option<String> {
        (*self != Self::default())
            .then(|| serde_json::to_string(self).expect("a struct of texts, lists and maps is JSON"))
    }

    /// Reads the stored form.
    ///
    /// # Errors
    /// Why it is not one.
    pub fn from_json(text: &str) -> Result<Self, String> {
        serde_json::from_str(text).map_err(|error| format!("settings of a step: {error}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stored_form_reads_as_itself_and_the_default_needs_none() {
        assert_eq!(StepSettings::default().to_json(), None);
        let settings = StepSettings {
            ignore_error: true,
            team: Some("OPS".to_owned()),
            on_reject_of: Some(150),
            inputs_env: BTreeMap::from([("A".to_owned(), "B".to_owned())]),
            ..StepSettings::default()
        };
        let text = settings.to_json().unwrap();
        assert_eq!(StepSettings::from_json(&text), Ok(settings));
        assert_eq!(StepSettings::from_json("{}"), Ok(StepSettings::default()));
        assert!(StepSettings::from_json("[").unwrap_err().starts_with("settings of a step: "));
    }
}
