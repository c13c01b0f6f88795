//! Terraform's [`http` backend](https://developer.hashicorp.com/terraform/language/backend/http): GET, POST,
//! LOCK, UNLOCK.
//!
//! Every version of a state is kept; a write needs the lock if one is held. There is no DELETE: Terraform
//! sends it to delete a workspace of its own, and the `http` backend has none.

use std::sync::Arc;

use axum::{
    body::Bytes,
    extract::State,
    http::{HeaderMap, Method, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde::Deserialize;

use super::{
    auth::require_state_access,
    extract::{Path, Query, RawBody},
    problem::Problem,
};
use crate::{
    services::Services,
    store::{LockOutcome, StateLock, StateRecord, StateWriter},
};

#[derive(Debug, Deserialize)]
pub(super) struct LockId {
    #[serde(rename = "ID")]
    id: Option<String>,
}

/// The part of Terraform's lock information that the server reads; all of it is stored.
#[derive(Debug, Deserialize)]
struct LockInfo {
    #[serde(rename = "ID")]
    id: String,
}

/// The part of a state that the server reads; encrypted states of OpenTofu have it, too.
#[derive(Debug, Deserialize)]
struct StateHead {
    #[serde(default)]
    serial: i64,
    #[serde(default)]
    lineage: String,
}

pub(super) async fn handle(
    State(services): State<Arc<Services>>,
    Path(workspace): Path<String>,
    Query(lock): Query<LockId>,
    method: Method,
    headers: HeaderMap,
    RawBody(body): RawBody,
) -> Result<Response, Problem> {
    let writer = require_state_access(&services, &headers, &workspace).await?;
    services.store.workspace(&workspace).await?;
    match method.as_str() {
        "GET" => read(&services, &workspace).await,
        "POST" => write(&services, &workspace, &writer, lock.id.as_deref(), body).await,
        "LOCK" => {
            let lock = parse_lock(&body, &writer)?;
            lock_answer(services.store.lock_state(&workspace, &lock, &writer).await?)
        }
        "UNLOCK" => {
            let id = if body.is_empty() { None } else { Some(parse_lock(&body, &writer)?.lock_id) };
            lock_answer(services.store.unlock_state(&workspace, id.as_deref(), &writer).await?)
        }
        _ => Err(Problem::new(StatusCode::METHOD_NOT_ALLOWED, "expected GET, POST, LOCK or UNLOCK")),
    }
}

async fn read(services: &Services, workspace: &str) -> Result<Response, Problem> {
    let Some(record) = services.store.latest_state(workspace).await? else {
        return Ok(StatusCode::NO_CONTENT.into_response());
    };
    let state = services.blobs.get(&record.blob).await?;
    Ok(([(header::CONTENT_TYPE, "application/json")], state).into_response())
}

async fn write(
    services: &Services,
    workspace: &str,
    writer: &StateWriter,
    lock_id: Option<&str>,
    body: Bytes,
) -> Result<Response, Problem> {
    let head: StateHead = serde_json::from_slice(&body)
        .map_err(|_| Problem::new(StatusCode::BAD_REQUEST, "the body is not a Terraform state"))?;
    // A new name for each version: a crash between the two writes leaves a blob that no record names.
    let blob = format!("states/{}", uuid::Uuid::now_v7());
    services.blobs.put(&blob, body.to_vec()).await?;
    let record = StateRecord { serial: head.serial, lineage: head.lineage, blob };
    let outcome = services.store.put_state(workspace, &record, writer, lock_id).await;
    if !matches!(outcome, Ok(LockOutcome::Done)) {
        services.blobs.discard(&record.blob).await;
    }
    lock_answer(outcome?)
}

fn parse_lock(body: &[u8], writer: &StateWriter) -> Result<StateLock, Problem> {
    let malformed =
        || Problem::new(StatusCode::BAD_REQUEST, "the body is not the lock information of Terraform");
    let info: LockInfo = serde_json::from_slice(body).map_err(|_| malformed())?;
    let text = std::str::from_utf8(body).map_err(|_| malformed())?;
    Ok(StateLock {
        lock_id: info.id,
        info: text.to_owned(),
        attempt_id: writer.attempt().map(ToOwned::to_owned),
    })
}

/// Answers with the outcome; 423 has the information of the lock that is held, which Terraform shows to the
/// user.
fn lock_answer(outcome: LockOutcome) -> Result<Response, Problem> {
    match outcome {
        LockOutcome::Done => Ok(StatusCode::OK.into_response()),
        LockOutcome::HeldBy(lock) => {
            Ok((StatusCode::LOCKED, [(header::CONTENT_TYPE, "application/json")], lock.info).into_response())
        }
        LockOutcome::Fenced => Err(Problem::attempt_over()),
    }
}
