//! Jobs over HTTP: create, read, approve, reject, cancel.

use std::{collections::BTreeSet, sync::Arc};

use axum::{
    Extension, Json,
    extract::State,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use config_core::Warning;
use jiff::Timestamp;
use job_spec::attempt_api::{Evidence, MemoryUse, PhaseTiming, StepOutcome};
use serde::{Deserialize, Serialize};

use super::{
    AppState, Items,
    auth::User,
    extract::{Body, Path, RawBody},
    problem::Problem,
    templates::unusable_template,
};
use crate::{
    attempt_building::{StepInput, WorkspaceInput, example_access, plan_attempt, warnings},
    messages,
    model::{Answer, Attempt, AttemptStatus, Job, JobStatus, NewStep, Step, StepStatus, Workspace},
    redaction::Redactor,
    services::Services,
    store::{CauseRecord, Store, StoreError},
    template,
};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct NewJob {
    template_id: String,
}

/// Creates a job. Plans every Kubernetes Job that it needs first, so that an invalid setting is refused
/// before anything starts.
pub(super) async fn create(
    State(app): State<AppState>,
    Path(workspace): Path<String>,
    Body(new): Body<NewJob>,
) -> Result<(StatusCode, Json<JobView>), Problem> {
    let store = &app.services.store;
    let workspace = store.workspace(&workspace).await?;
    let template = store.template(&new.template_id).await?;
    if template.organization_id != workspace.organization_id {
        return Err(Problem::new(
            StatusCode::NOT_FOUND,
            format!("there is no template {:?}", new.template_id),
        ));
    }
    let steps = template::parse(&template.tcl).map_err(|error| unusable_template(&error))?;
    let input = input_of(store, workspace).await?;
    let mut warnings = warnings(&app.services.settings, &input);
    warnings.extend(check_steps(&app.services, &input, &steps)?);
    let redactor = input.redactor();
    let warnings = warnings.into_iter().map(|warning| redactor.warning(warning)).collect();
    let job = store.create_job(&input.workspace, &template.id, &steps).await?;
    app.orchestrator.wake(job.id);
    Ok((StatusCode::CREATED, Json(JobView { warnings, ..job.into() })))
}

/// Reads what the Kubernetes Jobs of a workspace are planned from.
pub(super) async fn input_of(store: &Store, workspace: Workspace) -> Result<WorkspaceInput, StoreError> {
    Ok(WorkspaceInput {
        organization_name: store.organization(&workspace.organization_id).await?.name,
        variables: store.variable_layers(&workspace).await?,
        workspace,
    })
}

/// Plans every step once and returns the warnings.
fn check_steps(
    services: &Services,
    input: &WorkspaceInput,
    steps: &[NewStep],
) -> Result<BTreeSet<Warning>, Problem> {
    let mut warnings = BTreeSet::new();
    for step in steps.iter().filter(|step| step.step_type != job_spec::StepType::Approval) {
        let example =
            StepInput { settings: step.settings.clone(), ..StepInput::example(step.number, step.step_type) };
        let input = input.for_step(&step.settings)?;
        let access = example_access(services, &example);
        let plan = plan_attempt(&services.settings, &services.policy, &input, &example, access)?;
        warnings.extend(plan.warnings().iter().cloned());
    }
    Ok(warnings)
}

pub(super) async fn list(
    State(services): State<Arc<Services>>,
    Path(workspace): Path<String>,
) -> Result<Json<Items<JobView>>, Problem> {
    services.store.workspace(&workspace).await?;
    let jobs = services.store.jobs_of_workspace(&workspace).await?;
    Ok(Json(Items { items: jobs.into_iter().map(Into::into).collect() }))
}

pub(super) async fn read(
    State(services): State<Arc<Services>>,
    Path(job): Path<i64>,
) -> Result<Json<JobView>, Problem> {
    Ok(Json(services.store.job(job).await?.into()))
}

/// The optional body of an approval.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Approval {
    /// Digest of the plan that the user has seen.
    plan_digest: Option<String>,
}

pub(super) async fn approve(
    State(app): State<AppState>,
    Path(job): Path<i64>,
    Extension(user): Extension<User>,
    RawBody(body): RawBody,
) -> Result<Json<JobView>, Problem> {
    let approval: Option<Approval> = if body.is_empty() {
        None
    } else {
        serde_json::from_slice(&body)
            .map_err(|error| Problem::new(StatusCode::UNPROCESSABLE_ENTITY, error.to_string()))?
    };
    let digest = approval.and_then(|approval| approval.plan_digest);
    answer(&app, job, true, &user, digest.as_deref()).await
}

pub(super) async fn reject(
    State(app): State<AppState>,
    Path(job): Path<i64>,
    Extension(user): Extension<User>,
) -> Result<Json<JobView>, Problem> {
    answer(&app, job, false, &user, None).await
}

async fn answer(
    app: &AppState,
    job: i64,
    approved: bool,
    user: &User,
    digest: Option<&str>,
) -> Result<Json<JobView>, Problem> {
    let job = app.services.store.answer_approval(job, approved, &user.name, digest).await?;
    app.orchestrator.wake(job.id);
    Ok(Json(job.into()))
}

pub(super) async fn cancel(
    State(app): State<AppState>,
    Path(job): Path<i64>,
) -> Result<Json<JobView>, Problem> {
    let job = app.services.store.request_cancel(job).await?;
    app.orchestrator.wake(job.id);
    Ok(Json(job.into()))
}

/// Shows the Kubernetes Job of an attempt as YAML, without secrets.
pub(super) async fn kubernetes_job(
    State(services): State<Arc<Services>>,
    Path(attempt): Path<String>,
) -> Result<Response, Problem> {
    let prepared = services.store.prepared(&attempt).await?;
    // By way of plain JSON: writing every type of Kubernetes as YAML would be a seventh of this crate's code.
    let mut job = serde_json::to_value(job_spec::redacted(&prepared.job)).map_err(std::io::Error::other)?;
    // Annotations and the like may hold the value of a sensitive variable.
    let claim = services.store.claim_data(&attempt).await?;
    let values = claim.sensitive_values(&prepared);
    Redactor::of_values(values.iter().map(String::as_str)).kubernetes_job(&mut job, &claim.hidden_fields);
    let yaml = serde_saphyr::to_string(&job).map_err(std::io::Error::other)?;
    Ok(([(header::CONTENT_TYPE, "application/yaml")], yaml).into_response())
}

/// A job in the API.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct JobView {
    id: i64,
    organization_id: String,
    workspace_id: String,
    template_id: String,
    status: JobStatus,
    message: Option<String>,
    cancel_requested: bool,
    /// The job with an unknown outcome that this one checks by a plan.
    #[serde(skip_serializing_if = "Option::is_none")]
    recheck_of: Option<i64>,
    created_at: Timestamp,
    ended_at: Option<Timestamp>,
    steps: Vec<StepView>,
    /// Only in the response to the request that created the job.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    warnings: Vec<Warning>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct StepView {
    id: String,
    number: u32,
    name: String,
    #[serde(rename = "type")]
    step_type: &'static str,
    status: StepStatus,
    message: Option<String>,
    has_changes: Option<bool>,
    /// The team that should approve. It is not checked.
    #[serde(skip_serializing_if = "Option::is_none")]
    team: Option<String>,
    /// Of an approval: the digest of the plan that it is about, and who answered.
    plan_digest: Option<String>,
    /// And of what the plan step left beside it.
    #[serde(skip_serializing_if = "Option::is_none")]
    bundle_digest: Option<String>,
    answer: Option<Answer>,
    started_at: Option<Timestamp>,
    ended_at: Option<Timestamp>,
    attempts: Vec<AttemptView>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct AttemptView {
    id: String,
    number: u32,
    kubernetes_job: String,
    status: AttemptStatus,
    /// Why its Kubernetes Job ended, as text and as data, and what to change.
    cause: Option<String>,
    cause_detail: Option<CauseRecord>,
    advice: Option<&'static str>,
    /// The outcome that the executor reported, possibly after the attempt was considered lost.
    reported: Option<StepOutcome>,
    /// What is known where terraform did not end by itself.
    evidence: Option<Evidence>,
    /// Whether a state is kept that could not be stored as a version.
    has_rescued_state: bool,
    /// Digest of the plan file that it stored.
    plan_digest: Option<String>,
    /// Digest of the bundle that it stored beside the plan.
    #[serde(skip_serializing_if = "Option::is_none")]
    bundle_digest: Option<String>,
    message: Option<String>,
    created_at: Timestamp,
    claimed_at: Option<Timestamp>,
    last_contact_at: Option<Timestamp>,
    ended_at: Option<Timestamp>,
    timings: Vec<PhaseTiming>,
    /// What its container used of its memory, where that is known.
    memory: Option<MemoryUse>,
}

impl From<Job> for JobView {
    fn from(job: Job) -> Self {
        let digests: Vec<_> = job.steps.iter().map(|step| approvable_digests(&job, step)).collect();
        let Job {
            id,
            organization_id,
            workspace_id,
            template_id,
            status,
            message,
            cancel_requested,
            recheck_of,
            created_at,
            ended_at,
            steps,
        } = job;
        Self {
            id,
            organization_id,
            workspace_id,
            template_id,
            status,
            message,
            cancel_requested,
            recheck_of,
            created_at,
            ended_at,
            steps: steps.into_iter().zip(digests).map(StepView::from).collect(),
            warnings: Vec::new(),
        }
    }
}

/// The digests of the plan that an approval is about, and of its bundle.
type Digests = (Option<String>, Option<String>);

fn approvable_digests(job: &Job, step: &Step) -> Digests {
    let is_approval = step.step_type == job_spec::StepType::Approval;
    match job.planned_before(step.number).filter(|_| is_approval) {
        Some(planned) => (planned.plan_digest.clone(), planned.bundle_digest.clone()),
        None => (None, None),
    }
}

impl From<(Step, Digests)> for StepView {
    fn from((step, (plan_digest, bundle_digest)): (Step, Digests)) -> Self {
        let Step {
            id,
            number,
            name,
            step_type,
            status,
            message,
            has_changes,
            settings,
            answer,
            started_at,
            ended_at,
            attempts,
        } = step;
        Self {
            id,
            number,
            name,
            step_type: step_type.as_str(),
            status,
            message,
            has_changes,
            team: settings.team,
            plan_digest,
            bundle_digest,
            answer,
            started_at,
            ended_at,
            attempts: attempts.into_iter().map(Into::into).collect(),
        }
    }
}

impl From<Attempt> for AttemptView {
    fn from(attempt: Attempt) -> Self {
        Self {
            id: attempt.id,
            number: attempt.number,
            kubernetes_job: attempt.kubernetes_job,
            status: attempt.status,
            cause: attempt.cause.as_ref().map(ToString::to_string),
            advice: attempt.cause.as_ref().and_then(|cause| {
                let reported = attempt.result.as_ref().and_then(|result| result.message.as_deref());
                messages::advice::for_attempt(cause, reported)
            }),
            cause_detail: attempt.cause.as_ref().map(CauseRecord::from),
            reported: attempt.result.as_ref().map(|result| result.outcome),
            evidence: attempt.result.as_ref().and_then(|result| result.evidence.clone()),
            has_rescued_state: attempt.has_rescued_state,
            plan_digest: attempt.plan_digest,
            bundle_digest: attempt.bundle_digest,
            message: attempt.message,
            created_at: attempt.created_at,
            claimed_at: attempt.claimed_at,
            last_contact_at: attempt.last_contact_at,
            ended_at: attempt.ended_at,
            memory: attempt.result.as_ref().and_then(|result| result.memory),
            timings: attempt.result.map(|result| result.timings).unwrap_or_default(),
        }
    }
}
