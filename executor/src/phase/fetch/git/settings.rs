//! The environment of git: what a repository, the machine and the variables of the pod cannot change.
//!
//! Settings in the environment take precedence over all files, so neither a file of the machine nor one of
//! the repository turns them off. Credentials are in the environment alone, for the host they belong to.

use std::{collections::BTreeMap, io, path::Path};

use secrecy::ExposeSecret as _;

use super::super::address::{Access, Repository};
use crate::child::ssh_key::{SSH_OPTIONS, write_key};

/// Passes user name and password to git: a small shell function, because git has no variable for them.
const CREDENTIAL_HELPER: &str = "!f() { test \"$1\" = get && printf 'username=%s\\npassword=%s\\n' \
                                 \"$EXECUTOR_GIT_USER\" \"$EXECUTOR_GIT_PASSWORD\"; }; f";

/// Variables that would point git to another repository, show credentials, or allow other protocols.
const REMOVED: &[&str] = &[
    "GIT_ALLOW_PROTOCOL",
    "GIT_ALTERNATE_OBJECT_DIRECTORIES",
    "GIT_ASKPASS",
    "GIT_COMMON_DIR",
    "GIT_CONFIG_PARAMETERS",
    "GIT_DIR",
    "GIT_EXTERNAL_DIFF",
    "GIT_INDEX_FILE",
    "GIT_NAMESPACE",
    "GIT_OBJECT_DIRECTORY",
    "GIT_PROTOCOL_FROM_USER",
    "GIT_TEMPLATE_DIR",
    "GIT_TRACE_REDACT",
    "GIT_WORK_TREE",
    "LANGUAGE",
    "SSH_ASKPASS",
];

/// Settings for every repository.
const SETTINGS: &[(&str, &str)] = &[
    // No program of a repository or of the machine runs.
    ("core.hooksPath", "/dev/null"),
    ("core.fsmonitor", "false"),
    ("core.askPass", ""),
    // The folder may be on a volume of another user.
    ("safe.directory", "*"),
    // Only what the source may use; `ext` would run any program.
    ("protocol.allow", "never"),
    ("protocol.ext.allow", "never"),
    ("protocol.https.allow", "always"),
    ("protocol.http.allow", "always"),
    ("protocol.ssh.allow", "always"),
    ("protocol.git.allow", "always"),
    // A server that sends nothing is given up.
    ("http.lowSpeedLimit", "100"),
    ("http.lowSpeedTime", "60"),
    // Files of Git LFS stay pointers, whether its program is installed or not.
    ("filter.lfs.smudge", ""),
    ("filter.lfs.process", ""),
    ("filter.lfs.required", "false"),
    ("fetch.recurseSubmodules", "false"),
    ("submodule.recurse", "false"),
    ("advice.detachedHead", "false"),
    ("gc.auto", "0"),
    ("maintenance.auto", "false"),
];

/// Returns the environment of git for a repository. Writes the private key, if there is one.
pub(super) fn environment(
    inherited: &BTreeMap<String, String>,
    repository: &Repository,
    key_file: &Path,
) -> io::Result<BTreeMap<String, String>> {
    let mut env = inherited.clone();
    for name in REMOVED {
        env.remove(*name);
    }
    for (name, value) in [("GIT_TERMINAL_PROMPT", "0"), ("GIT_LFS_SKIP_SMUDGE", "1"), ("LC_ALL", "C")] {
        env.insert(name.into(), value.into());
    }
    let mut settings: Vec<(String, String)> =
        SETTINGS.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
    // Files of this machine are allowed where the source itself is one.
    let file = if repository.url.starts_with("file:") { "always" } else { "never" };
    settings.push(("protocol.file.allow".into(), file.into()));
    match &repository.access {
        Access::Public => {}
        Access::Password { scope, user, password } => {
            // An empty helper switches off those of the machine, for this host.
            settings.push((format!("credential.{scope}.helper"), String::new()));
            settings.push((format!("credential.{scope}.helper"), CREDENTIAL_HELPER.into()));
            env.insert("EXECUTOR_GIT_USER".into(), user.expose_secret().into());
            env.insert("EXECUTOR_GIT_PASSWORD".into(), password.expose_secret().into());
        }
        Access::Key(key) => {
            env.insert("GIT_SSH_COMMAND".into(), write_key(key_file, key)?);
        }
    }
    // Without a terminal, a question of ssh would wait for ever.
    env.entry("GIT_SSH_COMMAND".into()).or_insert_with(|| format!("ssh {SSH_OPTIONS}"));
    append_settings(&mut env, settings);
    Ok(env)
}

/// Variables of a workspace that git gets as they are.
const PASSED: &[&str] = &[
    "GIT_CURL_VERBOSE",
    "GIT_HTTP_LOW_SPEED_LIMIT",
    "GIT_HTTP_LOW_SPEED_TIME",
    "GIT_HTTP_PROXY_AUTHMETHOD",
    "GIT_HTTP_USER_AGENT",
    "GIT_SSL_CAINFO",
    "GIT_SSL_CAPATH",
    "GIT_SSL_CERT",
    "GIT_SSL_KEY",
    "GIT_SSL_NO_VERIFY",
    "GIT_SSL_VERSION",
    "GIT_TRACE",
    "GIT_TRACE_CURL",
];

/// Beginnings of settings of a workspace that git gets. Others could run a program that sees the credential.
const PASSED_SETTINGS: &[&str] = &["http.", "url.", "protocol.version", "core.compression", "ssh.variant"];

/// More settings than any workspace has.
const MAX_SETTINGS: usize = 1_000;

/// Adds the settings of a workspace for git to an environment, and returns notes about those that are left
/// out.
pub(in crate::phase::fetch) fn add_of_workspace(
    env: &mut BTreeMap<String, String>,
    workspace: &BTreeMap<String, String>,
) -> Vec<String> {
    for name in PASSED {
        if let Some(value) = workspace.get(*name) {
            env.insert((*name).to_owned(), value.clone());
        }
    }
    let count = workspace.get("GIT_CONFIG_COUNT").and_then(|count| count.trim().parse::<usize>().ok());
    let (mut settings, mut notes) = (Vec::new(), Vec::new());
    for number in 0..count.unwrap_or(0).min(MAX_SETTINGS) {
        let part = |kind: &str| workspace.get(&format!("GIT_CONFIG_{kind}_{number}"));
        let (Some(key), Some(value)) = (part("KEY"), part("VALUE")) else {
            notes.push(format!(
                "(GIT_CONFIG_COUNT of the workspace is {}, but GIT_CONFIG_KEY_{number} or \
                 GIT_CONFIG_VALUE_{number} is not set)",
                count.unwrap_or(0)
            ));
            continue;
        };
        let lower = key.to_ascii_lowercase();
        if PASSED_SETTINGS.iter().any(|prefix| lower.starts_with(prefix)) {
            settings.push((key.clone(), value.clone()));
        } else {
            notes.push(format!(
                "(the source is fetched without the setting {key:?} of the workspace for git)"
            ));
        }
    }
    if !settings.is_empty() {
        append_settings(env, settings);
    }
    notes
}

/// Appends settings to those that the environment has already: later ones take precedence.
fn append_settings(env: &mut BTreeMap<String, String>, settings: Vec<(String, String)>) {
    let first: usize = env.get("GIT_CONFIG_COUNT").and_then(|count| count.trim().parse().ok()).unwrap_or(0);
    env.insert("GIT_CONFIG_COUNT".into(), (first + settings.len()).to_string());
    for (number, (key, value)) in (first..).zip(settings) {
        env.insert(format!("GIT_CONFIG_KEY_{number}"), key);
        env.insert(format!("GIT_CONFIG_VALUE_{number}"), value);
    }
}
