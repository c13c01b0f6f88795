//! A Kubernetes Job as YAML, with what decided it beside each field.

use anyhow::Context as _;
use job_spec::{Explanation, Field};
use owo_colors::Style;
use serde::{Serialize, Serializer};
use serde_json::Value;
use serde_saphyr::Commented;

use super::{origin_of, paint};

/// A value of JSON whose leaves have comments. (The library writes none behind `{}` and `[]`.)
enum Node<'a> {
    Object(Vec<(&'a str, Self)>),
    List(Vec<Self>),
    Leaf(&'a Value, String),
}

pub(super) fn write(explanation: &Explanation, colours: bool) -> anyhow::Result<String> {
    let job = serde_json::to_value(&explanation.job).context("the Kubernetes Job is no JSON")?;
    let mut fields = explanation.fields.iter();
    let node = node(&job, &mut fields);
    let yaml = serde_saphyr::to_string(&node).context("the Kubernetes Job is no YAML")?;
    Ok(if colours { yaml.lines().map(coloured).collect() } else { yaml })
}

/// Fields come in the order of the document, one for each leaf.
fn node<'a>(value: &'a Value, fields: &mut std::slice::Iter<'_, Field>) -> Node<'a> {
    match value {
        Value::Object(object) if !object.is_empty() => {
            Node::Object(object.iter().map(|(key, value)| (key.as_str(), node(value, fields))).collect())
        }
        Value::Array(items) if !items.is_empty() => {
            Node::List(items.iter().map(|item| node(item, fields)).collect())
        }
        leaf => Node::Leaf(leaf, fields.next().map(origin_of).unwrap_or_default()),
    }
}

impl Serialize for Node<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Object(fields) => serializer.collect_map(fields.iter().map(|(key, node)| (key, node))),
            Self::List(items) => serializer.collect_seq(items),
            Self::Leaf(value, comment) => Commented(value, comment.clone()).serialize(serializer),
        }
    }
}

/// The comment steps back behind the field. The library lets no control characters into comments,
/// so they are put around it.
fn coloured(line: &str) -> String {
    match line.rfind(" # ") {
        Some(at) => {
            let (field, comment) = line.split_at(at);
            format!("{field}{}\n", paint(comment, Style::new().dimmed(), true))
        }
        None => format!("{line}\n"),
    }
}
