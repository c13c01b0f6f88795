//! Fields that a patch removes: those whose new value is `null`.
//!
//! Knows nothing of pods; an item of a list is found by what Kubernetes knows it by, as in `fields.rs`.

use serde_json::Value;

use crate::fields::{FieldPath, Segment, item};

/// Takes the fields that are `null` out of a patch, and returns their paths.
pub(super) fn take(patch: &mut Value) -> Vec<FieldPath> {
    let mut paths = Vec::new();
    walk(&mut Vec::new(), patch, &mut paths);
    paths
}

fn walk(path: &mut FieldPath, value: &mut Value, paths: &mut Vec<FieldPath>) {
    match value {
        Value::Object(fields) => fields.retain(|key, value| {
            path.push(Segment::Key(key.clone()));
            if value.is_null() {
                paths.push(path.clone());
            } else {
                walk(path, value, paths);
            }
            path.pop();
            !value.is_null()
        }),
        Value::Array(items) => {
            for (index, value) in items.iter_mut().enumerate() {
                path.push(item(index, value));
                walk(path, value, paths);
                path.pop();
            }
        }
        _ => {}
    }
}

/// Removes the field at a path; returns whether it was present.
pub(super) fn remove(document: &mut Value, path: &[Segment]) -> bool {
    let Some((last, parents)) = path.split_last() else { return false };
    let parent = parents.iter().try_fold(document, |value, segment| match segment {
        Segment::Key(key) => value.get_mut(key),
        Segment::Item(_) => {
            let mut items = value.as_array_mut()?.iter_mut().enumerate();
            items.find(|(index, value)| item(*index, value) == *segment).map(|(_, value)| value)
        }
    });
    parent.and_then(Value::as_object_mut).is_some_and(|fields| fields.remove(last.text()).is_some())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::fields::display;

    #[test]
    fn takes_nulls_out_of_objects_only() {
        let mut patch =
            json!({"a": null, "b": {"c": null, "d": 1}, "l": [null, {"name": "x", "e": null}, {"f": null}]});
        let paths: Vec<String> = take(&mut patch).iter().map(|path| display(path)).collect();
        assert_eq!(paths, ["a", "b.c", "l[x].e", "l[2].f"]);
        assert_eq!(patch, json!({"b": {"d": 1}, "l": [null, {"name": "x"}, {}]}));
    }

    #[test]
    fn removes_field_and_reports_missing_one() {
        let document =
            json!({"b": {"c": 1}, "l": [{"name": "y", "e": 2}, {"name": "x", "e": 1}], "m": [{"f": 1}]});
        let key = |key: &str| Segment::Key(key.to_owned());
        let item = |item: &str| Segment::Item(item.to_owned());
        for (path, left) in [
            (vec![key("b")], Some(json!({"l": document["l"], "m": document["m"]}))),
            (
                vec![key("l"), item("x"), key("e")],
                Some(json!({"b": {"c": 1}, "l": [{"name": "y", "e": 2}, {"name": "x"}], "m": document["m"]})),
            ),
            (
                vec![key("m"), item("0"), key("f")],
                Some(json!({"b": {"c": 1}, "l": document["l"], "m": [{}]})),
            ),
            (vec![key("b"), key("d")], None),
            (vec![key("b"), key("c"), key("d")], None),
            (vec![key("l"), item("z"), key("e")], None),
            (vec![key("l"), key("x")], None),
            (vec![], None),
        ] {
            let mut found = document.clone();
            assert_eq!(remove(&mut found, &path), left.is_some(), "{}", display(&path));
            assert_eq!(found, left.unwrap_or_else(|| document.clone()), "{}", display(&path));
        }
    }
}
