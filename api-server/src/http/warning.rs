//! Warnings in answers: settings that are valid but probably not intended, and problems that the request did
//! not cause.

use config_core::{Problem, Warning};
use serde::Serialize;

/// A warning in the API.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct WarningView {
    source: String,
    key: String,
    found: Option<String>,
    meaning: String,
    hint: Option<String>,
    /// Names of the workspaces with this problem, if the request was not about one workspace.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    workspaces: Vec<String>,
}

impl WarningView {
    /// Returns a warning about a problem for which jobs will be refused.
    pub(super) fn from_problem(problem: &Problem, workspaces: Vec<String>) -> Self {
        Self {
            source: problem.origin.source.as_str().to_owned(),
            key: problem.origin.key.clone(),
            found: problem.found.clone(),
            meaning: format!("jobs are refused: expected {}", problem.expected),
            hint: problem.hint.clone(),
            workspaces,
        }
    }
}

impl From<Warning> for WarningView {
    fn from(warning: Warning) -> Self {
        let Warning { origin, found, meaning, hint } = warning;
        Self {
            source: origin.source.as_str().to_owned(),
            key: origin.key,
            found: Some(found),
            meaning,
            hint: Some(hint),
            workspaces: Vec::new(),
        }
    }
}
