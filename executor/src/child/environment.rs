//! The environment of the child processes.
//!
//! Pure maps. Providers, modules and provisioners run with this environment, so what belongs to the executor
//! (its payload, its tokens, the storage keys of an installation) is not in it.

use std::collections::BTreeMap;

use config_core::EnvSnapshot;
use job_spec::{EphemeralJobData, StepType};

use super::shell_quote::quote;

/// The longest environment entry that Linux accepts, `NAME=` and the final zero byte included.
const MAX_ENTRY_BYTES: usize = 131_072;

/// Variables of the executor (of this one, or of a stock one that shares its Secret) that children do not
/// get.
const EXECUTOR_NAMES: &[&str] = &[
    "AwsEnableRoleAuth",
    "AwsEndpoint",
    "AwsIncludeBackendKeys",
    "AzBuilderApiUrl",
    "CustomTerraformReleasesUrl",
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
    #[error(
        "the terraform variables of the workspace take {bytes} bytes together, \
         expected at most {MAX_ENTRY_BYTES}; \
         move large values to a *.auto.tfvars file in the repository"
    )]
    VariablesTooLong { bytes: usize },
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
///
/// Terraform variables travel in `TF_CLI_ARGS_<command>` as `-var` options: this has the precedence of the
/// command line and its parsing by declared type, but unlike arguments it is not visible to other users of
/// the machine.
pub(crate) fn terraform(
    env: &EnvSnapshot,
    payload: &EphemeralJobData,
    state: &str,
    has_plan_file: bool,
) -> Result<BTreeMap<String, String>, EnvironmentError> {
    let mut all = inherited(env);
    for (name, value) in [("TF_IN_AUTOMATION", "1"), ("CHECKPOINT_DISABLE", "1")] {
        all.insert(name.into(), value.into());
    }
    for (name, value) in &payload.environment_variables {
        if name.starts_with("EPHEMERAL_") || name == "TERRAKUBE_ENABLE_EPHEMERAL_EXECUTOR" {
            continue;
        }
        all.insert(name.clone(), value.clone());
    }
    if let Some(command) = command_with_variables(payload.step_type, has_plan_file) {
        add_variables(&mut all, command, &payload.variables)?;
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
    // Terraform would leave the private work directory.
    all.remove("TF_DATA_DIR");
    check(&all)?;
    Ok(all)
}

/// A plan file holds the values of its variables; terraform rejects them a second time.
fn command_with_variables(step: StepType, has_plan_file: bool) -> Option<&'static str> {
    match step {
        StepType::TerraformPlan | StepType::TerraformPlanDestroy => Some("TF_CLI_ARGS_plan"),
        StepType::TerraformApply if has_plan_file => None,
        StepType::TerraformApply => Some("TF_CLI_ARGS_apply"),
        StepType::TerraformDestroy => Some("TF_CLI_ARGS_destroy"),
        StepType::CustomScripts | StepType::Approval => None,
    }
}

/// Appends the options to those of the user, so that ours take precedence.
fn add_variables(
    all: &mut BTreeMap<String, String>,
    command: &'static str,
    variables: &BTreeMap<String, String>,
) -> Result<(), EnvironmentError> {
    if variables.is_empty() {
        return Ok(());
    }
    let args = all.entry(command.to_owned()).or_default();
    for (name, value) in variables {
        if name.contains('\0') || value.contains('\0') {
            return Err(EnvironmentError::ZeroByte { name: name.clone() });
        }
        if !args.is_empty() {
            args.push(' ');
        }
        args.push_str(&quote(&format!("-var={name}={value}")));
    }
    let bytes = entry_length(command, args);
    if bytes > MAX_ENTRY_BYTES { Err(EnvironmentError::VariablesTooLong { bytes }) } else { Ok(()) }
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
