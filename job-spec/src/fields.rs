//! The fields of an object of Kubernetes: a JSON document as a list of its leaves, each with its path.

use std::{collections::BTreeSet, fmt::Write as _};

use serde_json::Value;

/// Where a field is.
pub(crate) type FieldPath = Vec<Segment>;

/// One step of a path.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Segment {
    /// A field of an object, or a key of a map.
    Key(String),
    /// An item of a list, by its merge key in Kubernetes: a mount by its path,
    /// others by `name` if they have one, else by index.
    Item(String),
}

impl Segment {
    pub(crate) fn text(&self) -> &str {
        match self {
            Self::Key(text) | Self::Item(text) => text,
        }
    }
}

/// Visits every value that is neither an object nor a list with something in it,
/// in the order of the document.
pub(crate) fn visit(document: &Value, take: &mut impl FnMut(&[Segment], &Value)) {
    walk(&mut Vec::new(), document, take);
}

fn walk(path: &mut Vec<Segment>, value: &Value, take: &mut impl FnMut(&[Segment], &Value)) {
    match value {
        Value::Object(fields) if !fields.is_empty() => {
            for (key, value) in fields {
                path.push(Segment::Key(key.clone()));
                walk(path, value, take);
                path.pop();
            }
        }
        Value::Array(items) if !items.is_empty() => {
            for (index, item) in items.iter().enumerate() {
                path.push(self::item(index, item));
                walk(path, item, take);
                path.pop();
            }
        }
        _ => take(path, value),
    }
}

/// Returns the segment of an item of a list.
pub(crate) fn item(index: usize, item: &Value) -> Segment {
    let known_by = item.get("mountPath").or_else(|| item.get("name")).and_then(Value::as_str);
    Segment::Item(known_by.map_or_else(|| index.to_string(), str::to_owned))
}

/// Prints a path: `spec.template.spec.containers[executor].image`.
pub(crate) fn display(path: &[Segment]) -> String {
    let mut text = String::new();
    for segment in path {
        let _ = match segment {
            Segment::Item(item) => write!(text, "[{item}]"),
            Segment::Key(key) if key.contains(['.', '/']) => write!(text, "[{key:?}]"),
            Segment::Key(key) if text.is_empty() => write!(text, "{key}"),
            Segment::Key(key) => write!(text, ".{key}"),
        };
    }
    text
}

/// The fields of the pod that the workspace's patch changed, added or removed.
#[derive(Clone, Default, PartialEq)]
pub(crate) struct PatchedFields(pub(crate) BTreeSet<FieldPath>);

impl PatchedFields {
    /// Returns whether the patch changed or removed a field, by its path in the pod's template,
    /// or something in it.
    pub(crate) fn has_changed(&self, field: &str) -> bool {
        let in_template = |path: &FieldPath| display(path.get(2..).unwrap_or_default());
        self.0.iter().any(|path| in_template(path).starts_with(field))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn visits_every_leaf_once_with_its_path() {
        let document = json!({
            "a": { "b.c/d": "1", "empty": {} },
            "list": [{ "name": "x", "value": null }, 7, [], [true], { "mountPath": "/y", "name": "x" }],
        });
        let mut found = Vec::new();
        visit(&document, &mut |path, value| found.push(format!("{}={value}", display(path))));
        assert_eq!(
            found,
            [
                "a[\"b.c/d\"]=\"1\"",
                "a.empty={}",
                "list[x].name=\"x\"",
                "list[x].value=null",
                "list[1]=7",
                "list[2]=[]",
                "list[3][0]=true",
                "list[/y].mountPath=\"/y\"",
                "list[/y].name=\"x\""
            ]
        );
    }
}
