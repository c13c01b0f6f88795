//! What users decide about jobs whose outcome is unknown: they read the evidence, recheck, accept or abandon.

use std::sync::Arc;

use axum::{Extension, Json, extract::State, http::StatusCode};
use serde::Deserialize;

use super::{
    AppState,
    auth::User,
    extract::{Body, Path},
    jobs::JobView,
    problem::Problem,
};
use crate::{
    evidence::{self, Report},
    limits::NOTE_CHARS,
    services::Services,
    store::{NewResolution, ResolutionAction},
};

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Decided {
    /// What the user says about the decision; recorded with it.
    #[serde(default)]
    note: Option<String>,
}

pub(super) async fn evidence(
    State(services): State<Arc<Services>>,
    Path(job): Path<i64>,
) -> Result<Json<Report>, Problem> {
    Ok(Json(report(&services, job).await?))
}

pub(super) async fn recheck(
    State(app): State<AppState>,
    Path(job): Path<i64>,
    Extension(user): Extension<User>,
    Body(decided): Body<Decided>,
) -> Result<(StatusCode, Json<JobView>), Problem> {
    let view = resolve(&app, job, &user, decided, ResolutionAction::Recheck).await?;
    Ok((StatusCode::CREATED, view))
}

pub(super) async fn accept(
    State(app): State<AppState>,
    Path(job): Path<i64>,
    Extension(user): Extension<User>,
    Body(decided): Body<Decided>,
) -> Result<Json<JobView>, Problem> {
    resolve(&app, job, &user, decided, ResolutionAction::Accept).await
}

pub(super) async fn abandon(
    State(app): State<AppState>,
    Path(job): Path<i64>,
    Extension(user): Extension<User>,
    Body(decided): Body<Decided>,
) -> Result<Json<JobView>, Problem> {
    resolve(&app, job, &user, decided, ResolutionAction::Abandon).await
}

/// Confirms that nothing of a claimed attempt runs any more: the proof that a cluster with a lost node does
/// not give.
pub(super) async fn confirm_end(
    State(app): State<AppState>,
    Path(attempt): Path<String>,
    Extension(user): Extension<User>,
) -> Result<StatusCode, Problem> {
    let job = app.services.store.confirm_end(&attempt, &user.name).await?;
    tracing::warn!(job, attempt, user = user.name, "a user has confirmed the end of an executor");
    app.orchestrator.wake(job);
    Ok(StatusCode::NO_CONTENT)
}

async fn resolve(
    app: &AppState,
    job: i64,
    user: &User,
    decided: Decided,
    action: ResolutionAction,
) -> Result<Json<JobView>, Problem> {
    if decided.note.as_ref().is_some_and(|note| note.chars().count() > NOTE_CHARS) {
        let detail = format!("note: expected at most {NOTE_CHARS} characters");
        return Err(Problem::new(StatusCode::UNPROCESSABLE_ENTITY, detail));
    }
    let evidence =
        serde_json::to_string(&report(&app.services, job).await?).map_err(std::io::Error::other)?;
    let new = NewResolution { action, by: &user.name, note: decided.note.as_deref(), evidence: &evidence };
    let changed = app.services.store.resolve(job, &new).await?;
    tracing::info!(job, user = user.name, ?action, "an unknown outcome was resolved");
    app.orchestrator.wake(job);
    app.orchestrator.wake(changed.id);
    Ok(Json(changed.into()))
}

async fn report(services: &Services, job: i64) -> Result<Report, Problem> {
    let job = services.store.job(job).await?;
    evidence::report(services, &job).await?.ok_or_else(|| {
        let detail = format!("no step of job {} has an unknown outcome, it is {}", job.id, job.status);
        Problem::new(StatusCode::CONFLICT, detail)
    })
}
