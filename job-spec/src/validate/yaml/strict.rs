//! Plain data becomes a type of Kubernetes, and nothing of it may be lost on the way.
//!
//! The types ignore fields that they do not know, and put an empty value where a field that Kubernetes requires is absent.
//! Writing the result down again shows both: what is gone was unknown, and what was added is missing.

use config_core::value::kind_in_words;
use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;

use super::Faults;

/// Reads an object; `path` is where it stands, empty for the whole value.
pub(super) fn object<T: DeserializeOwned + Serialize>(
    faults: &mut Faults,
    path: &str,
    value: &Value,
) -> Option<T> {
    let object: T = match serde_path_to_error::deserialize(value) {
        Ok(object) => object,
        Err(error) => {
            wrong_type(faults, path, value, &error);
            return None;
        }
    };
    let before = faults.problems.len();
    match serde_json::to_value(&object) {
        Ok(written) => compare(faults, path, value, &written),
        Err(_) => faults.push(path, kind_in_words(value), "what JSON can hold"),
    }
    (faults.problems.len() == before).then_some(object)
}

/// Reads a list of objects, each for itself, so that the faults of all of them are found.
pub(super) fn list<T: DeserializeOwned + Serialize>(faults: &mut Faults, value: &Value) -> Vec<(usize, T)> {
    let items = value.as_array().map(Vec::as_slice).unwrap_or_default();
    let read = |(index, item)| Some((index, object(faults, &format!("[{index}]"), item)?));
    items.iter().enumerate().filter_map(read).collect()
}

/// The text of the error would show the value.
fn wrong_type(
    faults: &mut Faults,
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
        None => "a value of the form that Kubernetes has there".to_owned(),
    };
    faults.push(&path, found.map_or("", kind_in_words), expected);
}

/// What the types of Kubernetes expect, in the words that are used for what was found.
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

fn compare(faults: &mut Faults, path: &str, given: &Value, written: &Value) {
    match (given, written) {
        (Value::Object(given), Value::Object(written)) => {
            for (key, value) in given {
                match written.get(key) {
                    Some(written) => compare(faults, &field(path, key), value, written),
                    // A field without a value is the same as no field, if the field exists; that cannot be told.
                    None if value.is_null() => {
                        faults.push(&field(path, key), "nothing", "a value, or no such field");
                    }
                    None => faults.push(&field(path, key), "", "a field that Kubernetes has there"),
                }
            }
            for key in written.keys().filter(|key| given.get(*key).is_none_or(Value::is_null)) {
                faults.push(&field(path, key), "nothing", "a value, which Kubernetes requires");
            }
        }
        (Value::Array(given), Value::Array(written)) => {
            for (index, (given, written)) in given.iter().zip(written).enumerate() {
                compare(faults, &format!("{path}[{index}]"), given, written);
            }
        }
        _ => {}
    }
}

pub(super) fn field(path: &str, key: &str) -> String {
    if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") }
}
