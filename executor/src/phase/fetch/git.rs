//! Clones a repository with the real `git`.
//!
//! Git gets credentials through its environment alone, and only for the host they belong to: they are in no
//! argument, in no file of the clone, and submodules on other hosts do not get them.

use std::{
    collections::BTreeMap,
    ffi::OsString,
    path::{Path, PathBuf},
};

use secrecy::ExposeSecret as _;

use super::{
    address::{Access, Repository},
    error::FetchError,
};
use crate::{
    child::{
        process::{Exit, Invocation, output, run},
        search_path::find_program,
        ssh_key::write_key,
    },
    log::Log,
    stop::Stop,
};

/// Passes user name and password to git: a small shell function, because git has no variable for them.
const CREDENTIAL_HELPER: &str = "!f() { test \"$1\" = get && printf 'username=%s\\npassword=%s\\n' \
                                 \"$EXECUTOR_GIT_USER\" \"$EXECUTOR_GIT_PASSWORD\"; }; f";

/// What to clone, and where to.
#[derive(Debug)]
pub(crate) struct Clone<'a> {
    pub(crate) repository: &'a Repository,
    /// Branch or tag; empty for the default branch.
    pub(crate) branch: &'a str,
    /// Commit to check out instead of the tip of the branch.
    pub(crate) commit: Option<&'a str>,
    pub(crate) target: &'a Path,
    /// File for the private key.
    pub(crate) key_file: PathBuf,
}

/// Clones and returns the id of the commit that is checked out; `None` after a stop request.
pub(crate) async fn clone(
    clone: &Clone<'_>,
    inherited: &BTreeMap<String, String>,
    log: &Log,
    stop: &Stop,
) -> Result<Option<String>, FetchError> {
    let path = inherited.get("PATH").map(String::as_str).unwrap_or_default();
    let git = find_program("git", path).ok_or(FetchError::MissingGit)?;
    if let Some(commit) = clone.commit {
        check_commit(commit)?;
    }
    let mut env = inherited.clone();
    env.insert("GIT_TERMINAL_PROMPT".into(), "0".into());
    add_access(&mut env, &clone.repository.access, &clone.key_file)?;

    let parent = clone.target.parent().unwrap_or(clone.target);
    let call = |args: Vec<OsString>, dir| Invocation { program: &git, args, dir, env: &env };
    let steps: [(&'static str, Option<Vec<OsString>>, &Path); 3] = [
        ("clone the repository", Some(clone_args(clone)), parent),
        (
            "check out the commit",
            clone.commit.map(|commit| arguments(&["checkout", "--quiet", "--detach", commit])),
            clone.target,
        ),
        (
            "fetch the submodules",
            clone.commit.map(|_| arguments(&["submodule", "update", "--quiet", "--init", "--recursive"])),
            clone.target,
        ),
    ];
    for (action, args, dir) in steps {
        let Some(args) = args else { continue };
        let exit = run(&call(args, dir), log, stop).await?;
        if stop.is_requested() {
            return Ok(None);
        }
        if exit != Exit::Code(0) {
            return Err(FetchError::Git { action });
        }
    }
    let head = output(&call(arguments(&["rev-parse", "HEAD"]), clone.target), log, stop).await?;
    match head {
        None if !stop.is_requested() => Err(FetchError::Git { action: "name the commit" }),
        head => Ok(head),
    }
}

fn arguments(args: &[&str]) -> Vec<OsString> {
    args.iter().map(Into::into).collect()
}

fn clone_args(clone: &Clone<'_>) -> Vec<OsString> {
    let mut args = arguments(&["clone", "--quiet", "--recurse-submodules"]);
    if !clone.branch.is_empty() {
        args.push(format!("--branch={}", clone.branch).into());
    }
    // The history is needed only to find another commit than the tip.
    if clone.commit.is_none() {
        args.extend(arguments(&["--depth=1", "--shallow-submodules"]));
    }
    args.push("--".into());
    args.push(clone.repository.url.clone().into());
    args.push(clone.target.into());
    args
}

fn check_commit(commit: &str) -> Result<(), FetchError> {
    let digits = commit.chars().all(|c| c.is_ascii_hexdigit());
    if digits && (7..=64).contains(&commit.len()) {
        return Ok(());
    }
    Err(FetchError::Commit { found: commit.to_owned() })
}

fn add_access(
    env: &mut BTreeMap<String, String>,
    access: &Access,
    key_file: &Path,
) -> Result<(), FetchError> {
    match access {
        Access::Public => {}
        Access::Password { scope, user, password } => {
            let settings = [
                // An empty helper switches off those of the machine, for this host.
                (format!("credential.{scope}.helper"), ""),
                (format!("credential.{scope}.helper"), CREDENTIAL_HELPER),
            ];
            env.insert("GIT_CONFIG_COUNT".into(), settings.len().to_string());
            for (number, (key, value)) in settings.into_iter().enumerate() {
                env.insert(format!("GIT_CONFIG_KEY_{number}"), key);
                env.insert(format!("GIT_CONFIG_VALUE_{number}"), value.into());
            }
            env.insert("EXECUTOR_GIT_USER".into(), user.expose_secret().into());
            env.insert("EXECUTOR_GIT_PASSWORD".into(), password.expose_secret().into());
        }
        Access::Key(key) => {
            let command = write_key(key_file, key).map_err(FetchError::Key)?;
            env.insert("GIT_SSH_COMMAND".into(), command);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
