//! Requests of executors about bundles: what a plan step leaves behind for the apply.

use std::sync::Arc;

use axum::{
    Extension, Json,
    body::{Body, Bytes},
    extract::State,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use job_spec::attempt_api::{Bundle, BundleStored, Part};
use serde::Deserialize;

use super::{
    extract::{Query, RawBody, Upload},
    problem::Problem,
};
use crate::{services::Services, store::AttemptAuth, token::digest_hex};

const DIGEST_CHARS: usize = 64;

/// The longest key of a source: `tree:` and a digest.
const MAX_KEY_CHARS: usize = 128;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct PartQuery {
    digest: String,
    key: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SourceQuery {
    key: String,
}

/// Stores a bundle if all of its parts are there; otherwise names those that are not.
pub(super) async fn put(
    State(services): State<Arc<Services>>,
    Extension(attempt): Extension<AttemptAuth>,
    RawBody(body): RawBody,
) -> Result<Json<BundleStored>, Problem> {
    let invalid = |text: String| Problem::new(StatusCode::UNPROCESSABLE_ENTITY, text);
    let bundle: Bundle = serde_json::from_slice(&body)
        .map_err(|error| invalid(format!("the bundle is not valid: {error}")))?;
    if bundle.version != Bundle::VERSION {
        return Err(invalid(format!(
            "the bundle has version {}, expected {}; use an executor of the release of this server",
            bundle.version,
            Bundle::VERSION
        )));
    }
    let digest = digest_hex(&body);
    let missing = services.store.missing_parts(&attempt.workspace_id, &bundle).await?;
    if missing.is_empty() {
        store(&services, &attempt, &body, &bundle).await?;
    }
    Ok(Json(BundleStored { digest, missing }))
}

async fn store(
    services: &Services,
    attempt: &AttemptAuth,
    body: &Bytes,
    bundle: &Bundle,
) -> Result<(), Problem> {
    let blob = services.blobs.put(&new_blob("bundles", &attempt.id), body.to_vec()).await?;
    if !services.store.bundle_stored(&attempt.id, &attempt.workspace_id, &blob, bundle).await? {
        services.blobs.discard(&blob.name).await;
        return Err(Problem::attempt_over());
    }
    // Not part of the answer: what is left is found by the next plan.
    match services.store.forget_unused_parts(&attempt.workspace_id).await {
        Ok(blobs) => {
            for blob in blobs {
                services.blobs.discard(&blob).await;
            }
        }
        Err(error) => tracing::warn!(%error, "could not look for unused parts of bundles"),
    }
    Ok(())
}

pub(super) async fn get(
    State(services): State<Arc<Services>>,
    Extension(attempt): Extension<AttemptAuth>,
) -> Result<Response, Problem> {
    let plan = services.store.plan_before(attempt.job_id, attempt.step_number).await?;
    let blob = plan.and_then(|plan| plan.bundle_blob);
    let blob = blob.ok_or_else(|| Problem::new(StatusCode::NOT_FOUND, "the job has no bundle"))?;
    Ok(([(header::CONTENT_TYPE, "application/json")], services.blobs.get(&blob).await?).into_response())
}

pub(super) async fn put_part(
    State(services): State<Arc<Services>>,
    Extension(attempt): Extension<AttemptAuth>,
    Query(PartQuery { digest, key }): Query<PartQuery>,
    upload: Upload,
) -> Result<StatusCode, Problem> {
    check_digest(&digest)?;
    if let Some(key) = &key {
        check_key(key)?;
    }
    let blob = upload.store(&services.blobs, &new_blob("parts", &attempt.id)).await?;
    if !blob.digest.eq_ignore_ascii_case(&digest) {
        services.blobs.discard(&blob.name).await;
        return Err(Problem::new(
            StatusCode::UNPROCESSABLE_ENTITY,
            format!("the content has digest {}, expected {digest}", blob.digest),
        ));
    }
    let current = services.store.part_stored(&attempt.workspace_id, &blob, key.as_deref()).await?;
    if current != blob.name {
        services.blobs.discard(&blob.name).await;
    }
    Ok(StatusCode::NO_CONTENT)
}

pub(super) async fn get_part(
    State(services): State<Arc<Services>>,
    Extension(attempt): Extension<AttemptAuth>,
    Query(PartQuery { digest, .. }): Query<PartQuery>,
) -> Result<Response, Problem> {
    let blob = services.store.part_blob(&attempt.workspace_id, &digest).await?;
    let blob = blob.ok_or_else(|| {
        Problem::new(StatusCode::NOT_FOUND, format!("the workspace has no part with digest {digest:?}"))
    })?;
    let content = Body::from_stream(services.blobs.pieces(&blob).await?);
    Ok(([(header::CONTENT_TYPE, "application/gzip")], content).into_response())
}

/// Says whether the source of a key is stored.
pub(super) async fn source(
    State(services): State<Arc<Services>>,
    Extension(attempt): Extension<AttemptAuth>,
    Query(SourceQuery { key }): Query<SourceQuery>,
) -> Result<Json<Part>, Problem> {
    let part = services.store.stored_source(&attempt.workspace_id, &key).await?;
    part.map(Json).ok_or_else(|| {
        Problem::new(StatusCode::NOT_FOUND, format!("the workspace has no stored source {key:?}"))
    })
}

fn check_digest(digest: &str) -> Result<(), Problem> {
    if digest.len() == DIGEST_CHARS && digest.chars().all(|c| matches!(c, '0'..='9' | 'a'..='f')) {
        return Ok(());
    }
    Err(Problem::new(
        StatusCode::UNPROCESSABLE_ENTITY,
        format!("digest is {digest:?}, expected {DIGEST_CHARS} lower-case hexadecimal digits"),
    ))
}

fn check_key(key: &str) -> Result<(), Problem> {
    if !key.is_empty() && key.chars().count() <= MAX_KEY_CHARS {
        return Ok(());
    }
    Err(Problem::new(
        StatusCode::UNPROCESSABLE_ENTITY,
        format!("key has {} characters, expected 1 to {MAX_KEY_CHARS}", key.chars().count()),
    ))
}

/// A new name for each upload: one that comes late leaves what was approved alone.
fn new_blob(folder: &str, attempt_id: &str) -> String {
    format!("{folder}/{attempt_id}-{}", uuid::Uuid::new_v4())
}
