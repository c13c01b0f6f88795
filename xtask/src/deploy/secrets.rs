//! The Secrets of a deployment: made once, never written over.
//!
//! Whoever loses the encryption key loses the states, so a Secret that is there is only ever given entries that it lacks.
//! Values go to `kubectl` by its standard input: arguments can be read by everybody on this machine.

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

/// Makes the Secrets that are missing, and the entries of ours that are missing in those that are there.
pub(super) fn ensure(kubectl: &Kubectl<'_>, namespace: &str, secrets: &[Value]) -> anyhow::Result<()> {
    for secret in secrets {
        let reference = reference(secret);
        let needed: &[&str] =
            if secret["metadata"]["name"] == SERVER { &[ENCRYPTION_KEY, ADMIN_TOKEN] } else { &[] };
        let there = kubectl.get(&reference, Some(namespace))?;
        let missing = missing(there.as_ref(), needed);
        let entries = missing.iter().map(|name| Ok(((*name).to_owned(), json!(made(name)?))));
        let entries: Map<_, _> = entries.collect::<anyhow::Result<_>>()?;
        let named = if entries.is_empty() { String::new() } else { format!(" with {}", missing.join(", ")) };
        if there.is_none() {
            let mut secret = secret.clone();
            secret["stringData"] = Value::Object(entries);
            kubectl.run(&["create", FIELD_MANAGER, "-f", "-"], Some(secret.to_string()))?;
            shell::success(&format!("{reference} made{named}"));
        } else if entries.is_empty() {
            shell::success(&format!("{reference} is there and stays as it is"));
        } else {
            let patch = json!({ "stringData": entries }).to_string();
            let arguments =
                ["patch", &reference, "--namespace", namespace, FIELD_MANAGER, "--patch-file=/dev/stdin"];
            kubectl.run(&arguments, Some(patch))?;
            shell::success(&format!("{reference} completed{named}"));
        }
    }
    Ok(())
}

fn missing<'a>(there: Option<&Value>, needed: &[&'a str]) -> Vec<&'a str> {
    let has =
        |name: &str| there.is_some_and(|secret| secret["data"][name].as_str().is_some_and(|v| !v.is_empty()));
    needed.iter().copied().filter(|name| !has(name)).collect()
}

/// Makes a value: the key as the api-server reads it, anything else as text that can be typed.
fn made(name: &str) -> anyhow::Result<String> {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes).context("the operating system has no random bytes")?;
    Ok(if name == ENCRYPTION_KEY { STANDARD.encode(bytes) } else { URL_SAFE_NO_PAD.encode(bytes) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_there_is_not_missing_and_an_empty_entry_is() {
        let secret = json!({ "data": { "admin-token": "eA==", "encryption-key": "" } });
        assert_eq!(missing(Some(&secret), &[ENCRYPTION_KEY, ADMIN_TOKEN]), [ENCRYPTION_KEY]);
        assert_eq!(missing(Some(&json!({})), &[ADMIN_TOKEN]), [ADMIN_TOKEN]);
        assert_eq!(missing(None, &[ENCRYPTION_KEY, ADMIN_TOKEN]), [ENCRYPTION_KEY, ADMIN_TOKEN]);
    }

    #[test]
    fn made_values_have_the_form_that_the_server_reads_and_differ() {
        let key = made(ENCRYPTION_KEY).unwrap();
        assert_eq!((key.len(), key.ends_with('=')), (44, true));
        assert_eq!(made(ADMIN_TOKEN).unwrap().len(), 43);
        assert_ne!(made(ADMIN_TOKEN).unwrap(), made(ADMIN_TOKEN).unwrap());
    }
}
