//! Terraform's [`http` backend](https://developer.hashicorp.com/terraform/language/backend/http): GET, POST,
//! LOCK, UNLOCK.
//!
//! Every version of a state is kept; a write needs the lock if one is held, and must follow the current
//! version. There is no DELETE: Terraform sends it to delete a workspace of its own, and the `http` backend
//! has none.

use std::sync::Arc;

use axum::{
    Extension,
    body::Body,
    extract::State,
    http::{Method, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde::{Deserialize, Serialize};

use super::{
    auth::User,
    extract::{Path, Query, Upload},
    problem::Problem,
};
use crate::{
    blobs::StoredBlob,
    limits::LOCK_BODY,
    services::Services,
    state_document::StateDocument,
    store::{LockOutcome, StateLock, StateVersion, StateWriter},
};

#[derive(Debug, Deserialize)]
pub(super) struct StateQuery {
    #[serde(rename = "ID")]
    lock_id: Option<String>,
    /// Store a state that does not follow the current one; for users only.
    #[serde(default)]
    force: bool,
}

/// The part of Terraform's lock information that the server reads; all of it is stored.
#[derive(Debug, Deserialize)]
struct LockInfo {
    #[serde(rename = "ID")]
    id: String,
}

/// The state of a workspace, for users and their Terraform.
pub(super) async fn of_workspace(
    State(services): State<Arc<Services>>,
    Path(workspace): Path<String>,
    Extension(user): Extension<User>,
    Query(query): Query<StateQuery>,
    method: Method,
    upload: Upload,
) -> Result<Response, Problem> {
    services.store.workspace(&workspace).await?;
    let writer = StateWriter::User(user.name);
    StateAccess { services: &services, workspace: &workspace, writer }.answer(&method, &query, upload).await
}

/// The access of an authorized writer to the state of a workspace.
pub(super) struct StateAccess<'a> {
    pub(super) services: &'a Services,
    pub(super) workspace: &'a str,
    pub(super) writer: StateWriter,
}

impl StateAccess<'_> {
    pub(super) async fn answer(
        &self,
        method: &Method,
        query: &StateQuery,
        upload: Upload,
    ) -> Result<Response, Problem> {
        let store = &self.services.store;
        match method.as_str() {
            "GET" | "HEAD" => self.read().await,
            "POST" => {
                if query.force && self.writer.user().is_none() {
                    return Err(Problem::forbidden());
                }
                let blob = upload.store(&self.services.blobs, &new_blob()).await?;
                let document = self.document(&blob).await?;
                self.put(&document, &blob, query.lock_id.as_deref(), query.force).await
            }
            "LOCK" => {
                let lock = self.parse_lock(&upload.bytes(LOCK_BODY).await?)?;
                self.lock_answer(store.lock_state(self.workspace, &lock, &self.writer).await?)
            }
            "UNLOCK" => {
                let body = upload.bytes(LOCK_BODY).await?;
                let id = if body.is_empty() { None } else { Some(self.parse_lock(&body)?.lock_id) };
                self.lock_answer(store.unlock_state(self.workspace, id.as_deref(), &self.writer).await?)
            }
            _ => Err(Problem::new(StatusCode::METHOD_NOT_ALLOWED, "expected GET, POST, LOCK or UNLOCK")),
        }
    }

    async fn read(&self) -> Result<Response, Problem> {
        let version = match &self.writer {
            StateWriter::Attempt(attempt) => self.services.store.read_state(self.workspace, attempt).await?,
            StateWriter::User(_) => self.services.store.latest_state(self.workspace).await?,
        };
        match version {
            Some(version) => download(self.services, &version).await,
            None => Ok(StatusCode::NO_CONTENT.into_response()),
        }
    }

    /// Reads lineage and serial of an upload; one that is no state is discarded.
    async fn document(&self, blob: &StoredBlob) -> Result<StateDocument, Problem> {
        let document = read_document(self.services, &blob.name).await;
        if document.is_err() {
            self.services.blobs.discard(&blob.name).await;
        }
        document
    }

    /// Stores a version whose bytes are in a blob. The blob is discarded if it is not.
    pub(super) async fn put(
        &self,
        document: &StateDocument,
        blob: &StoredBlob,
        lock_id: Option<&str>,
        force: bool,
    ) -> Result<Response, Problem> {
        let Self { services, workspace, writer } = self;
        let outcome = services.store.put_state(workspace, (document, blob), writer, lock_id, force).await;
        // Where the database failed, it may have stored the version in spite of that.
        if outcome.as_ref().is_ok_and(|outcome| !matches!(outcome, LockOutcome::Done)) {
            services.blobs.discard(&blob.name).await;
        }
        self.lock_answer(outcome?)
    }

    fn parse_lock(&self, body: &[u8]) -> Result<StateLock, Problem> {
        let malformed =
            || Problem::new(StatusCode::BAD_REQUEST, "the body is not the lock information of Terraform");
        let info: LockInfo = serde_json::from_slice(body).map_err(|_| malformed())?;
        let text = std::str::from_utf8(body).map_err(|_| malformed())?;
        Ok(StateLock {
            lock_id: info.id,
            info: text.to_owned(),
            attempt_id: self.writer.attempt().map(ToOwned::to_owned),
        })
    }

    /// Answers with the outcome. 423 has the information of the lock that is held, which Terraform shows to
    /// the user; its id unlocks the state, so only users and the holder learn it.
    fn lock_answer(&self, outcome: LockOutcome) -> Result<Response, Problem> {
        match outcome {
            LockOutcome::Done | LockOutcome::Unchanged => Ok(StatusCode::OK.into_response()),
            LockOutcome::HeldBy(lock) => {
                let is_holder =
                    self.writer.attempt().is_some_and(|id| lock.attempt_id.as_deref() == Some(id));
                let info = match self.writer {
                    StateWriter::Attempt(_) if !is_holder => without_id(&lock.info),
                    _ => lock.info,
                };
                Ok((StatusCode::LOCKED, [(header::CONTENT_TYPE, "application/json")], info).into_response())
            }
            LockOutcome::Fenced => Err(Problem::attempt_over()),
            LockOutcome::Conflict(reason) => Err(Problem::new(StatusCode::CONFLICT, reason)),
        }
    }
}

/// Returns the name of a new version: a crash before its record is stored leaves a blob that no record names.
pub(super) fn new_blob() -> String {
    format!("states/{}", uuid::Uuid::now_v7())
}

/// Reads lineage and serial of a state in a blob.
pub(super) async fn read_document(services: &Services, blob: &str) -> Result<StateDocument, Problem> {
    let (blobs, name) = (services.blobs.clone(), blob.to_owned());
    let read = move || Ok::<_, std::io::Error>(StateDocument::read(blobs.open_blocking(&name)?));
    let document = tokio::task::spawn_blocking(read).await.map_err(std::io::Error::other)??;
    document.map_err(|error| Problem::new(StatusCode::BAD_REQUEST, error.to_string()))
}

/// Sends the bytes of a version.
pub(super) async fn download(services: &Services, version: &StateVersion) -> Result<Response, Problem> {
    let pieces = services.blobs.pieces(&version.blob).await?;
    let mut response =
        ([(header::CONTENT_TYPE, "application/json")], Body::from_stream(pieces)).into_response();
    if let Some(size) = version.size {
        response.headers_mut().insert(header::CONTENT_LENGTH, size.into());
    }
    Ok(response)
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
