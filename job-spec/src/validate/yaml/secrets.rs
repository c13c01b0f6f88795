//! Which Secrets may be named: none that holds the payload and the token of an attempt.

use serde_json::Value;

use super::{Faults, strict::field};
use crate::names::JobName;

/// Looks through plain data of a pod for names of Secrets, wherever Kubernetes has them: in `secretName`, and in `name`
/// inside of `secret`, `secretRef`, `secretKeyRef` and the like.
pub(super) fn check(faults: &mut Faults, path: &str, value: &Value) {
    look(faults, path, value, false);
}

fn look(faults: &mut Faults, path: &str, value: &Value, in_secret: bool) {
    match value {
        Value::Object(fields) => {
            for (key, value) in fields {
                let names_secret = key.to_ascii_lowercase().contains("secret");
                let path = field(path, key);
                match value {
                    Value::String(name) if names_secret || (in_secret && key == "name") => {
                        if JobName::is_of_attempt(name) {
                            let expected =
                                "another Secret; those with names like this hold the payload of an attempt";
                            faults.push(&path, name, expected);
                        }
                    }
                    _ => look(faults, &path, value, in_secret || names_secret),
                }
            }
        }
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                look(faults, &format!("{path}[{index}]"), item, in_secret);
            }
        }
        _ => {}
    }
}
