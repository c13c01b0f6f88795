//! From stored records to the Kubernetes Job of an attempt.
//!
//! Pure: it reads records and settings and returns what `job-spec` renders. It is called when a job is
//! created, so that invalid variables are refused at once, when an attempt is created, and for explain.

use std::collections::BTreeMap;

use config_core::{
    EphemeralSettings, Origin, Policy, Problem, Problems, SourceName, Variables, Warning, WorkspaceOverrides,
};
use job_spec::{
    AttemptAccess, AttemptKey, EphemeralJobData, JobPlan, Organization, Planner, Preview, Profile, StepType,
    environment::Effect,
};

use crate::{
    model::{IacType, StepSettings, VariableCategory, VariableLayers, Workspace},
    redaction::Redactor,
    services::Services,
};

/// What the Kubernetes Jobs of a workspace are made from.
#[derive(Debug, Clone)]
pub struct WorkspaceInput {
    /// The workspace.
    pub workspace: Workspace,
    /// Name of its organization.
    pub organization_name: String,
    /// The variables that it sees.
    pub variables: VariableLayers,
}

impl WorkspaceInput {
    /// Returns what hides the sensitive variables of the workspace.
    pub(crate) fn redactor(&self) -> Redactor {
        Redactor::new(&self.variables)
    }

    /// Returns the input of a step, which may see fewer global variables.
    ///
    /// # Errors
    /// Every global variable that the step names and that does not exist.
    pub fn for_step(&self, settings: &StepSettings) -> Result<Self, Problems> {
        let mut input = self.clone();
        let mut missing = Vec::new();
        for (category, key, inputs) in [
            (VariableCategory::Env, "inputsEnv", &settings.inputs_env),
            (VariableCategory::Terraform, "inputsTerraform", &settings.inputs_terraform),
        ] {
            for name in input.variables.restrict(category, inputs) {
                let origin = Origin::new(SourceName::Request, format!("{key}.{name}"));
                let global = inputs.get(&name).map(String::as_str).unwrap_or_default();
                let expected = format!("the name of a global variable of category {category}");
                missing.push(Problem::new(origin, expected).with_found(global));
            }
        }
        Problems::into_result(missing, input)
    }
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
    /// What the template says about it.
    pub settings: StepSettings,
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
            settings: StepSettings::default(),
        }
    }
}

/// Plans the Kubernetes Job of an attempt.
///
/// # Errors
/// Every problem in the workspace's `EPHEMERAL_*` variables and in the resulting Job, and what the policy
/// does not permit.
pub fn plan_attempt(
    settings: &EphemeralSettings,
    policy: &Policy,
    input: &WorkspaceInput,
    step: &StepInput,
    access: AttemptAccess,
) -> Result<JobPlan, Problems> {
    plan_unredacted(settings, policy, input, step, access)
        .map_err(|problems| input.redactor().problems(problems))
}

/// Plans as [`plan_attempt`] does; problems may show sensitive values.
pub(crate) fn plan_unredacted(
    settings: &EphemeralSettings,
    policy: &Policy,
    input: &WorkspaceInput,
    step: &StepInput,
    access: AttemptAccess,
) -> Result<JobPlan, Problems> {
    let planner = Planner::new(settings, policy);
    let (variables, key) = (environment_variables(input), key(input, step));
    let environment = planner.environment(&variables, &key);
    let unusable = unusable_variables(&environment, |effect| effect == Effect::Refused);
    let payload = payload(input, step, &key, &environment);
    match planner.plan(&variables, &payload, &key, access) {
        Ok(plan) => Problems::into_result(unusable, plan),
        Err(problems) => {
            let all = problems.iter().cloned().chain(unusable).collect();
            Err(Problems::from_vec(all).unwrap_or(problems))
        }
    }
}

/// Returns the variables that the executor would leave out; jobs run without them.
pub(crate) fn left_out_variables(settings: &EphemeralSettings, input: &WorkspaceInput) -> Vec<Problem> {
    let variables = environment_variables(input);
    let environment = organization(input).variables(settings, &variables);
    unusable_variables(&environment, |effect| effect == Effect::LeftOut)
}

/// Returns the variables that a step cannot run with.
fn unusable_variables(environment: &Variables, is_asked: impl Fn(Effect) -> bool) -> Vec<Problem> {
    let pairs = environment.iter().map(|(name, found)| (name, found.value.as_str()));
    job_spec::environment::check(pairs)
        .into_iter()
        .filter(|found| is_asked(found.effect))
        .map(|found| {
            let problem = Problem::new(environment.origin_of(&found.name), found.expected);
            let problem = problem.with_hint(found.reason);
            match found.found {
                Some(value) => problem.with_found(&value),
                None => problem,
            }
        })
        .collect()
}

/// Returns what the executor of an example step would reach the server with; the token is as long as tokens
/// are.
pub(crate) fn example_access(services: &Services, step: &StepInput) -> AttemptAccess {
    AttemptAccess::new(services.attempt_url(&step.step_id), "0".repeat(51))
}

/// Explains the Kubernetes Job that an attempt would get, whether the workspace's variables are valid or not.
#[must_use]
pub fn preview_attempt(
    profile: Profile,
    settings: &EphemeralSettings,
    policy: &Policy,
    input: &WorkspaceInput,
    step: &StepInput,
    access: AttemptAccess,
) -> Preview {
    let planner = Planner::new(settings, policy);
    let (variables, key) = (environment_variables(input), key(input, step));
    let payload = payload(input, step, &key, &planner.environment(&variables, &key));
    planner.preview(profile, &variables, &payload, &key, access)
}

/// Returns what is accepted in the variables that the workspace sees, but hardly does what was meant.
#[must_use]
pub fn warnings(settings: &EphemeralSettings, input: &WorkspaceInput) -> Vec<Warning> {
    let variables = environment_variables(input);
    WorkspaceOverrides::warnings(&organization(input).variables(settings, &variables))
}

fn organization(input: &WorkspaceInput) -> Organization {
    Organization::new(&input.workspace.organization_id, &input.organization_name)
}

fn key(input: &WorkspaceInput, step: &StepInput) -> AttemptKey {
    let job_id = u64::try_from(step.job_id).unwrap_or_default();
    AttemptKey::new(organization(input), &input.workspace.id, job_id, step.number, step.attempt)
}

fn payload(
    input: &WorkspaceInput,
    step: &StepInput,
    key: &AttemptKey,
    environment: &Variables,
) -> EphemeralJobData {
    let workspace = &input.workspace;
    let mut payload = EphemeralJobData::new(step.step_type, key, &step.step_id)
        .with_source(workspace.source.expose(), &workspace.branch)
        .with_folder(&workspace.folder)
        .with_terraform_version(&workspace.terraform_version)
        .with_environment(environment)
        .with_variables(terraform_variables(input))
        .with_hcl_variables(input.variables.hcl_keys());
    payload.commit_id.clone_from(&step.commit_id);
    let StepSettings { commands, on_failure, import_commands, ignore_error, .. } = &step.settings;
    payload.command_list = (!commands.is_empty()).then(|| commands.clone());
    payload.on_failure_list = (!on_failure.is_empty()).then(|| on_failure.clone());
    payload.import_commands.clone_from(import_commands);
    payload.ignore_error = *ignore_error;
    payload.tofu = workspace.iac_type == IacType::Tofu;
    payload
}

/// The layers of variables that the store has.
fn environment_variables(input: &WorkspaceInput) -> Variables {
    // A variable of the workspace overrides a preset.
    let presets = [
        ("TF_IN_AUTOMATION".to_owned(), "1".to_owned()),
        ("workspaceName".to_owned(), input.workspace.name.clone()),
        ("organizationName".to_owned(), input.organization_name.clone()),
    ];
    input.variables.merge(VariableCategory::Env, presets)
}

fn terraform_variables(input: &WorkspaceInput) -> BTreeMap<String, String> {
    let merged = input.variables.merge(VariableCategory::Terraform, []);
    merged.iter().map(|(key, value)| (key.to_owned(), value.value.clone())).collect()
}
