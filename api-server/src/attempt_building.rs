//! From stored records to the Kubernetes Job of an attempt.
//!
//! Pure: it reads records and settings and returns what `job-spec` renders. It is called when a job is
//! created, so that a fault in the workspace's settings is refused at once, when an attempt is made, and when somebody asks why.

use std::collections::BTreeMap;

use config_core::{EphemeralSettings, Policy, Problems, Rules, Variables, Warning, WorkspaceOverrides};
use job_spec::{
    AttemptAccess, AttemptKey, EphemeralJobData, JobPlan, JobRequest, Preview, Profile, StepType,
};

use crate::model::{IacType, Variable, VariableCategory, Workspace};

/// What the Kubernetes Jobs of a workspace are made from.
#[derive(Debug, Clone)]
pub struct WorkspaceInput {
    /// The workspace.
    pub workspace: Workspace,
    /// Name of its organization.
    pub organization_name: String,
    /// Its variables with their values.
    pub variables: Vec<Variable>,
}

/// The step that an attempt is for.
#[derive(Debug, Clone)]
pub struct StepInput {
    /// The job.
    pub job_id: i64,
    /// Id of the step.
    pub step_id: String,
    /// Number of the step.
    pub number: u32,
    /// What it does.
    pub step_type: StepType,
    /// Number of the attempt.
    pub attempt: u32,
    /// The commit that an earlier step of the job has fixed.
    pub commit_id: Option<String>,
}

impl StepInput {
    /// Makes the first attempt at a step of a job that does not exist; its ids are as long as ids get.
    #[must_use]
    pub fn example(number: u32, step_type: StepType) -> Self {
        Self {
            job_id: i64::from(u32::MAX),
            step_id: uuid::Uuid::nil().to_string(),
            number,
            step_type,
            attempt: 1,
            commit_id: Some("0".repeat(40)),
        }
    }
}

/// Plans the Kubernetes Job of an attempt.
///
/// # Errors
/// Every problem in the workspace's `EPHEMERAL_*` variables and in the resulting Job, and what the policy does not permit.
pub fn plan_attempt(
    settings: &EphemeralSettings,
    policy: &Policy,
    input: &WorkspaceInput,
    step: &StepInput,
    access: AttemptAccess,
) -> Result<JobPlan, Problems> {
    let parts = Parts::of(settings, policy, input, step);
    let (overrides, mut problems) = WorkspaceOverrides::read(&parts.variables, step.step_type.kind());
    problems.extend(parts.rules.check(&parts.variables));
    job_spec::validate_after(problems, &parts.request(settings, &overrides, access))
}

/// Explains the Kubernetes Job that an attempt would get, whether the workspace's variables are right or not.
#[must_use]
pub fn preview_attempt(
    profile: Profile,
    settings: &EphemeralSettings,
    policy: &Policy,
    input: &WorkspaceInput,
    step: &StepInput,
    access: AttemptAccess,
) -> Preview {
    let parts = Parts::of(settings, policy, input, step);
    let overrides = WorkspaceOverrides::default();
    job_spec::preview(profile, &parts.variables, &parts.request(settings, &overrides, access))
}

/// What an attempt is planned or explained from.
struct Parts {
    key: AttemptKey,
    rules: Rules,
    variables: Variables,
    payload: EphemeralJobData,
}

impl Parts {
    fn of(settings: &EphemeralSettings, policy: &Policy, input: &WorkspaceInput, step: &StepInput) -> Self {
        let variables = variables_of(settings, input);
        let environment = variables.iter().map(|(name, value)| (name.to_owned(), value.value.clone()));
        Self {
            key: AttemptKey {
                organization_id: input.workspace.organization_id.clone(),
                workspace_id: input.workspace.id.clone(),
                job_id: u64::try_from(step.job_id).unwrap_or_default(),
                step_number: step.number,
                attempt: step.attempt,
            },
            rules: policy.rules_for(&names_of_organization(input)),
            payload: payload(input, step, environment.collect()),
            variables,
        }
    }

    fn request<'a>(
        &'a self,
        settings: &'a EphemeralSettings,
        overrides: &'a WorkspaceOverrides,
        access: AttemptAccess,
    ) -> JobRequest<'a> {
        let Self { key, rules, variables: _, payload } = self;
        JobRequest { key: key.clone(), settings, overrides, rules, payload, access: Some(access) }
    }
}

/// Tells what in the variables that the workspace sees works, but hardly as it was meant.
#[must_use]
pub fn warnings(settings: &EphemeralSettings, input: &WorkspaceInput) -> Vec<Warning> {
    WorkspaceOverrides::warnings(&variables_of(settings, input))
}

/// What the executor and its pod see: the layers of the store, and those of the settings file below them.
fn variables_of(settings: &EphemeralSettings, input: &WorkspaceInput) -> Variables {
    environment_variables(input).or(settings.variables_for(&names_of_organization(input)))
}

fn names_of_organization(input: &WorkspaceInput) -> [&str; 2] {
    [&input.workspace.organization_id, &input.organization_name]
}

fn payload(
    input: &WorkspaceInput,
    step: &StepInput,
    environment_variables: BTreeMap<String, String>,
) -> EphemeralJobData {
    let workspace = &input.workspace;
    EphemeralJobData {
        command_list: None,
        step_type: step.step_type,
        organization_id: workspace.organization_id.clone(),
        workspace_id: workspace.id.clone(),
        job_id: step.job_id.to_string(),
        step_id: step.step_id.clone(),
        terraform_version: workspace.terraform_version.clone(),
        source: workspace.source.clone(),
        branch: workspace.branch.clone(),
        folder: workspace.folder.clone(),
        vcs_type: "PUBLIC".to_owned(),
        connection_type: None,
        access_token: None,
        module_ssh_key: None,
        commit_id: step.commit_id.clone(),
        refresh: true,
        refresh_only: false,
        show_header: true,
        ignore_error: false,
        tofu: workspace.iac_type == IacType::Tofu,
        environment_variables,
        variables: of_category(&input.variables, VariableCategory::Terraform).collect(),
    }
}

/// The layers of variables that the store has. With those of the settings file the executor is handed all of them, because
/// terraform has to find its plugin cache where the pod has mounted it, whoever named it.
fn environment_variables(input: &WorkspaceInput) -> Variables {
    Variables::merge(&of_workspace(input), &BTreeMap::new(), &[])
}

/// Presets first, so that a variable of the workspace may replace them.
fn of_workspace(input: &WorkspaceInput) -> BTreeMap<String, String> {
    let presets = [
        ("TF_IN_AUTOMATION".to_owned(), "1".to_owned()),
        ("workspaceName".to_owned(), input.workspace.name.clone()),
        ("organizationName".to_owned(), input.organization_name.clone()),
    ];
    presets.into_iter().chain(of_category(&input.variables, VariableCategory::Env)).collect()
}

fn of_category(
    variables: &[Variable],
    category: VariableCategory,
) -> impl Iterator<Item = (String, String)> + '_ {
    variables
        .iter()
        .filter(move |variable| variable.category == category)
        .map(|variable| (variable.key.clone(), variable.value.clone()))
}
