//! Terraform's [`http` backend](https://developer.hashicorp.com/terraform/language/backend/http): GET, POST,
//! LOCK, UNLOCK.
//!
//! Every version of a state is kept; a write needs the lock if one is held. There is no DELETE: Terraform
//! sends it to delete a workspace of its own, and the `http` backend has none.

use std::sync::Arc;

use axum::{
    Extension,
    body::Bytes,
    extract::State,
    http::{Method, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde::{Deserialize, Serialize};

use super::{
    auth::User,
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

/// The state of a workspace, for users and their Terraform.
pub(super) async fn of_workspace(
    State(services): State<Arc<Services>>,
    Path(workspace): Path<String>,
    Extension(_): Extension<User>,
    Query(lock): Query<LockId>,
    method: Method,
    RawBody(body): RawBody,
) -> Result<Response, Problem> {
    services.store.workspace(&workspace).await?;
    handle(&services, &workspace, &StateWriter::User, &method, &lock, body).await
}

/// Answers a request about the state of a workspace whose writer is authorized.
pub(super) async fn handle(
    services: &Services,
    workspace: &str,
    writer: &StateWriter,
    method: &Method,
    lock: &LockId,
    body: Bytes,
) -> Result<Response, Problem> {
    match method.as_str() {
        "GET" | "HEAD" => read(services, workspace, writer).await,
        "POST" => write(services, workspace, writer, lock.id.as_deref(), body).await,
        "LOCK" => {
            let lock = parse_lock(&body, writer)?;
            lock_answer(services.store.lock_state(workspace, &lock, writer).await?, writer)
        }
        "UNLOCK" => {
            let id = if body.is_empty() { None } else { Some(parse_lock(&body, writer)?.lock_id) };
            lock_answer(services.store.unlock_state(workspace, id.as_deref(), writer).await?, writer)
        }
        _ => Err(Problem::new(StatusCode::METHOD_NOT_ALLOWED, "expected GET, POST, LOCK or UNLOCK")),
    }
}

async fn read(services: &Services, workspace: &str, writer: &StateWriter) -> Result<Response, Problem> {
    let record = match writer {
        StateWriter::Attempt(attempt) => services.store.read_state(workspace, attempt).await?,
        StateWriter::User => services.store.latest_state(workspace).await?,
    };
    let Some(record) = record else {
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
    lock_answer(outcome?, writer)
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

/// Answers with the outcome. 423 has the information of the lock that is held, which Terraform shows to the
/// user; its id unlocks the state, so only users and the holder learn it.
fn lock_answer(outcome: LockOutcome, writer: &StateWriter) -> Result<Response, Problem> {
    match outcome {
        LockOutcome::Done => Ok(StatusCode::OK.into_response()),
        LockOutcome::HeldBy(lock) => {
            let is_holder = writer.attempt().is_some() && writer.attempt() == lock.attempt_id.as_deref();
            let info =
                if *writer == StateWriter::User || is_holder { lock.info } else { without_id(&lock.info) };
            Ok((StatusCode::LOCKED, [(header::CONTENT_TYPE, "application/json")], info).into_response())
        }
        LockOutcome::Fenced => Err(Problem::attempt_over()),
    }
}

/// Returns who holds a lock and since when. Everything else of the lock information is the holder's.
fn without_id(info: &str) -> String {
    #[derive(Default, Deserialize, Serialize)]
    #[serde(rename_all = "PascalCase", default)]
    struct Shown {
        operation: String,
        who: String,
        version: String,
        created: String,
    }
    let shown: Shown = serde_json::from_str(info).unwrap_or_default();
    serde_json::to_string(&shown).expect("four texts are plain data")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lock_information_for_others_has_no_id() {
        let info = r#"{"ID":"secret","Operation":"OperationTypeApply","Info":"x","Who":"me@pod",
                       "Version":"1.11.4","Created":"2026-01-02T03:04:05Z","Path":""}"#;
        assert_eq!(
            without_id(info),
            r#"{"Operation":"OperationTypeApply","Who":"me@pod","Version":"1.11.4","Created":"2026-01-02T03:04:05Z"}"#
        );
        assert!(!without_id(r#"{"ID":"secret"}"#).contains("secret"));
    }
}
