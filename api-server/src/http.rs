//! The HTTP API: its routes, and the authentication before them.

use std::sync::Arc;

use axum::{
    Router,
    extract::{DefaultBodyLimit, FromRef, State},
    http::{Method, StatusCode},
    middleware::from_fn_with_state,
    routing::{any, delete, get, post, put},
};
use serde::Serialize;
use tokio_util::sync::CancellationToken;

use crate::{limits, orchestrator::Orchestrator, services::Services};

pub mod access;
mod auth;
mod bundles;
mod collections;
mod executor;
mod explanation;
mod extract;
mod field_errors;
mod jobs;
mod logs;
mod organizations;
mod problem;
mod resolution;
mod state;
mod state_versions;
mod templates;
mod variable_changes;
mod variables;
mod warning;
mod workspaces;

use auth::{require_attempt, require_user};
use problem::Problem;

/// The services of the server, as handlers extract them.
type Shared = State<Arc<Services>>;

/// A list of records.
#[derive(Debug, Serialize)]
struct Items<T> {
    items: Vec<T>,
}

/// State of the routes.
#[derive(Debug, Clone)]
pub struct AppState {
    /// The services of the server.
    pub services: Arc<Services>,
    /// Decides what follows a change; woken after each.
    pub orchestrator: Orchestrator,
    /// Cancelled when the server stops, so that streams end.
    pub shutdown: CancellationToken,
}

impl FromRef<AppState> for Arc<Services> {
    fn from_ref(state: &AppState) -> Self {
        Self::clone(&state.services)
    }
}

/// Builds the router of the whole API.
pub fn router(state: AppState) -> Router {
    let users = of_organizations()
        .merge(of_workspaces())
        .layer(limit(limits::USER_BODY))
        .route_layer(from_fn_with_state(Arc::clone(&state.services), require_user));
    let health =
        Router::new().route("/healthz", get(async || StatusCode::NO_CONTENT)).route("/readyz", get(ready));
    health
        .merge(users)
        .merge(of_attempts(&state.services))
        .fallback(not_found)
        .method_not_allowed_fallback(method_not_allowed)
        .with_state(state)
}

fn of_organizations() -> Router<AppState> {
    Router::new()
        .route("/v1/organizations", get(organizations::list).post(organizations::create))
        .route("/v1/organizations/{organization}/workspaces", get(workspaces::list).post(workspaces::create))
        .route(
            "/v1/organizations/{organization}/variables",
            get(variables::list_global).post(variables::create_global),
        )
        .route("/v1/organizations/{organization}/variables/{variable}", delete(variables::delete_global))
        .route(
            "/v1/organizations/{organization}/collections",
            get(collections::list).post(collections::create),
        )
        .route("/v1/organizations/{organization}/collections/{collection}", delete(collections::delete))
        .route(
            "/v1/organizations/{organization}/collections/{collection}/variables",
            get(variables::list_of_collection).post(variables::create_in_collection),
        )
        .route(
            "/v1/organizations/{organization}/collections/{collection}/variables/{variable}",
            delete(variables::delete_from_collection),
        )
        .route("/v1/organizations/{organization}/templates", get(templates::list).post(templates::create))
}

fn of_workspaces() -> Router<AppState> {
    Router::new()
        .route("/v1/workspaces/{workspace}", get(workspaces::read))
        .route("/v1/workspaces/{workspace}/collections", get(collections::list_attached))
        .route(
            "/v1/workspaces/{workspace}/collections/{collection}",
            put(collections::attach).delete(collections::detach),
        )
        .route(
            "/v1/workspaces/{workspace}/variables",
            get(variables::list_of_workspace).post(variables::create_in_workspace),
        )
        .route("/v1/workspaces/{workspace}/variables/{variable}", delete(variables::delete_from_workspace))
        .route("/v1/workspaces/{workspace}/explanation", get(explanation::read))
        .route("/v1/workspaces/{workspace}/jobs", get(jobs::list).post(jobs::create))
        .route("/v1/workspaces/{workspace}/states", get(state_versions::list))
        .route("/v1/workspaces/{workspace}/states/{id}", get(state_versions::read))
        .route("/v1/workspaces/{workspace}/states/{id}/restore", post(state_versions::restore))
        .merge(job_routes())
        .route("/state/v1/workspaces/{workspace}", any(state::of_workspace))
}

fn of_attempts(services: &Arc<Services>) -> Router<AppState> {
    Router::new()
        .route(
            "/executor/v1/attempts/{attempt}/claim",
            post(executor::claim).layer(limit(limits::CLAIM_BODY)),
        )
        .route("/executor/v1/attempts/{attempt}/heartbeat", post(executor::heartbeat))
        .route(
            "/executor/v1/attempts/{attempt}/log",
            post(executor::append_log).layer(limit(limits::LOG_BODY)),
        )
        .route("/executor/v1/attempts/{attempt}/plan", put(executor::put_plan).get(executor::get_plan))
        .route(
            "/executor/v1/attempts/{attempt}/bundle",
            put(bundles::put).get(bundles::get).layer(limit(limits::BUNDLE_BODY)),
        )
        .route("/executor/v1/attempts/{attempt}/part", put(bundles::put_part).get(bundles::get_part))
        .route("/executor/v1/attempts/{attempt}/source", get(bundles::source))
        .route("/executor/v1/attempts/{attempt}/state", any(executor::state))
        .route("/executor/v1/attempts/{attempt}/rescued-state", put(executor::put_rescued_state))
        .route(
            "/executor/v1/attempts/{attempt}/result",
            post(executor::report).layer(limit(limits::RESULT_BODY)),
        )
        .route_layer(from_fn_with_state(Arc::clone(services), require_attempt))
}

fn limit(bytes: usize) -> DefaultBodyLimit {
    DefaultBodyLimit::max(bytes)
}

/// Routes of users about jobs and their attempts.
fn job_routes() -> Router<AppState> {
    Router::new()
        .route("/v1/jobs/{job}", get(jobs::read))
        .route("/v1/jobs/{job}/approve", post(jobs::approve))
        .route("/v1/jobs/{job}/reject", post(jobs::reject))
        .route("/v1/jobs/{job}/cancel", post(jobs::cancel))
        .route("/v1/jobs/{job}/evidence", get(resolution::evidence))
        .route("/v1/jobs/{job}/recheck", post(resolution::recheck))
        .route("/v1/jobs/{job}/accept", post(resolution::accept))
        .route("/v1/jobs/{job}/abandon", post(resolution::abandon))
        .route("/v1/attempts/{attempt}/confirm-end", post(resolution::confirm_end))
        .route("/v1/attempts/{attempt}/kubernetes-job", get(jobs::kubernetes_job))
        .route("/v1/attempts/{attempt}/rescued-state", get(state_versions::read_rescued))
        .route("/v1/attempts/{attempt}/log", get(logs::read))
        .route("/v1/attempts/{attempt}/log/stream", get(logs::follow))
}

async fn ready(State(services): Shared) -> Result<StatusCode, Problem> {
    services.store.ping().await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn not_found() -> Problem {
    Problem::new(StatusCode::NOT_FOUND, "there is nothing at this path")
}

async fn method_not_allowed(method: Method) -> Problem {
    Problem::new(StatusCode::METHOD_NOT_ALLOWED, format!("this path does not support {method}"))
}
