//! The whole input of an executor: `EphemeralJobData`.
//!
//! Field names and meanings are those of Terrakube's executor (`TerraformJob.java`), so that either executor
//! reads the payloads of either system. The encoding is JSON in standard base64.
//! Decoding is tolerant: unknown fields are ignored, absent or null maps are empty, null variables are unset,
//! line breaks in the base64 text are skipped. Encoding is exact: every field is present, on one line.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use config_core::{StepKind, Variables};
use serde::{Deserialize, Deserializer, Serialize};

use crate::AttemptKey;

mod json_error;

pub use json_error::JsonError;

/// What a step does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum StepType {
    /// `terraform plan`.
    TerraformPlan,
    /// `terraform plan -destroy`.
    TerraformPlanDestroy,
    /// `terraform apply` of the job's plan, or without one if the job has no plan step.
    TerraformApply,
    /// `terraform destroy`.
    TerraformDestroy,
    /// Runs scripts only.
    CustomScripts,
    /// Waits for the approval of a user.
    Approval,
}

impl StepType {
    /// Every type, in the order of the enumeration.
    pub const ALL: [Self; 6] = [
        Self::TerraformPlan,
        Self::TerraformPlanDestroy,
        Self::TerraformApply,
        Self::TerraformDestroy,
        Self::CustomScripts,
        Self::Approval,
    ];

    /// Returns the name used in templates, payloads and the API.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::TerraformPlan => "terraformPlan",
            Self::TerraformPlanDestroy => "terraformPlanDestroy",
            Self::TerraformApply => "terraformApply",
            Self::TerraformDestroy => "terraformDestroy",
            Self::CustomScripts => "customScripts",
            Self::Approval => "approval",
        }
    }

    /// Returns whether the step only computes changes.
    #[must_use]
    pub const fn is_plan(self) -> bool {
        matches!(self, Self::TerraformPlan | Self::TerraformPlanDestroy)
    }

    /// Returns the kind of the step, for settings that differ between plan and apply;
    /// `None` for scripts and approvals.
    #[must_use]
    pub const fn kind(self) -> Option<StepKind> {
        match self {
            Self::TerraformPlan | Self::TerraformPlanDestroy => Some(StepKind::Plan),
            Self::TerraformApply | Self::TerraformDestroy => Some(StepKind::Apply),
            Self::CustomScripts | Self::Approval => None,
        }
    }

    /// Returns whether the step may change infrastructure, so that it must never run twice.
    #[must_use]
    pub const fn changes_infrastructure(self) -> bool {
        !matches!(self, Self::TerraformPlan | Self::TerraformPlanDestroy | Self::Approval)
    }
}

impl fmt::Display for StepType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The interpreter of a script.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum CommandRuntime {
    /// `bash`.
    Bash,
    /// Groovy, which needs a JVM.
    Groovy,
}

/// A script that runs before or after the terraform command of a step.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[expect(clippy::struct_excessive_bools, reason = "the fields are those of the protocol")]
pub struct Command {
    /// The interpreter.
    pub runtime: CommandRuntime,
    /// The text of the script.
    #[serde(default)]
    pub script: String,
    /// Scripts run in ascending order of this number.
    #[serde(default)]
    pub priority: i64,
    /// Run between `init` and the terraform command.
    #[serde(default)]
    pub before: bool,
    /// Run after a successful terraform command.
    #[serde(default)]
    pub after: bool,
    /// Print the script around its output.
    #[serde(default)]
    pub verbose: bool,
    /// Run before `init`. Executors before Terrakube 2.28 do not accept this field.
    #[serde(default, skip_serializing_if = "is_false")]
    pub before_init: bool,
}

/// A repository whose file `commands.yaml` replaces the scripts of a step.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ImportCommands {
    /// Address of the repository, which is read without credentials.
    pub repository: String,
    /// Branch, tag or commit; empty for the default branch.
    #[serde(default)]
    pub branch: String,
    /// Folder of the file.
    #[serde(default)]
    pub folder: String,
}

/// The input of one executor.
///
/// `Debug` shows neither variables nor credentials.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[expect(clippy::struct_excessive_bools, reason = "the fields are those of the protocol")]
#[non_exhaustive]
pub struct EphemeralJobData {
    /// Scripts of the step; `None` means none.
    #[serde(default)]
    pub command_list: Option<Vec<Command>>,
    /// What the step does.
    #[serde(rename = "type")]
    pub step_type: StepType,
    /// Id of the organization (UUID).
    pub organization_id: String,
    /// Id of the workspace (UUID).
    pub workspace_id: String,
    /// Id of the job (a decimal integer).
    pub job_id: String,
    /// Id of the step (UUID).
    pub step_id: String,
    /// Version of terraform or tofu, or a constraint such as `~> 1.9`; empty means the installed version.
    #[serde(default, deserialize_with = "null_as_default")]
    pub terraform_version: String,
    /// Source of the configuration: the URL of a git repository or a local folder.
    #[serde(default, deserialize_with = "null_as_default")]
    pub source: String,
    /// Branch or tag of a git source.
    #[serde(default, deserialize_with = "null_as_default")]
    pub branch: String,
    /// Working directory inside the source, such as `/` or `/live/dev`.
    #[serde(default, deserialize_with = "null_as_default")]
    pub folder: String,
    /// Kind of version control system, which determines the form of the credentials: `PUBLIC`,
    /// `GITHUB`, `SSH~id_rsa`…
    #[serde(default, deserialize_with = "null_as_default")]
    pub vcs_type: String,
    /// `OAUTH` or `STANDALONE`; only read for `GITHUB`.
    #[serde(default)]
    pub connection_type: Option<String>,
    /// Git credentials: a token, or the private key for SSH.
    #[serde(default)]
    pub access_token: Option<String>,
    /// Private key for downloading modules.
    #[serde(default)]
    pub module_ssh_key: Option<String>,
    /// Commit to check out, if an earlier step of the job has determined it.
    #[serde(default)]
    pub commit_id: Option<String>,
    /// `false` adds `-refresh=false` to plan.
    #[serde(default)]
    pub refresh: bool,
    /// Adds `-refresh-only` to plan.
    #[serde(default)]
    pub refresh_only: bool,
    /// Print banners and the output of init.
    #[serde(default)]
    pub show_header: bool,
    /// A failed plan does not fail the step.
    #[serde(default)]
    pub ignore_error: bool,
    /// Run OpenTofu instead of Terraform.
    #[serde(default)]
    pub tofu: bool,
    /// Environment of terraform and of scripts.
    #[serde(default, deserialize_with = "map_without_nulls")]
    pub environment_variables: BTreeMap<String, String>,
    /// Terraform input variables.
    #[serde(default, deserialize_with = "map_without_nulls")]
    pub variables: BTreeMap<String, String>,
    /// Names of the input variables whose values are expressions; the values of the others are text. `None`,
    /// as in payloads of Terrakube, leaves that to the declared type, as `-var` of terraform does. Stock
    /// executors do not accept this field, so it is only encoded where it is set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hcl_variables: Option<BTreeSet<String>>,
    /// Scripts that run after the step has failed. Executors before Terrakube 2.30 do not accept this field.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on_failure_list: Option<Vec<Command>>,
    /// Where the scripts of the step are, if not in `command_list`. In Terrakube the API reads them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub import_commands: Option<ImportCommands>,
}

/// The error of decoding an `EphemeralJobData`.
#[derive(Debug, thiserror::Error)]
pub enum PayloadError {
    /// The text is not standard base64.
    #[error("EphemeralJobData is not standard base64")]
    Base64(#[source] base64::DecodeError),
    /// The decoded text is not the expected JSON object.
    #[error("EphemeralJobData is not the JSON object of a job")]
    Json(#[source] JsonError),
}

impl EphemeralJobData {
    /// Creates the payload of a step of an attempt's job; its ids are those of the key.
    ///
    /// It refreshes before it plans, prints banners, runs the Terraform that is installed, and has neither
    /// source nor variables: the fields are public, and the `with_` functions set
    /// those that most payloads have.
    ///
    /// ```
    /// use job_spec::{AttemptKey, EphemeralJobData, Organization, StepType};
    /// let key = AttemptKey::new(Organization::new("org-1", "acme"), "dev", 42, 100, 1);
    /// let payload = EphemeralJobData::new(StepType::TerraformPlan, &key, "step-1")
    ///     .with_source("https://github.com/acme/infra.git", "main")
    ///     .with_terraform_version("1.9.8")
    ///     .with_variables([("region", "eu-west-1")]);
    /// assert_eq!(payload.job_id, "42");
    /// assert_eq!(payload.folder, "/");
    /// ```
    pub fn new(step_type: StepType, key: &AttemptKey, step_id: impl Into<String>) -> Self {
        Self {
            command_list: None,
            step_type,
            organization_id: key.organization.id().to_owned(),
            workspace_id: key.workspace_id.clone(),
            job_id: key.job_id.to_string(),
            step_id: step_id.into(),
            terraform_version: String::new(),
            source: String::new(),
            branch: String::new(),
            folder: "/".to_owned(),
            vcs_type: "PUBLIC".to_owned(),
            connection_type: None,
            access_token: None,
            module_ssh_key: None,
            commit_id: None,
            refresh: true,
            refresh_only: false,
            show_header: true,
            ignore_error: false,
            tofu: false,
            environment_variables: BTreeMap::new(),
            variables: BTreeMap::new(),
            hcl_variables: None,
            on_failure_list: None,
            import_commands: None,
        }
    }

    /// Sets the source of the configuration: the URL of a git repository and its branch or tag,
    /// or a local folder.
    #[must_use]
    pub fn with_source(mut self, source: impl Into<String>, branch: impl Into<String>) -> Self {
        self.source = source.into();
        self.branch = branch.into();
        self
    }

    /// Sets the working directory inside the source.
    #[must_use]
    pub fn with_folder(mut self, folder: impl Into<String>) -> Self {
        self.folder = folder.into();
        self
    }

    /// Sets the version of terraform or tofu, or a constraint on it.
    #[must_use]
    pub fn with_terraform_version(mut self, version: impl Into<String>) -> Self {
        self.terraform_version = version.into();
        self
    }

    /// Sets the environment of terraform and of scripts to all the variables that the step sees, as
    /// [`Planner::environment`](crate::Planner::environment) returns them.
    #[must_use]
    pub fn with_environment(mut self, variables: &Variables) -> Self {
        let pairs = variables.iter().map(|(name, found)| (name.to_owned(), found.value.clone()));
        self.environment_variables = pairs.collect();
        self
    }

    /// Sets the input variables of Terraform.
    #[must_use]
    pub fn with_variables<K: Into<String>, V: Into<String>>(
        mut self,
        variables: impl IntoIterator<Item = (K, V)>,
    ) -> Self {
        self.variables = variables.into_iter().map(|(name, value)| (name.into(), value.into())).collect();
        self
    }

    /// Sets which input variables are expressions in the language of terraform; all others are text.
    #[must_use]
    pub fn with_hcl_variables<N: Into<String>>(mut self, names: impl IntoIterator<Item = N>) -> Self {
        self.hcl_variables = Some(names.into_iter().map(Into::into).collect());
        self
    }

    /// Encodes the payload as the value of `EphemeralJobData`: base64 of UTF-8 JSON, padded, on one line.
    #[must_use]
    pub fn encode(&self) -> String {
        let mut json = Vec::with_capacity(8 * 1024);
        serde_json::to_writer(&mut json, self)
            .expect("a struct of strings, numbers and maps with text keys is JSON");
        STANDARD.encode(json)
    }

    /// Decodes the value of `EphemeralJobData`.
    ///
    /// White space in the text is skipped, because many tools wrap base64 at 76 characters.
    ///
    /// # Errors
    /// [`PayloadError`] says whether the base64 or the JSON is invalid.
    /// It never contains a part of the payload.
    pub fn decode(text: &str) -> Result<Self, PayloadError> {
        let compact: String = text.chars().filter(|c| !c.is_ascii_whitespace()).collect();
        let json = STANDARD.decode(compact).map_err(PayloadError::Base64)?;
        serde_json::from_slice(&json).map_err(|error| PayloadError::Json(JsonError::of(&error)))
    }
}

impl fmt::Debug for EphemeralJobData {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EphemeralJobData")
            .field("step_type", &self.step_type)
            .field("organization_id", &self.organization_id)
            .field("workspace_id", &self.workspace_id)
            .field("job_id", &self.job_id)
            .field("step_id", &self.step_id)
            .field("environment_variables", &self.environment_variables.keys())
            .field("variables", &self.variables.keys())
            .finish_non_exhaustive()
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the signature is that of serde")]
fn is_false(value: &bool) -> bool {
    !value
}

fn null_as_default<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

fn map_without_nulls<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<BTreeMap<String, String>, D::Error> {
    let map: Option<BTreeMap<String, Option<String>>> = Option::deserialize(deserializer)?;
    Ok(map.unwrap_or_default().into_iter().filter_map(|(key, value)| Some((key, value?))).collect())
}

#[cfg(test)]
mod tests;
