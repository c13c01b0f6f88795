//! Keeps sensitive values out of problems, warnings and explanations.

use std::collections::{BTreeSet, HashSet};

use base64::{
    Engine as _,
    engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE, URL_SAFE_NO_PAD},
};
use config_core::{Problem, Problems, SourceName, Warning, value::Yaml};
use job_spec::JobPlan;
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::Value;

use crate::model::VariableLayers;

mod attempt;

const HIDDEN: &str = "(sensitive)";

/// A program that is given a shorter value encodes it, but parts of its base64 text occur elsewhere.
const MIN_ENCODED: usize = 6;

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
        Self {
            origins: sensitive().map(|(origin, _)| origin).collect(),
            ..Self::of_values(sensitive().map(|(_, variable)| variable.value.expose_secret()))
        }
    }

    /// Replaces these values, wherever they were found.
    pub(crate) fn of_values<'v>(values: impl IntoIterator<Item = &'v str>) -> Self {
        let mut secrets: Vec<String> = values.into_iter().flat_map(pieces).collect();
        secrets.retain(|piece| piece.chars().count() >= MIN_PIECE);
        secrets.sort_unstable_by(|left, right| right.len().cmp(&left.len()).then(left.cmp(right)));
        secrets.dedup();
        Self { origins: HashSet::new(), secrets: secrets.into_iter().map(SecretString::from).collect() }
    }

    /// Hides sensitive values in a problem: what was found in a sensitive variable,
    /// and copies of its parts elsewhere.
    pub(crate) fn problem(&self, problem: Problem) -> Problem {
        let Problem { origin, found, expected, hint } = problem;
        if self.origins.contains(&(origin.source, origin.key.clone())) {
            // What is quoted may be a part of the value, however short, or what it should have been.
            let hint = hint.filter(|hint| !hint.contains('"')).map(|hint| self.hide(&hint));
            return Problem { found: None, expected: self.hide(&without_quoted(&expected)), hint, origin };
        }
        Problem {
            found: found.map(|found| self.hide(&found)),
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
        if self.origins.contains(&(origin.source, origin.key.clone())) {
            // A hint may show what the value should be, which is made from the value.
            let without = |text: String| {
                if quotes_part(&text, &found) { HIDDEN.to_owned() } else { self.hide(&text) }
            };
            let (meaning, hint) = (without(meaning), without(hint));
            return Warning { found: HIDDEN.to_owned(), meaning, hint, origin };
        }
        Warning { found: self.hide(&found), meaning: self.hide(&meaning), hint: self.hide(&hint), origin }
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

    /// Hides sensitive values in the explanation of a Kubernetes Job: fields that a sensitive variable
    /// decided, whatever form its value has there, and copies of sensitive values elsewhere.
    pub(crate) fn explanation(&self, answer: &mut Value) {
        let decided: Vec<bool> = match answer.get_mut("fields").and_then(Value::as_array_mut) {
            Some(fields) => fields.iter_mut().map(|field| self.field(field)).collect(),
            None => Vec::new(),
        };
        if let Some(job) = answer.get_mut("job") {
            // The fields are those of the Job, in its order.
            hide_leaves(job, &mut decided.into_iter());
        }
        self.json(answer);
    }

    /// Returns the fields of a Kubernetes Job that a sensitive variable has decided, by their number.
    pub(crate) fn fields_of(&self, plan: &JobPlan) -> BTreeSet<usize> {
        if self.origins.is_empty() {
            return BTreeSet::new();
        }
        let fields = plan.explain().fields.into_iter().enumerate();
        let decided = fields
            .filter(|(_, field)| self.origins.contains(&(field.origin.source, field.origin.key.clone())));
        decided.map(|(number, _)| number).collect()
    }

    /// Hides fields of a Kubernetes Job, and copies of sensitive values in others.
    pub(crate) fn kubernetes_job(&self, job: &mut Value, fields: &BTreeSet<usize>) {
        hide_leaves(job, &mut (0..).map(|number| fields.contains(&number)));
        self.json(job);
    }

    /// Hides the value of a field if a sensitive variable decided it. Returns whether it did.
    fn field(&self, field: &mut Value) -> bool {
        let text = |name: &str| field.get(name).and_then(Value::as_str).unwrap_or_default();
        let mut origins = self.origins.iter();
        let sensitive = origins.any(|(source, key)| source.as_str() == text("source") && key == text("key"));
        if sensitive {
            field["value"] = HIDDEN.into();
        }
        sensitive
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

/// Returns a value and the parts of it that may stand elsewhere: items of lists, and the strings of YAML.
fn pieces(value: &str) -> Vec<String> {
    let list = value.split(|c: char| c.is_whitespace() || ";,=:".contains(c));
    let flow = value.split(|c: char| c.is_whitespace() || ";,=:\"'[]{}".contains(c));
    let mut pieces: Vec<String> = list.chain(flow).chain([value, value.trim()]).map(str::to_owned).collect();
    // Kubernetes quotes values in its messages as Go does, which escapes these as JSON does.
    if value.contains(['"', '\\', '\n', '\r', '\t']) {
        let quoted = Value::from(value).to_string();
        pieces.push(quoted[1..quoted.len() - 1].to_owned());
    }
    if let Ok(yaml) = value.parse::<Yaml>() {
        strings(yaml.value(), &mut pieces);
    }
    for text in [value, value.trim()].into_iter().filter(|text| text.len() >= MIN_ENCODED) {
        pieces.extend(encoded(text));
    }
    pieces
}

/// Returns the base64 text of a value (Secrets hold it), and the part of a longer base64 text, such as that
/// of `user:value`, that depends on the value alone.
fn encoded(text: &str) -> Vec<String> {
    let mut all = Vec::new();
    for before in 0..3 {
        // Three bytes become four characters; a character at either end may belong to a neighbour, too.
        let padded = [&[0; 2][..before], text.as_bytes()].concat();
        let (start, end) = ((before * 8).div_ceil(6), padded.len() * 8 / 6);
        for encoded in [STANDARD_NO_PAD.encode(&padded), URL_SAFE_NO_PAD.encode(&padded)] {
            all.push(encoded[start..end].to_owned());
        }
    }
    all.extend([STANDARD.encode(text), URL_SAFE.encode(text)]);
    all
}

fn strings(value: &Value, found: &mut Vec<String>) {
    match value {
        Value::String(text) => found.push(text.clone()),
        Value::Array(items) => items.iter().for_each(|item| strings(item, found)),
        Value::Object(fields) => fields.values().for_each(|field| strings(field, found)),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// Replaces the leaves of a JSON value that are sensitive, in the order of the document.
fn hide_leaves(value: &mut Value, sensitive: &mut impl Iterator<Item = bool>) {
    match value {
        Value::Array(items) if !items.is_empty() => {
            for item in items {
                hide_leaves(item, sensitive);
            }
        }
        Value::Object(fields) if !fields.is_empty() => {
            for field in fields.values_mut() {
                hide_leaves(field, sensitive);
            }
        }
        leaf => {
            if sensitive.next() == Some(true) {
                *leaf = HIDDEN.into();
            }
        }
    }
}

/// Replaces each text in quotes.
fn without_quoted(text: &str) -> String {
    let parts = text.split('"').enumerate();
    parts.map(|(index, part)| if index % 2 == 0 { part } else { HIDDEN }).collect()
}

/// Returns whether a text has a number of a value in it, or a word of it that is not a short one.
fn quotes_part(text: &str, value: &str) -> bool {
    let numbers = value.split(|c: char| !c.is_ascii_digit()).filter(|number| number.len() > 1);
    let words = value.split(|c: char| !c.is_alphanumeric()).filter(|word| word.chars().count() >= MIN_PIECE);
    numbers.chain(words).any(|part| text.contains(part))
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
    fn warning_of_a_sensitive_variable_quotes_no_part_of_it() {
        let hint = "write 713133m for thousandths of a processor, or 713133 for processors";
        assert!(quotes_part(hint, "713133"));
        assert!(quotes_part(hint, "713133G"));
        assert!(quotes_part("set EPHEMERAL_CONFIG_POD_ANNOTATIONS to hunter2=x", "hunter2=y"));
        assert!(!quotes_part("set EPHEMERAL_CONFIG_POD_ANNOTATIONS instead", "a=b;c=1"));
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
    fn hides_base64_of_a_sensitive_value() {
        let redactor = Redactor::of_values(["hunter2-of-the-door"]);
        for text in ["hunter2-of-the-door", "user:hunter2-of-the-door\n", "u:hunter2-of-the-door", "x"] {
            let encoded = STANDARD.encode(text);
            let hidden = redactor.hide(&format!("Invalid value: {encoded:?}"));
            assert_eq!(hidden.contains(HIDDEN), text != "x", "{hidden}");
            assert!(text == "x" || !hidden.contains(&encoded[8..24]), "{hidden}");
        }
    }

    #[test]
    fn variable_of_another_layer_with_the_same_key_is_not_hidden() {
        let problem = Problem::new(Origin::new(SourceName::Global, "SECRET"), "a").with_found("no");
        assert_eq!(redactor().problem(problem).found.as_deref(), Some("no"));
    }
}
