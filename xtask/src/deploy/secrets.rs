//! The Secrets of a deployment: created once, never overwritten.
//!
//! Without the encryption key the states cannot be read, so an existing Secret only gets missing entries.
//! Values are passed to `kubectl` by its standard input: other users of this machine can read arguments.

use anyhow::Context as _;
use base64::{
    Engine as _,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use serde_json::{Map, Value, json};

use super::kubectl::{FIELD_MANAGER, Kubectl};
use crate::{
    manifests::{
        SERVER, reference,
        secrets::{ADMIN_TOKEN, ENCRYPTION_KEY},
    },
    shell,
};

/// Creates missing Secrets, and missing entries of existing ones.
pub(super) fn ensure(kubectl: &Kubectl<'_>, namespace: &str, secrets: &[Value]) -> anyhow::Result<()> {
    for secret in secrets {
        let reference = reference(secret);
        let needed: &[&str] =
            if secret["metadata"]["name"] == SERVER { &[ENCRYPTION_KEY, ADMIN_TOKEN] } else { &[] };
        let existing = kubectl.get(&reference, Some(namespace))?;
        let missing = missing(existing.as_ref(), needed);
        let entries = missing.iter().map(|name| Ok(((*name).to_owned(), json!(new_value(name)?))));
        let entries: Map<_, _> = entries.collect::<anyhow::Result<_>>()?;
        let named = if entries.is_empty() { String::new() } else { format!(" with {}", missing.join(", ")) };
        if existing.is_none() {
            let mut secret = secret.clone();
            secret["stringData"] = Value::Object(entries);
            kubectl.run(&["create", FIELD_MANAGER, "-f", "-"], Some(secret.to_string()))?;
            shell::success(&format!("{reference} created{named}"));
        } else if entries.is_empty() {
            shell::success(&format!("{reference} exists and is unchanged"));
        } else {
            let patch = json!({ "stringData": entries }).to_string();
            let arguments =
                ["patch", &reference, "--namespace", namespace, FIELD_MANAGER, "--patch-file=/dev/stdin"];
            kubectl.run(&arguments, Some(patch))?;
            shell::success(&format!("{reference} extended{named}"));
        }
    }
    Ok(())
}

fn missing<'a>(existing: Option<&Value>, needed: &[&'a str]) -> Vec<&'a str> {
    let has = |name: &str| {
        existing.is_some_and(|secret| secret["data"][name].as_str().is_some_and(|v| !v.is_empty()))
    };
    needed.iter().copied().filter(|name| !has(name)).collect()
}

/// Creates a random value: the key in the format of the api-server, other values URL-safe.
fn new_value(name: &str) -> anyhow::Result<String> {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes).context("the operating system has no random bytes")?;
    Ok(if name == ENCRYPTION_KEY { STANDARD.encode(bytes) } else { URL_SAFE_NO_PAD.encode(bytes) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn empty_entry_is_missing() {
        let secret = json!({ "data": { "admin-token": "eA==", "encryption-key": "" } });
        assert_eq!(missing(Some(&secret), &[ENCRYPTION_KEY, ADMIN_TOKEN]), [ENCRYPTION_KEY]);
        assert_eq!(missing(Some(&json!({})), &[ADMIN_TOKEN]), [ADMIN_TOKEN]);
        assert_eq!(missing(None, &[ENCRYPTION_KEY, ADMIN_TOKEN]), [ENCRYPTION_KEY, ADMIN_TOKEN]);
    }

    #[test]
    fn new_values_have_the_format_of_the_server_and_differ() {
        let key = new_value(ENCRYPTION_KEY).unwrap();
        assert_eq!((key.len(), key.ends_with('=')), (44, true));
        assert_eq!(new_value(ADMIN_TOKEN).unwrap().len(), 43);
        assert_ne!(new_value(ADMIN_TOKEN).unwrap(), new_value(ADMIN_TOKEN).unwrap());
    }
}
