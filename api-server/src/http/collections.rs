//! Collections of variables over HTTP: create, list, delete, attach to workspaces.

use axum::{Json, extract::State, http::StatusCode, response::Response};
use serde::{Deserialize, Serialize};

use super::{
    Items, Shared,
    extract::{Body, Path},
    field_errors::FieldErrors,
    problem::Problem,
    variable_changes::{Change, OnProblem, Scope},
    variables::{deleted, workspace_scope},
    warning::WarningView,
};
use crate::model::Collection;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct NewCollection {
    name: String,
    #[serde(default)]
    priority: i32,
}

/// An attached collection.
#[derive(Debug, Serialize)]
pub(super) struct Attached {
    #[serde(flatten)]
    collection: Collection,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    warnings: Vec<WarningView>,
}

pub(super) async fn create(
    State(services): Shared,
    Path(organization): Path<String>,
    Body(NewCollection { name, priority }): Body<NewCollection>,
) -> Result<(StatusCode, Json<Collection>), Problem> {
    let mut errors = FieldErrors::default();
    errors.collection_name("name", &name);
    errors.finish("the collection cannot be created")?;
    let created = services.store.create_collection(&organization, &name, priority).await?;
    Ok((StatusCode::CREATED, Json(created)))
}

pub(super) async fn list(
    State(services): Shared,
    Path(organization): Path<String>,
) -> Result<Json<Items<Collection>>, Problem> {
    services.store.organization(&organization).await?;
    Ok(Json(Items { items: services.store.collections(&organization).await? }))
}

pub(super) async fn delete(
    State(services): Shared,
    Path((organization, collection)): Path<(String, String)>,
) -> Result<StatusCode, Problem> {
    let collection = services.store.collection(&organization, &collection).await?;
    let mut change = services.store.change_variables().await?;
    change.delete_collection(&collection).await?;
    change.commit().await?;
    Ok(StatusCode::NO_CONTENT)
}

pub(super) async fn list_attached(
    State(services): Shared,
    Path(workspace): Path<String>,
) -> Result<Json<Items<Collection>>, Problem> {
    services.store.workspace(&workspace).await?;
    Ok(Json(Items { items: services.store.attached_collections(&workspace).await? }))
}

/// Attaches a collection. Attaching it again changes nothing.
pub(super) async fn attach(
    State(services): Shared,
    Path((workspace, collection)): Path<(String, String)>,
) -> Result<Json<Attached>, Problem> {
    let workspace = services.store.workspace(&workspace).await?;
    let collection = services.store.collection(&workspace.organization_id, &collection).await?;
    let organization = services.store.organization(&workspace.organization_id).await?;
    let mut change = Change::begin(services, Scope::Workspace(organization, workspace.clone())).await?;
    change.store.attach(&workspace, &collection.id).await?;
    let warnings = change.finish(OnProblem::Refuse).await?;
    Ok(Json(Attached { collection, warnings }))
}

/// Detaches a collection. Detaching it again changes nothing.
pub(super) async fn detach(
    State(services): Shared,
    Path((workspace, collection)): Path<(String, String)>,
) -> Result<Response, Problem> {
    let scope = workspace_scope(&services, &workspace).await?;
    let workspace = services.store.workspace(&workspace).await?;
    services.store.collection(&workspace.organization_id, &collection).await?;
    let mut change = Change::begin(services, scope).await?;
    change.store.detach(&workspace, &collection).await?;
    Ok(deleted(change.finish(OnProblem::Warn).await?))
}
