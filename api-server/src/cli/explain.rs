//! The options of `explain`, with its help text.

use std::path::PathBuf;

use clap::{
    Args, ValueEnum,
    builder::{PossibleValuesParser, TypedValueParser},
};
use job_spec::StepType;

/// Options of `explain`.
#[derive(Debug, Default, Args)]
#[command(after_long_help = EXAMPLE)]
pub struct Explain {
    /// The workspace's variables of category ENV: lines NAME=value (`#` starts a comment, the value extends
    /// to the end of the line), or an object of strings if the name of the file ends with .yaml, .yml or
    /// .json.
    #[arg(long, value_name = "FILE")]
    pub workspace_env: Option<PathBuf>,

    /// The organization's global variables, in the same format; variables of the workspace override them.
    #[arg(long, value_name = "FILE")]
    pub global_env: Option<PathBuf>,

    /// The variables of a collection, in the same format; global variables override them, and the first
    /// collection overrides the next.
    #[arg(long, value_name = "FILE")]
    pub collection_env: Vec<PathBuf>,

    /// The payload of the step: JSON as in EphemeralJobData, or its base64. [default: a terraformPlan with
    /// example ids]
    #[arg(long, value_name = "FILE")]
    pub job: Option<PathBuf>,

    /// The type of the step, if there is no payload. [default: terraformPlan]
    #[arg(long, value_name = "TYPE", conflicts_with = "job", value_parser = step_types())]
    pub step_type: Option<StepType>,

    /// The settings file of `serve`.
    #[arg(long, value_name = "FILE")]
    pub settings: Option<PathBuf>,

    /// The policy file of `serve`. [default: a built-in policy]
    #[arg(long, value_name = "FILE")]
    pub policy: Option<PathBuf>,

    /// Id or name of the organization in settings and policy, in addition to the organizationId of the
    /// payload.
    #[arg(long, value_name = "ID_OR_NAME")]
    pub organization: Vec<String>,

    /// Which Kubernetes Job is shown.
    #[arg(long, value_enum, default_value_t)]
    pub profile: Profile,

    /// The output format.
    #[arg(long, value_enum, default_value_t)]
    pub format: Format,
}

/// Which Kubernetes Job is shown.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum Profile {
    /// The Kubernetes Job that `serve` creates.
    #[default]
    Safe,
    /// The Kubernetes Job that Terrakube 2.27 creates from the same settings, with its defects; for
    /// comparison, never to run.
    Compatible,
}

/// The output format.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// The Kubernetes Job, with a comment at each field about what set it.
    #[default]
    Yaml,
    /// One object: job, fields, warnings, refused (and defects); nothing on standard error.
    Json,
    /// One line per field.
    Table,
}

const EXAMPLE: &str = "\
Example:
  $ cat workspace.env
  # runs on spot nodes
  EPHEMERAL_CONFIG_TOLERATIONS=spot:Exists:NoSchedule
  EPHEMERAL_CPU_LIMIT_APPLY=2
  $ api-server explain --workspace-env workspace.env --step-type terraformApply

The smallest payload for --job is
  {\"type\": \"terraformApply\", \"organizationId\": \"acme\",
   \"workspaceId\": \"net\", \"jobId\": \"42\", \"stepId\": \"1\"}

One FILE may be `-`, for standard input. The exit code is 1 if a variable is
refused: `serve` would create nothing, and the Kubernetes Job is shown without
the refused variables.";

/// Parses the types of steps that run in a Kubernetes Job; an approval has none.
fn step_types() -> impl TypedValueParser<Value = StepType> {
    let types = StepType::ALL.into_iter().filter(|step_type| *step_type != StepType::Approval);
    PossibleValuesParser::new(types.map(StepType::as_str)).map(|name| {
        let mut types = StepType::ALL.into_iter();
        types.find(|step_type| step_type.as_str() == name).expect("only names of types are possible")
    })
}

impl From<Profile> for job_spec::Profile {
    fn from(profile: Profile) -> Self {
        match profile {
            Profile::Safe => Self::Safe,
            Profile::Compatible => Self::Compatible,
        }
    }
}
