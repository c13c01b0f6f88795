//! The options of `explain`, and the text that teaches it.

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
    /// The workspace's variables of category ENV: lines NAME=value (`#` begins a comment, the value goes to the end of its line), or an
    /// object of texts where the name of the file ends with .yaml, .yml or .json.
    #[arg(long, value_name = "FILE")]
    pub workspace_env: Option<PathBuf>,

    /// The organization's global variables, in the same form; those of the workspace win over them.
    #[arg(long, value_name = "FILE")]
    pub global_env: Option<PathBuf>,

    /// The variables of a collection, in the same form; global variables win over them, and the first collection over the next one.
    #[arg(long, value_name = "FILE")]
    pub collection_env: Vec<PathBuf>,

    /// The payload of the step: JSON as in EphemeralJobData, or its base64. [default: a terraformPlan of made-up ids]
    #[arg(long, value_name = "FILE")]
    pub job: Option<PathBuf>,

    /// The type of the step, where no payload tells it. [default: terraformPlan]
    #[arg(long, value_name = "TYPE", conflicts_with = "job", value_parser = step_types())]
    pub step_type: Option<StepType>,

    /// The settings file of `serve`.
    #[arg(long, value_name = "FILE")]
    pub settings: Option<PathBuf>,

    /// The policy file of `serve`. [default: a built-in policy]
    #[arg(long, value_name = "FILE")]
    pub policy: Option<PathBuf>,

    /// What settings and policy know the organization by, beside the organizationId of the payload.
    #[arg(long, value_name = "ID_OR_NAME")]
    pub organization: Vec<String>,

    /// Whose Kubernetes Job is shown.
    #[arg(long, value_enum, default_value_t)]
    pub profile: Profile,

    /// The form of the answer.
    #[arg(long, value_enum, default_value_t)]
    pub format: Format,
}

/// Whose Kubernetes Job is shown.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum Profile {
    /// The one that `serve` creates.
    #[default]
    Safe,
    /// The one that Terrakube 2.27 makes of the same settings, with its defects: to compare, never to run.
    Compatible,
}

/// The form of the answer.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// The Kubernetes Job, and beside each field what decided it.
    #[default]
    Yaml,
    /// One object: job, fields, warnings, refused (and defects); nothing on standard error.
    Json,
    /// A line for each field.
    Table,
}

const EXAMPLE: &str = "\
Example:
  $ cat workspace.env
  # runs on spot nodes
  EPHEMERAL_CONFIG_TOLERATIONS=spot:Exists:NoSchedule
  EPHEMERAL_CPU_LIMIT_APPLY=2
  $ api-server explain --workspace-env workspace.env --step-type terraformApply

A payload for --job needs no more than
  {\"type\": \"terraformApply\", \"organizationId\": \"acme\",
   \"workspaceId\": \"net\", \"jobId\": \"42\", \"stepId\": \"1\"}

One FILE may be `-`, for standard input. Exit code 1 says that something is
refused: `serve` would create nothing, and what is shown is the Kubernetes Job
without the variables that are refused.";

/// The types of steps that run in a Kubernetes Job; an approval has none.
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
