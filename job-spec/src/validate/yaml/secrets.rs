//! Refuses references to the Secrets that hold the payload and the token of an attempt.

use serde_json::Value;

use super::{FieldErrors, strict::field};
use crate::names::JobName;

/// Searches the plain data of a pod for names of Secrets: in `secretName`, and in `name` inside of `secret`,
/// `secretRef`, `secretKeyRef` and the like.
pub(super) fn check(errors: &mut FieldErrors, path: &str, value: &Value) {
    search(errors, path, value, false);
}

fn search(errors: &mut FieldErrors, path: &str, value: &Value, in_secret: bool) {
    match value {
        Value::Object(fields) => {
            for (key, value) in fields {
                let names_secret = key.to_ascii_lowercase().contains("secret");
                let path = field(path, key);
                match value {
                    Value::String(name) if names_secret || (in_secret && key == "name") => {
                        if JobName::is_of_attempt(name) {
                            let expected =
                                "another Secret: Secrets with such names hold the payload of an attempt";
                            errors.push(&path, name, expected);
                        }
                    }
                    _ => search(errors, &path, value, in_secret || names_secret),
                }
            }
        }
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                search(errors, &format!("{path}[{index}]"), item, in_secret);
            }
        }
        _ => {}
    }
}
