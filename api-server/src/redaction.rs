//! Keeps sensitive values out of problems, warnings and explanations.

use std::collections::HashSet;

use config_core::{Problem, Problems, SourceName, Warning};
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::Value;

use crate::model::VariableLayers;

const HIDDEN: &str = "(sensitive)";

/// Shorter parts of a sensitive value occur in ordinary text too often to be replaced there.
const MIN_PIECE: usize = 4;

/// Replaces the values of the sensitive variables that a workspace sees.
#[derive(Debug)]
pub(crate) struct Redactor {
    origins: HashSet<(SourceName, String)>,
    /// Values and the pieces of lists in them, the longest first.
    secrets: Vec<SecretString>,
}

impl Redactor {
    pub(crate) fn new(layers: &VariableLayers) -> Self {
        let sensitive = || layers.iter().filter(|(_, variable)| variable.sensitive);
        let mut secrets: Vec<&str> = sensitive()
            .flat_map(|(_, variable)| {
                let value = variable.value.expose_secret();
                let pieces = value.split(|c: char| c.is_whitespace() || ";,=:".contains(c));
                pieces.chain([value, value.trim()])
            })
            .filter(|piece| piece.chars().count() >= MIN_PIECE)
            .collect();
        secrets.sort_unstable_by(|left, right| right.len().cmp(&left.len()).then(left.cmp(right)));
        secrets.dedup();
        Self {
            origins: sensitive().map(|(origin, _)| origin).collect(),
            secrets: secrets.into_iter().map(SecretString::from).collect(),
        }
    }

    /// Hides sensitive values in a problem: what was found in a sensitive variable, and copies of its parts
    /// elsewhere.
    pub(crate) fn problem(&self, problem: Problem) -> Problem {
        let Problem { origin, found, expected, hint } = problem;
        let sensitive = self.origins.contains(&(origin.source, origin.key.clone()));
        Problem {
            found: if sensitive { None } else { found.map(|found| self.hide(&found)) },
            expected: self.hide(&expected),
            hint: hint.map(|hint| self.hide(&hint)),
            origin,
        }
    }

    pub(crate) fn problems(&self, problems: Problems) -> Problems {
        let redacted = problems.into_iter().map(|problem| self.problem(problem)).collect();
        Problems::from_vec(redacted).expect("as many problems as before")
    }

    /// Hides sensitive values in a warning.
    pub(crate) fn warning(&self, warning: Warning) -> Warning {
        let Warning { origin, found, meaning, hint } = warning;
        let sensitive = self.origins.contains(&(origin.source, origin.key.clone()));
        Warning {
            found: if sensitive { HIDDEN.to_owned() } else { self.hide(&found) },
            meaning: self.hide(&meaning),
            hint: self.hide(&hint),
            origin,
        }
    }

    /// Hides copies of sensitive values in every string of a JSON value.
    pub(crate) fn json(&self, value: &mut Value) {
        match value {
            Value::String(text) => *text = self.hide(text),
            Value::Array(items) => items.iter_mut().for_each(|item| self.json(item)),
            Value::Object(fields) => fields.values_mut().for_each(|field| self.json(field)),
            Value::Null | Value::Bool(_) | Value::Number(_) => {}
        }
    }

    fn hide(&self, text: &str) -> String {
        let mut text = text.to_owned();
        for secret in &self.secrets {
            let secret = secret.expose_secret();
            if text.contains(secret) {
                text = text.replace(secret, HIDDEN);
            }
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use config_core::Origin;

    use super::*;
    use crate::model::{Variable, VariableCategory};

    fn redactor() -> Redactor {
        let variable = |key: &str, value: &str, sensitive| Variable {
            id: String::new(),
            category: VariableCategory::Env,
            key: key.to_owned(),
            value: value.into(),
            sensitive,
            hcl: false,
        };
        Redactor::new(&VariableLayers {
            workspace: vec![variable("SECRET", "gpu:hunter2;no", true), variable("OPEN", "hello", false)],
            ..VariableLayers::default()
        })
    }

    #[test]
    fn hides_found_value_of_sensitive_variable() {
        let problem = Problem::new(Origin::new(SourceName::Workspace, "SECRET"), "a or no").with_found("no");
        let redacted = redactor().problem(problem);
        assert_eq!((redacted.found, redacted.expected.as_str()), (None, "a or no"));
    }

    #[test]
    fn hides_copies_of_sensitive_values_in_other_problems() {
        let problem = Problem::new(Origin::new(SourceName::Workspace, "OPEN"), "another name than hunter2")
            .with_found("hello")
            .with_hint("remove \"gpu:hunter2;no\"");
        let redacted = redactor().problem(problem);
        assert_eq!(redacted.found.as_deref(), Some("hello"));
        assert_eq!(redacted.expected, "another name than (sensitive)");
        assert_eq!(redacted.hint.as_deref(), Some("remove \"(sensitive)\""));
    }

    #[test]
    fn variable_of_another_layer_with_the_same_key_is_not_hidden() {
        let problem = Problem::new(Origin::new(SourceName::Global, "SECRET"), "a").with_found("no");
        assert_eq!(redactor().problem(problem).found.as_deref(), Some("no"));
    }
}
