//! Strict deserialization of plain data into Kubernetes types: unknown and missing fields are errors.
//!
//! The types ignore unknown fields, and use an empty value for a missing required field. Serializing the
//! result again shows both: a field that is gone was unknown, and a field that was added is missing.

use config_core::value::json_type_name;
use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;

use super::FieldErrors;

/// Parses an object; `path` is its position, empty for the whole value.
pub(super) fn object<T: DeserializeOwned + Serialize>(
    errors: &mut FieldErrors,
    path: &str,
    value: &Value,
) -> Option<T> {
    let object: T = match serde_path_to_error::deserialize(value) {
        Ok(object) => object,
        Err(error) => {
            wrong_type(errors, path, value, &error);
            return None;
        }
    };
    let before = errors.problems.len();
    match serde_json::to_value(&object) {
        Ok(written) => compare(errors, path, value, &written),
        Err(_) => errors.push(path, json_type_name(value), "what JSON can hold"),
    }
    (errors.problems.len() == before).then_some(object)
}

/// Parses a list of objects one by one, so that the errors of all items are reported.
pub(super) fn list<T: DeserializeOwned + Serialize>(
    errors: &mut FieldErrors,
    value: &Value,
) -> Vec<(usize, T)> {
    let items = value.as_array().map(Vec::as_slice).unwrap_or_default();
    let read = |(index, item)| Some((index, object(errors, &format!("[{index}]"), item)?));
    items.iter().enumerate().filter_map(read).collect()
}

/// Reports a value of the wrong type. The message of serde is not used, because it shows the value.
fn wrong_type(
    errors: &mut FieldErrors,
    path: &str,
    value: &Value,
    error: &serde_path_to_error::Error<serde_json::Error>,
) {
    let mut path = path.to_owned();
    let mut found = Some(value);
    for segment in error.path() {
        use serde_path_to_error::Segment;
        match segment {
            Segment::Seq { index } => {
                path = format!("{path}[{index}]");
                found = found.and_then(|value| value.get(index));
            }
            Segment::Map { key } => {
                path = field(&path, key);
                found = found.and_then(|value| value.get(key));
            }
            Segment::Enum { .. } | Segment::Unknown => {}
        }
    }
    let text = error.inner().to_string();
    let expected = match text.rsplit_once(", expected ") {
        Some((_, expected)) => in_words(expected),
        None => "a value of the expected type".to_owned(),
    };
    errors.push(&path, found.map_or("", json_type_name), expected);
}

/// Returns what a Kubernetes type expects, in the terms that are used for what was found.
fn in_words(expected: &str) -> String {
    match expected {
        "a string" => "text".to_owned(),
        "a sequence" => "a list".to_owned(),
        "a map" => "an object".to_owned(),
        "i32" | "i64" => "a whole number".to_owned(),
        type_name if type_name.starts_with(|first: char| first.is_ascii_uppercase()) => {
            format!("an object or value of the type {type_name}")
        }
        other => other.to_owned(),
    }
}

fn compare(errors: &mut FieldErrors, path: &str, given: &Value, written: &Value) {
    match (given, written) {
        (Value::Object(given), Value::Object(written)) => {
            for (key, value) in given {
                match written.get(key) {
                    Some(written) => compare(errors, &field(path, key), value, written),
                    // `null` is the same as no field if the field exists, which is not known here.
                    None if value.is_null() => {
                        errors.push(&field(path, key), "null", "a value, or no such field");
                    }
                    None => errors.push(&field(path, key), "unknown field", "a field of the Kubernetes API"),
                }
            }
            for key in written.keys().filter(|key| given.get(*key).is_none_or(Value::is_null)) {
                errors.push(&field(path, key), "nothing", "a value: the field is required");
            }
        }
        (Value::Array(given), Value::Array(written)) => {
            for (index, (given, written)) in given.iter().zip(written).enumerate() {
                compare(errors, &format!("{path}[{index}]"), given, written);
            }
        }
        _ => {}
    }
}

pub(super) fn field(path: &str, key: &str) -> String {
    if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") }
}
