//! Requests of executors: claim, heartbeat, log, plan file, state, result. Bodies are those of
//! [`job_spec::attempt_api`].
//!
//! [`super::auth`] has checked the credential and the progress of the attempt. A request that was under way
//! when the attempt ended is fenced by the store: it is answered with 410 and not stored.

use std::sync::Arc;

use axum::{
    Extension, Json,
    body::Body,
    extract::State,
    http::{Method, StatusCode, header},
    response::{IntoResponse, Response},
};
use job_spec::{
    StepType,
    attempt_api::{ClaimRequest, ClaimResponse, Evidence, LogPosition, PlanStored, RescuedState, StepResult},
};
use secrecy::ExposeSecret as _;
use serde::Deserialize;

use super::{
    AppState,
    extract::{Body as JsonBody, Query, RawBody, Upload},
    problem::Problem,
    state::{StateAccess, StateQuery},
};
use crate::{
    limits::{self, EXECUTOR_ID},
    logs::Appended,
    services::Services,
    store::{AttemptAuth, ClaimData, ClaimOutcome, ReportOutcome, StateWriter, StoredPlan},
};

pub(super) async fn claim(
    State(app): State<AppState>,
    Extension(attempt): Extension<AttemptAuth>,
    JsonBody(mut request): JsonBody<ClaimRequest>,
) -> Result<Json<ClaimResponse>, Problem> {
    if request.executor_id.is_empty() || request.executor_id.len() > EXECUTOR_ID {
        return Err(Problem::new(
            StatusCode::UNPROCESSABLE_ENTITY,
            format!("executorId has {} bytes, expected 1 to {EXECUTOR_ID}", request.executor_id.len()),
        ));
    }
    cut(&mut request.host, limits::HOST);
    match app.services.store.claim(&attempt.id, &request).await? {
        ClaimOutcome::Claimed => {}
        ClaimOutcome::Taken => {
            return Err(Problem::new(StatusCode::CONFLICT, "another executor has claimed the attempt"));
        }
        ClaimOutcome::Over => return Err(Problem::attempt_over()),
        ClaimOutcome::Refused(reason) => {
            app.orchestrator.wake(attempt.job_id);
            return Err(Problem::new(StatusCode::GONE, reason));
        }
    }
    app.orchestrator.wake(attempt.job_id);
    Ok(Json(claim_response(&app.services, attempt, &request.executor_id).await?))
}

/// Answers a claim without decrypting the Kubernetes Job.
async fn claim_response(
    services: &Services,
    attempt: AttemptAuth,
    executor_id: &str,
) -> Result<ClaimResponse, Problem> {
    let store = &services.store;
    let ClaimData { job_data, sensitive, .. } = store.claim_data(&attempt.id).await?;
    let plan = match attempt.step_type {
        StepType::TerraformApply => store.plan_before(attempt.job_id, attempt.step_number).await?,
        _ => None,
    };
    Ok(ClaimResponse {
        session_token: store.session_token(&attempt.id, executor_id).expose_secret().to_owned(),
        heartbeat_seconds: services.rules.heartbeat_seconds(),
        plan_expected: store.has_plan_step(attempt.job_id, attempt.step_number).await?,
        plan: plan.and_then(StoredPlan::into_change),
        sensitive: sensitive.into_iter().collect(),
        attempt_id: attempt.id,
        job_data,
    })
}

/// The contact is recorded with every request.
pub(super) async fn heartbeat() -> StatusCode {
    StatusCode::NO_CONTENT
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct LogQuery {
    offset: u64,
}

pub(super) async fn append_log(
    State(services): State<Arc<Services>>,
    Extension(attempt): Extension<AttemptAuth>,
    Query(LogQuery { offset }): Query<LogQuery>,
    RawBody(bytes): RawBody,
) -> Result<(StatusCode, Json<LogPosition>), Problem> {
    Ok(match services.logs.append(&attempt.kubernetes_job, offset, &bytes).await? {
        Appended::Stored(offset) => (StatusCode::OK, Json(LogPosition { offset })),
        Appended::WrongOffset(offset) => (StatusCode::CONFLICT, Json(LogPosition { offset })),
    })
}

pub(super) async fn put_plan(
    State(services): State<Arc<Services>>,
    Extension(attempt): Extension<AttemptAuth>,
    upload: Upload,
) -> Result<Json<PlanStored>, Problem> {
    // A new name for each upload: one that comes late leaves the plan that was approved alone.
    let blob = upload.store(&services.blobs, &new_blob("plans", &attempt.id)).await?;
    if !services.store.plan_stored(&attempt.id, &blob).await? {
        services.blobs.discard(&blob.name).await;
        return Err(Problem::attempt_over());
    }
    Ok(Json(PlanStored { digest: blob.digest }))
}

pub(super) async fn get_plan(
    State(services): State<Arc<Services>>,
    Extension(attempt): Extension<AttemptAuth>,
) -> Result<Response, Problem> {
    let planned = services
        .store
        .plan_before(attempt.job_id, attempt.step_number)
        .await?
        .ok_or_else(|| Problem::new(StatusCode::NOT_FOUND, "the job has no plan file"))?;
    let plan = Body::from_stream(services.blobs.pieces(&planned.blob).await?);
    Ok(([(header::CONTENT_TYPE, "application/octet-stream")], plan).into_response())
}

/// The state of the attempt's workspace, for Terraform's `http` backend: GET, POST, LOCK, UNLOCK.
pub(super) async fn state(
    State(services): State<Arc<Services>>,
    Extension(attempt): Extension<AttemptAuth>,
    Query(query): Query<StateQuery>,
    method: Method,
    upload: Upload,
) -> Result<Response, Problem> {
    let (workspace, writer) = (attempt.workspace_id, StateWriter::Attempt(attempt.id));
    StateAccess { services: &services, workspace: &workspace, writer }.answer(&method, &query, upload).await
}

/// Keeps a state that could not be stored as a version, whatever it is, beside the attempt.
pub(super) async fn put_rescued_state(
    State(services): State<Arc<Services>>,
    Extension(attempt): Extension<AttemptAuth>,
    upload: Upload,
) -> Result<StatusCode, Problem> {
    let blob = upload.store(&services.blobs, &new_blob("rescued", &attempt.id)).await?;
    if !services.store.rescued_state_stored(&attempt.id, &blob.name).await? {
        services.blobs.discard(&blob.name).await;
        return Err(Problem::attempt_over());
    }
    Ok(StatusCode::NO_CONTENT)
}

pub(super) async fn report(
    State(app): State<AppState>,
    Extension(attempt): Extension<AttemptAuth>,
    JsonBody(mut result): JsonBody<StepResult>,
) -> Result<StatusCode, Problem> {
    bound_texts(&mut result);
    match app.services.store.report(&attempt.id, &result).await? {
        ReportOutcome::Stored => {
            app.orchestrator.wake(attempt.job_id);
            Ok(StatusCode::NO_CONTENT)
        }
        ReportOutcome::Different => {
            Err(Problem::new(StatusCode::CONFLICT, "another report of this attempt is stored"))
        }
        ReportOutcome::Over => Err(Problem::attempt_over()),
    }
}

fn new_blob(folder: &str, attempt_id: &str) -> String {
    format!("{folder}/{attempt_id}-{}", uuid::Uuid::new_v4())
}

fn bound_texts(result: &mut StepResult) {
    let StepResult { message, commit_id, timings, evidence, .. } = result;
    if let Some(message) = message {
        cut(message, limits::MESSAGE);
    }
    if let Some(commit) = commit_id {
        cut(commit, limits::REPORTED_NAME);
    }
    timings.truncate(limits::TIMINGS);
    for timing in timings {
        cut(&mut timing.phase, limits::REPORTED_NAME);
    }
    if let Some(Evidence { rescued_state: RescuedState::KeptIn(path), .. }) = evidence {
        cut(path, limits::MESSAGE);
    }
}

/// Cuts off what is longer, at a boundary of characters.
fn cut(text: &mut String, limit: usize) {
    text.truncate(text.floor_char_boundary(limit));
}
