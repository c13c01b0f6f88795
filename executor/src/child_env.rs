//! The environment of the programs that the executor starts.
//!
//! Pure maps. Providers, modules and provisioners run with this environment, so what belongs to the executor (its
//! payload, its tokens, the storage keys of an installation) is not in it.

use std::collections::BTreeMap;

use config_core::EnvSnapshot;
use job_spec::{EphemeralJobData, StepType};

use crate::{api::StateAddress, words::quote};

/// The longest environment entry that Linux takes, `NAME=` and the final zero byte included.
const LONGEST_ENTRY: usize = 131_072;

/// Variables of the executor (of this one, or of a stock one that shares its Secret) that no child may see.
const OWN_NAMES: &[&str] = &[
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
    // Folders and askpass programs of whoever started the executor.
    "GIT_ASKPASS",
    "OLDPWD",
    "PWD",
    "SSH_ASKPASS",
    // Terraform would leave the private work directory.
    "TF_DATA_DIR",
    "TF_WORKSPACE",
];

/// Beginnings of such names.
const OWN_PREFIXES: &[&str] = &[
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

/// A variable that cannot be handed to a child.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ChildEnvError {
    #[error("environment variable {name:?} has a name that no process can have")]
    Name { name: String },
    #[error("variable {name:?} holds a zero byte, which no process can be given")]
    ZeroByte { name: String },
    #[error("environment variable {name:?} needs {bytes} bytes, expected at most {LONGEST_ENTRY}")]
    TooLong { name: String, bytes: usize },
    #[error(
        "the terraform variables of the workspace need {bytes} bytes together, expected at most {LONGEST_ENTRY}; \
         move large values to a *.auto.tfvars file in the repository"
    )]
    VariablesTooLong { bytes: usize },
}

/// The executor's own environment without what belongs to the executor.
pub(crate) fn inherited(env: &EnvSnapshot) -> BTreeMap<String, String> {
    env.iter()
        .filter(|(name, _)| !is_own(name))
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect()
}

fn is_own(name: &str) -> bool {
    OWN_NAMES.contains(&name) || OWN_PREFIXES.iter().any(|prefix| name.starts_with(prefix))
}

/// The environment of terraform: what is inherited, then the workspace's variables, then what must be so.
///
/// Terraform variables travel in `TF_CLI_ARGS_<command>` as `-var` options: that has the precedence of the command line
/// and its parsing by declared type, but unlike arguments it is not visible to other users of the machine.
pub(crate) fn terraform(
    env: &EnvSnapshot,
    payload: &EphemeralJobData,
    state: &StateAddress,
    with_plan_file: bool,
) -> Result<BTreeMap<String, String>, ChildEnvError> {
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
    if let Some(command) = command_with_variables(payload.step_type, with_plan_file) {
        add_variables(&mut all, command, &payload.variables)?;
    }
    for (name, value) in [
        ("TF_INPUT", "0"),
        ("TF_HTTP_ADDRESS", state.url.as_str()),
        ("TF_HTTP_LOCK_ADDRESS", &state.url),
        ("TF_HTTP_UNLOCK_ADDRESS", &state.url),
        ("TF_HTTP_UPDATE_METHOD", "POST"),
        ("TF_HTTP_LOCK_METHOD", "LOCK"),
        ("TF_HTTP_UNLOCK_METHOD", "UNLOCK"),
        ("TF_HTTP_USERNAME", &state.user),
        ("TF_HTTP_PASSWORD", state.password.expose()),
        // 1 + 2 + 4 + 8 + 16 seconds, then every 30: about ten minutes.
        ("TF_HTTP_RETRY_MAX", "24"),
        ("TF_HTTP_RETRY_WAIT_MIN", "1"),
        ("TF_HTTP_RETRY_WAIT_MAX", "30"),
    ] {
        all.insert(name.into(), value.into());
    }
    check(&all)?;
    Ok(all)
}

/// A plan file holds the values of its variables; terraform refuses to be given them again.
fn command_with_variables(step: StepType, with_plan_file: bool) -> Option<&'static str> {
    match step {
        StepType::TerraformPlan | StepType::TerraformPlanDestroy => Some("TF_CLI_ARGS_plan"),
        StepType::TerraformApply if with_plan_file => None,
        StepType::TerraformApply => Some("TF_CLI_ARGS_apply"),
        StepType::TerraformDestroy => Some("TF_CLI_ARGS_destroy"),
        StepType::CustomScripts | StepType::Approval => None,
    }
}

/// Appends the options to those that the user has put there, so that ours are the stronger ones.
fn add_variables(
    all: &mut BTreeMap<String, String>,
    command: &'static str,
    variables: &BTreeMap<String, String>,
) -> Result<(), ChildEnvError> {
    if variables.is_empty() {
        return Ok(());
    }
    let args = all.entry(command.to_owned()).or_default();
    for (name, value) in variables {
        if name.contains('\0') || value.contains('\0') {
            return Err(ChildEnvError::ZeroByte { name: name.clone() });
        }
        if !args.is_empty() {
            args.push(' ');
        }
        args.push_str(&quote(&format!("-var={name}={value}")));
    }
    let bytes = entry_length(command, args);
    if bytes > LONGEST_ENTRY { Err(ChildEnvError::VariablesTooLong { bytes }) } else { Ok(()) }
}

fn entry_length(name: &str, value: &str) -> usize {
    name.len() + value.len() + 2
}

fn check(all: &BTreeMap<String, String>) -> Result<(), ChildEnvError> {
    for (name, value) in all {
        if name.is_empty() || name.contains(['=', '\0']) {
            return Err(ChildEnvError::Name { name: name.clone() });
        }
        if value.contains('\0') {
            return Err(ChildEnvError::ZeroByte { name: name.clone() });
        }
        let bytes = entry_length(name, value);
        if bytes > LONGEST_ENTRY {
            return Err(ChildEnvError::TooLong { name: name.clone(), bytes });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
