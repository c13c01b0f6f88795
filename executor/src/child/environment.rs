//! The environment of the child processes.
//!
//! Pure maps. Providers, modules and provisioners run with this environment, so what belongs to the executor
//! (its payload, its tokens, the storage keys of an installation) is not in it.

use std::collections::BTreeMap;

use config_core::EnvSnapshot;
use job_spec::{
    EphemeralJobData,
    environment::{self, Effect, EnvironmentProblem},
};

/// The longest environment entry that Linux accepts, `NAME=` and the final zero byte included.
pub(crate) const MAX_ENTRY_BYTES: usize = 131_072;

/// Variables of the executor (of this one, or of a stock one that shares its Secret) that children do not
/// get.
const EXECUTOR_NAMES: &[&str] = &[
    "AwsEnableRoleAuth",
    "AwsEndpoint",
    "AwsIncludeBackendKeys",
    "AzBuilderApiUrl",
    "CustomTerraformReleasesKey",
    "CustomTerraformReleasesUrl",
    "CustomTofuReleasesKey",
    "CustomTofuReleasesUrl",
    "EngineCacheFolder",
    "ExecutorFlagBatch",
    "ExecutorFlagDisableAcknowledge",
    "InternalSecret",
    "JAVA_TOOL_OPTIONS",
    "RUST_LOG",
    "TerraformOutputType",
    "TerraformStateType",
    "TerrakubeApiUrl",
    "TerrakubeEnableColorOutput",
    "TerrakubeEnableSecurity",
    "TerrakubeRegistryDomain",
    "TerrakubeToolsBranch",
    "TerrakubeToolsRepository",
    // Folders and askpass programs of the process that started the executor.
    "GIT_ASKPASS",
    "OLDPWD",
    "PWD",
    "SSH_ASKPASS",
    "TF_DATA_DIR",
    "TF_WORKSPACE",
];

/// Prefixes of such names.
const EXECUTOR_PREFIXES: &[&str] = &[
    "AwsTerraformOutput",
    "AwsTerraformState",
    "AzureTerraformOutput",
    "AzureTerraformState",
    "Ephemeral",
    "ExecutorEphemeral",
    "GcpTerraformOutput",
    "GcpTerraformState",
    "TF_HTTP_",
    "TerrakubeRedis",
];

/// Credentials for other states that a configuration reads; they belong to the workspace.
const CREDENTIALS_OF_WORKSPACE: &[&str] = &["TF_HTTP_USERNAME", "TF_HTTP_PASSWORD"];

/// Variables with credentials for repositories that the executor fetches itself.
const REPOSITORY_CREDENTIALS: &str = "TERRAKUBE_PRIVATE_EXTENSION_REPO_";

/// A variable that cannot be passed to a child process.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum EnvironmentError {
    #[error(
        "environment variable {name:?} has an invalid name, \
         expected at least one character, without '=' and zero bytes"
    )]
    Name { name: String },
    #[error("variable {name:?} contains a zero byte, which an environment cannot hold")]
    ZeroByte { name: String },
    #[error("environment variable {name:?} takes {bytes} bytes, expected at most {MAX_ENTRY_BYTES}")]
    TooLong { name: String, bytes: usize },
    #[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))]
    Refused(Vec<EnvironmentProblem>),
}

/// Returns the executor's own environment without what belongs to the executor.
pub(crate) fn inherited(env: &EnvSnapshot) -> BTreeMap<String, String> {
    env.iter()
        .filter(|(name, _)| !belongs_to_executor(name))
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect()
}

fn belongs_to_executor(name: &str) -> bool {
    EXECUTOR_NAMES.contains(&name) || EXECUTOR_PREFIXES.iter().any(|prefix| name.starts_with(prefix))
}

/// Returns the environment of terraform: what is inherited, then the variables of the workspace, then what is
/// fixed. `state` is the address of the state on the loopback interface.
pub(crate) fn terraform(
    env: &EnvSnapshot,
    payload: &EphemeralJobData,
    state: &str,
) -> Result<BTreeMap<String, String>, EnvironmentError> {
    let mut all = inherited(env);
    for (name, value) in [("TF_IN_AUTOMATION", "1"), ("CHECKPOINT_DISABLE", "1")] {
        all.insert(name.into(), value.into());
    }
    let problems = problems(payload);
    let refused: Vec<_> = problems.iter().filter(|found| found.effect == Effect::Refused).cloned().collect();
    if !refused.is_empty() {
        return Err(EnvironmentError::Refused(refused));
    }
    for (name, value) in &payload.environment_variables {
        if name.starts_with("EPHEMERAL_")
            || name.starts_with(REPOSITORY_CREDENTIALS)
            || name == "TERRAKUBE_ENABLE_EPHEMERAL_EXECUTOR"
            || problems.iter().any(|found| found.name == *name)
        {
            continue;
        }
        all.insert(name.clone(), value.clone());
    }
    let own_path = env.get("PATH").unwrap_or_default();
    if let Some(path) = all.get_mut("PATH") {
        *path = search_path(own_path, path);
    }
    for (name, value) in [
        ("TF_INPUT", "0"),
        ("TF_HTTP_ADDRESS", state),
        ("TF_HTTP_LOCK_ADDRESS", state),
        ("TF_HTTP_UNLOCK_ADDRESS", state),
        ("TF_HTTP_UPDATE_METHOD", "POST"),
        ("TF_HTTP_LOCK_METHOD", "LOCK"),
        ("TF_HTTP_UNLOCK_METHOD", "UNLOCK"),
        // Requests wait in the executor while the server is unavailable. When they fail, terraform writes its
        // state to a file, and soon: the executor may be gone.
        ("TF_HTTP_RETRY_MAX", "2"),
        ("TF_HTTP_RETRY_WAIT_MIN", "1"),
        ("TF_HTTP_RETRY_WAIT_MAX", "2"),
    ] {
        all.insert(name.into(), value.into());
    }
    check(&all)?;
    Ok(all)
}

/// Returns the variables of the workspace that a step cannot run with.
fn problems(payload: &EphemeralJobData) -> Vec<EnvironmentProblem> {
    let variables = payload.environment_variables.iter();
    environment::check(variables.map(|(name, value)| (name.as_str(), value.as_str())))
}

/// Returns the environment of scripts that run without terraform: they get no access to the state.
pub(crate) fn without_state(mut env: BTreeMap<String, String>) -> BTreeMap<String, String> {
    let own = |name: &str| name.starts_with("TF_HTTP_") && !CREDENTIALS_OF_WORKSPACE.contains(&name);
    env.retain(|name, _| !own(name));
    env
}

/// Returns what users should know about variables of the workspace that the step runs without.
pub(crate) fn notes(payload: &EphemeralJobData) -> Vec<String> {
    let left_out = problems(payload).into_iter().filter(|found| found.effect == Effect::LeftOut);
    left_out.map(|found| format!("(the step runs without a variable: {found})")).collect()
}

/// Returns the environment without the words that users add to the commands of terraform: they are for the
/// commands of the step, not for those that the executor asks questions with.
pub(crate) fn without_arguments(env: &BTreeMap<String, String>) -> BTreeMap<String, String> {
    let is_argument = |name: &str| name == "TF_CLI_ARGS" || name.starts_with("TF_CLI_ARGS_");
    env.iter()
        .filter(|(name, _)| !is_argument(name))
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect()
}

/// Joins the search path of the workspace with that of the executor, which has terraform, git and a shell:
/// the folders of the workspace come first, or where its value names `$PATH`.
fn search_path(own: &str, of_workspace: &str) -> String {
    let named = ["${PATH}", "$PATH"].into_iter().find(|name| of_workspace.contains(name));
    match named {
        Some(name) => of_workspace.replace(name, own),
        None if of_workspace.is_empty() || of_workspace == own => own.to_owned(),
        None if own.is_empty() => of_workspace.to_owned(),
        None => format!("{of_workspace}:{own}"),
    }
}

fn entry_length(name: &str, value: &str) -> usize {
    name.len() + value.len() + 2
}

fn check(all: &BTreeMap<String, String>) -> Result<(), EnvironmentError> {
    for (name, value) in all {
        if name.is_empty() || name.contains(['=', '\0']) {
            return Err(EnvironmentError::Name { name: name.clone() });
        }
        if value.contains('\0') {
            return Err(EnvironmentError::ZeroByte { name: name.clone() });
        }
        let bytes = entry_length(name, value);
        if bytes > MAX_ENTRY_BYTES {
            return Err(EnvironmentError::TooLong { name: name.clone(), bytes });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
