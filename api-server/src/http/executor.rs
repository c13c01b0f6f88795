//! Requests of executors: claim, log, plan file, result. Bodies are those of [`job_spec::attempt_api`].
//!
//! The fence is here and in the store: a write of an attempt that has ended is answered with 410 and not
//! stored.

use std::sync::Arc;

use axum::{
    Json,
    extract::State,
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
};
use job_spec::attempt_api::{ClaimRequest, ClaimResponse, LogPosition, StepResult};
use serde::Deserialize;

use super::{
    AppState,
    auth::require_attempt,
    extract::{Body, Path, Query, RawBody},
    problem::Problem,
};
use crate::{
    logs::Appended,
    services::Services,
    store::{AttemptAuth, ClaimData, ClaimOutcome, ReportOutcome},
};

pub(super) async fn claim(
    State(app): State<AppState>,
    Path(attempt): Path<String>,
    headers: HeaderMap,
    Body(request): Body<ClaimRequest>,
) -> Result<Json<ClaimResponse>, Problem> {
    let attempt = require_attempt(&app.services, &headers, &attempt).await?;
    match app.services.store.claim(&attempt.id, &request).await? {
        ClaimOutcome::Claimed => {}
        ClaimOutcome::Taken => {
            return Err(Problem::new(StatusCode::CONFLICT, "another executor has claimed the attempt"));
        }
        ClaimOutcome::Over => return Err(Problem::attempt_over()),
    }
    app.orchestrator.wake(attempt.job_id);
    Ok(Json(claim_response(&app.services, attempt).await?))
}

/// Answers a claim without decrypting the Kubernetes Job.
async fn claim_response(services: &Services, attempt: AttemptAuth) -> Result<ClaimResponse, Problem> {
    let ClaimData { job_data, sensitive } = services.store.claim_data(&attempt.id).await?;
    Ok(ClaimResponse {
        state_url: services.state_url(&attempt.workspace_id),
        plan_expected: services.store.has_plan_step(attempt.job_id, attempt.step_number).await?,
        sensitive: sensitive.into_iter().collect(),
        attempt_id: attempt.id,
        job_data,
    })
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct LogQuery {
    offset: u64,
}

pub(super) async fn append_log(
    State(services): State<Arc<Services>>,
    Path(attempt): Path<String>,
    Query(LogQuery { offset }): Query<LogQuery>,
    headers: HeaderMap,
    RawBody(bytes): RawBody,
) -> Result<(StatusCode, Json<LogPosition>), Problem> {
    let attempt = require_writer(&services, &headers, &attempt).await?;
    Ok(match services.logs.append(&attempt.kubernetes_job, offset, &bytes).await? {
        Appended::Stored(offset) => (StatusCode::OK, Json(LogPosition { offset })),
        Appended::WrongOffset(offset) => (StatusCode::CONFLICT, Json(LogPosition { offset })),
    })
}

pub(super) async fn put_plan(
    State(services): State<Arc<Services>>,
    Path(attempt): Path<String>,
    headers: HeaderMap,
    RawBody(bytes): RawBody,
) -> Result<StatusCode, Problem> {
    let attempt = require_writer(&services, &headers, &attempt).await?;
    services.blobs.put(&plan_blob(&attempt.id), bytes.to_vec()).await?;
    if !services.store.plan_stored(&attempt.id).await? {
        services.blobs.discard(&plan_blob(&attempt.id)).await;
        return Err(Problem::attempt_over());
    }
    Ok(StatusCode::NO_CONTENT)
}

pub(super) async fn get_plan(
    State(services): State<Arc<Services>>,
    Path(attempt): Path<String>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let attempt = require_writer(&services, &headers, &attempt).await?;
    let planned = services
        .store
        .plan_attempt(attempt.job_id, attempt.step_number)
        .await?
        .ok_or_else(|| Problem::new(StatusCode::NOT_FOUND, "the job has no plan file"))?;
    let plan = services.blobs.get(&plan_blob(&planned)).await?;
    Ok(([(header::CONTENT_TYPE, "application/octet-stream")], plan).into_response())
}

pub(super) async fn report(
    State(app): State<AppState>,
    Path(attempt): Path<String>,
    headers: HeaderMap,
    Body(result): Body<StepResult>,
) -> Result<StatusCode, Problem> {
    let attempt = require_attempt(&app.services, &headers, &attempt).await?;
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

/// Requires the token of an attempt that may write.
async fn require_writer(
    services: &Services,
    headers: &HeaderMap,
    attempt: &str,
) -> Result<AttemptAuth, Problem> {
    let attempt = require_attempt(services, headers, attempt).await?;
    if attempt.live && attempt.claimed { Ok(attempt) } else { Err(Problem::attempt_over()) }
}

fn plan_blob(attempt_id: &str) -> String {
    format!("plans/{attempt_id}")
}
