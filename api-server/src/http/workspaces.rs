//! Workspaces over HTTP: create, list, read.

use axum::{Json, extract::State, http::StatusCode};
use serde::Deserialize;

use super::{
    Items, Shared,
    extract::{Body, Path},
    field_errors::FieldErrors,
    problem::Problem,
};
use crate::{
    model::{IacType, SourceAddress, Workspace},
    store::NewWorkspace,
};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct NewWorkspaceBody {
    name: String,
    source: SourceAddress,
    #[serde(default = "default_branch")]
    branch: String,
    #[serde(default = "root_folder")]
    folder: String,
    #[serde(default = "default_iac_type")]
    iac_type: IacType,
    #[serde(default)]
    terraform_version: String,
}

fn default_branch() -> String {
    "main".to_owned()
}

fn root_folder() -> String {
    "/".to_owned()
}

fn default_iac_type() -> IacType {
    IacType::Terraform
}

pub(super) async fn create(
    State(services): Shared,
    Path(organization_id): Path<String>,
    Body(new): Body<NewWorkspaceBody>,
) -> Result<(StatusCode, Json<Workspace>), Problem> {
    let NewWorkspaceBody { name, source, branch, folder, iac_type, terraform_version } = new;
    let mut errors = FieldErrors::default();
    errors.name("name", &name);
    errors.source("source", &source, services.local_sources);
    errors.branch("branch", &branch);
    errors.folder("folder", &folder);
    errors.version("terraformVersion", &terraform_version);
    errors.finish("the workspace cannot be created")?;
    let new = NewWorkspace { organization_id, name, source, branch, folder, iac_type, terraform_version };
    Ok((StatusCode::CREATED, Json(services.store.create_workspace(new).await?)))
}

pub(super) async fn list(
    State(services): Shared,
    Path(organization): Path<String>,
) -> Result<Json<Items<Workspace>>, Problem> {
    services.store.organization(&organization).await?;
    Ok(Json(Items { items: services.store.workspaces(&organization).await? }))
}

pub(super) async fn read(
    State(services): Shared,
    Path(workspace): Path<String>,
) -> Result<Json<Workspace>, Problem> {
    Ok(Json(services.store.workspace(&workspace).await?))
}
