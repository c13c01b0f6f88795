//! The versions of a workspace's state: list, download, restore. Nothing deletes one.

use std::{
    io::{Read as _, Write as _},
    sync::Arc,
};

use axum::{
    Extension, Json,
    body::Body,
    extract::State,
    http::header,
    response::{IntoResponse as _, Response},
};
use serde::{Deserialize, Serialize};

use super::{
    Items,
    auth::User,
    extract::{Path, Query},
    problem::Problem,
    state::{StateAccess, download, new_blob, read_document},
};
use crate::{
    blobs::StoredBlob,
    services::Services,
    state_document::StateDocument,
    store::{StateVersion, StateWriter},
};

/// A version in the API.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct VersionView {
    id: i64,
    serial: i64,
    lineage: String,
    /// SHA-256 of its bytes, and their number; unknown for versions of earlier releases.
    digest: Option<String>,
    size: Option<i64>,
    /// The attempt whose executor wrote it, or the name of the user's token.
    attempt_id: Option<String>,
    written_by: Option<String>,
    created_at: String,
}

impl From<StateVersion> for VersionView {
    fn from(version: StateVersion) -> Self {
        let StateVersion { id, serial, lineage, blob: _, digest, size, attempt_id, written_by, created_at } =
            version;
        Self { id, serial, lineage, digest, size, attempt_id, written_by, created_at }
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ListQuery {
    /// Continues a list: versions that are older than the one with this id.
    before: Option<i64>,
}

/// Lists versions, newest first, 100 at most.
pub(super) async fn list(
    State(services): State<Arc<Services>>,
    Path(workspace): Path<String>,
    Query(query): Query<ListQuery>,
) -> Result<Json<Items<VersionView>>, Problem> {
    services.store.workspace(&workspace).await?;
    let versions = services.store.state_versions(&workspace, query.before).await?;
    Ok(Json(Items { items: versions.into_iter().map(Into::into).collect() }))
}

/// Downloads a version.
pub(super) async fn read(
    State(services): State<Arc<Services>>,
    Path((workspace, id)): Path<(String, i64)>,
) -> Result<Response, Problem> {
    let version = services.store.state_version(&workspace, id).await?;
    download(&services, &version).await
}

/// Makes a version the current one again, as a new version with a serial that no other version has had, so
/// that no plan is valid for both. The encrypted form of OpenTofu keeps its serial, which its seal covers.
pub(super) async fn restore(
    State(services): State<Arc<Services>>,
    Path((workspace, id)): Path<(String, i64)>,
    Extension(user): Extension<User>,
) -> Result<Response, Problem> {
    let version = services.store.state_version(&workspace, id).await?;
    let mut document = read_document(&services, &version.blob).await?;
    let serial = if document.is_encrypted {
        document.serial
    } else {
        services.store.highest_serial(&workspace).await?.saturating_add(1)
    };
    let blob = copy(&services, &version, &document, serial).await?;
    document.serial = serial;
    let access =
        StateAccess { services: &services, workspace: &workspace, writer: StateWriter::User(user.name) };
    let response = access.put(&document, &blob, None, true).await?;
    if !response.status().is_success() {
        return Ok(response);
    }
    let current = services.store.latest_state(&workspace).await?.unwrap_or(version);
    Ok(Json(VersionView::from(current)).into_response())
}

/// Copies the bytes of a version with another serial number.
async fn copy(
    services: &Services,
    version: &StateVersion,
    document: &StateDocument,
    serial: i64,
) -> Result<StoredBlob, Problem> {
    let (blobs, source, at) = (services.blobs.clone(), version.blob.clone(), document.serial_at.clone());
    let copied = tokio::task::spawn_blocking(move || {
        let mut writer = blobs.create_blocking(&new_blob())?;
        let mut source = blobs.open_blocking(&source)?;
        std::io::copy(&mut source.by_ref().take(at.start), &mut writer)?;
        std::io::copy(&mut source.by_ref().take(at.end - at.start), &mut std::io::sink())?;
        writer.write_all(serial.to_string().as_bytes())?;
        std::io::copy(&mut source, &mut writer)?;
        writer.finish()
    });
    Ok(copied.await.map_err(std::io::Error::other)??)
}

/// Downloads the state that the executor of an attempt could not store as a version.
pub(super) async fn read_rescued(
    State(services): State<Arc<Services>>,
    Path(attempt): Path<String>,
) -> Result<Response, Problem> {
    let blob = services.store.rescued_state(&attempt).await?;
    let pieces = services.blobs.pieces(&blob).await?;
    Ok(([(header::CONTENT_TYPE, "application/octet-stream")], Body::from_stream(pieces)).into_response())
}
