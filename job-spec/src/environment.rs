//! Which variables of category `ENV` a step can run with.
//!
//! The api-server refuses the others when they are set; the executor, which also gets payloads of other
//! systems, leaves them out or fails the step. Both read the same table, [`check`]. Every other variable
//! reaches terraform and scripts as it is.

mod cli_args;

use std::fmt;

/// What an executor does with a variable that a step cannot run with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Effect {
    /// It leaves the variable out and runs the step.
    LeftOut,
    /// It runs nothing.
    Refused,
}

/// A variable that a step cannot run with.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct EnvironmentProblem {
    /// Name of the variable.
    pub name: String,
    /// The part of the value that is refused, without values of options, which may be secret.
    pub found: Option<String>,
    /// What is expected.
    pub expected: String,
    /// The reason.
    pub reason: String,
    /// What the executor does.
    pub effect: Effect,
}

impl fmt::Display for EnvironmentProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, found, expected, reason, .. } = self;
        write!(f, "environment variable {name}: ")?;
        if let Some(found) = found {
            write!(f, "found {found:?}, ")?;
        }
        write!(f, "expected {expected}; {reason}")
    }
}

/// Expected where a variable must not be set at all.
const NOT_SET: &str = "the variable not to be set";

/// Variables that the executor replaces or removes, and why.
const LEFT_OUT: &[(&[&str], &str)] = &[
    (
        &["TF_DATA_DIR"],
        "terraform's data is in the work directory of the step, which is removed at its end; set \
         TF_PLUGIN_CACHE_DIR to keep providers",
    ),
    (
        &[
            "TF_HTTP_ADDRESS",
            "TF_HTTP_LOCK_ADDRESS",
            "TF_HTTP_UNLOCK_ADDRESS",
            "TF_HTTP_UPDATE_METHOD",
            "TF_HTTP_LOCK_METHOD",
            "TF_HTTP_UNLOCK_METHOD",
            "TF_HTTP_RETRY_MAX",
            "TF_HTTP_RETRY_WAIT_MIN",
            "TF_HTTP_RETRY_WAIT_MAX",
        ],
        "the executor sets it to the state of this workspace",
    ),
];

/// Variables with which programs of the step would not do their work, and why.
const REFUSED: &[(&[&str], &str)] = &[
    (
        &["SHELLOPTS", "BASHOPTS"],
        "bash would read options from it that make a script do nothing and succeed; \
         write `set` into the script",
    ),
    (
        &[
            "GIT_DIR",
            "GIT_WORK_TREE",
            "GIT_INDEX_FILE",
            "GIT_OBJECT_DIRECTORY",
            "GIT_COMMON_DIR",
            "GIT_NAMESPACE",
        ],
        "terraform runs git for modules, which would use this one repository for every module",
    ),
    (
        &["LD_PRELOAD", "LD_AUDIT"],
        "every program of the step would load this file, or fail without it; build an image that has it \
         where it is needed",
    ),
];

/// Finds the variables that a step cannot run with, in the order given.
///
/// ```
/// use job_spec::environment::{Effect, check};
/// let problems = check([("TF_CLI_ARGS_plan", "-parallelism=2 -destroy"), ("TF_LOG", "debug")]);
/// assert_eq!(problems.len(), 1);
/// assert_eq!((problems[0].name.as_str(), problems[0].effect), ("TF_CLI_ARGS_plan", Effect::Refused));
/// assert_eq!(problems[0].found.as_deref(), Some("-destroy"));
/// ```
pub fn check<'a>(variables: impl IntoIterator<Item = (&'a str, &'a str)>) -> Vec<EnvironmentProblem> {
    variables.into_iter().flat_map(|(name, value)| check_one(name, value)).collect()
}

fn check_one(name: &str, value: &str) -> Vec<EnvironmentProblem> {
    let problem = |found: Option<&str>, expected: &str, reason: &str, effect| EnvironmentProblem {
        name: name.to_owned(),
        found: found.map(str::to_owned),
        expected: expected.to_owned(),
        reason: reason.to_owned(),
        effect,
    };
    let listed = |table: &[(&[&str], &'static str)]| {
        table.iter().find(|(names, _)| names.contains(&name)).map(|(_, reason)| *reason)
    };
    if let Some(reason) = listed(LEFT_OUT) {
        return vec![problem(None, NOT_SET, reason, Effect::LeftOut)];
    }
    if let Some(reason) = listed(REFUSED) {
        return vec![problem(None, NOT_SET, reason, Effect::Refused)];
    }
    match name {
        "TF_WORKSPACE" if !matches!(value, "" | "default") => {
            let reason = "the state of a workspace has no further workspaces of terraform, and \
                          terraform.workspace is \"default\"; create a workspace for each environment, and \
                          tell them apart by a variable";
            vec![problem(Some(value), "\"default\" or nothing", reason, Effect::Refused)]
        }
        "TF_INPUT" if !matches!(value, "" | "0" | "false" | "False" | "FALSE" | "f" | "F") => {
            let reason = "terraform cannot ask for a value in a step; set the variable that it would ask for";
            vec![problem(Some(value), "\"0\" or \"false\"", reason, Effect::LeftOut)]
        }
        "HOME" | "TMPDIR" if !value.starts_with('/') => {
            let reason = "terraform, git and scripts run in different folders";
            vec![problem(Some(value), "an absolute path", reason, Effect::Refused)]
        }
        _ => cli_args::command_of(name)
            .map(|command| cli_args::check(command, value))
            .unwrap_or_default()
            .into_iter()
            .map(|found| {
                let cli_args::Refused { option, expected, reason } = found;
                let option = option.as_deref();
                problem(option, &expected, &reason, Effect::Refused)
            })
            .collect(),
    }
}

#[cfg(test)]
mod tests;
