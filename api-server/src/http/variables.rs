//! Variables of workspaces, organizations (global variables) and collections over HTTP.

use std::sync::Arc;

use axum::{
    Json,
    extract::State,
    http::StatusCode,
    response::{IntoResponse as _, Response},
};
use secrecy::{ExposeSecret as _, SecretString};
use serde::{Deserialize, Deserializer, Serialize, de::Error as _};

use super::{
    Items, Shared,
    extract::{Body, Path},
    field_errors::FieldErrors,
    problem::Problem,
    variable_changes::{Change, OnProblem, Scope},
    warning::WarningView,
};
use crate::{
    model::{Variable, VariableCategory, VariableOwner},
    services::Services,
    store::{self, StoreError},
};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct NewVariable {
    key: String,
    #[serde(deserialize_with = "secret_text")]
    value: SecretString,
    category: VariableCategory,
    #[serde(default)]
    sensitive: bool,
    #[serde(default)]
    hcl: bool,
}

/// Parses a string; the error message does not show the value, unlike that of serde.
fn secret_text<'de, D: Deserializer<'de>>(deserializer: D) -> Result<SecretString, D::Error> {
    String::deserialize(deserializer)
        .map(Into::into)
        .map_err(|_| D::Error::custom("`value`: expected a string"))
}

/// A variable in the API; the value of a sensitive one is not shown.
#[derive(Debug, Serialize)]
pub(super) struct VariableView {
    id: String,
    key: String,
    value: Option<String>,
    category: VariableCategory,
    sensitive: bool,
    hcl: bool,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    warnings: Vec<WarningView>,
}

/// Problems that remain after a deletion.
#[derive(Debug, Serialize)]
struct Warnings {
    warnings: Vec<WarningView>,
}

impl From<Variable> for VariableView {
    fn from(variable: Variable) -> Self {
        let Variable { id, category, key, value, sensitive, hcl } = variable;
        let value = (!sensitive).then(|| value.expose_secret().to_owned());
        Self { id, key, value, category, sensitive, hcl, warnings: Vec::new() }
    }
}

type Created = Result<(StatusCode, Json<VariableView>), Problem>;
type Listed = Result<Json<Items<VariableView>>, Problem>;

pub(super) async fn create_in_workspace(
    State(services): Shared,
    Path(workspace): Path<String>,
    Body(new): Body<NewVariable>,
) -> Created {
    let scope = workspace_scope(&services, &workspace).await?;
    create(services, scope, new).await
}

pub(super) async fn create_global(
    State(services): Shared,
    Path(organization): Path<String>,
    Body(new): Body<NewVariable>,
) -> Created {
    let scope = Scope::Organization(services.store.organization(&organization).await?);
    create(services, scope, new).await
}

pub(super) async fn create_in_collection(
    State(services): Shared,
    Path((organization, collection)): Path<(String, String)>,
    Body(new): Body<NewVariable>,
) -> Created {
    let scope = collection_scope(&services, &organization, &collection).await?;
    create(services, scope, new).await
}

pub(super) async fn list_of_workspace(State(services): Shared, Path(workspace): Path<String>) -> Listed {
    let workspace = services.store.workspace(&workspace).await?;
    list(&services, VariableOwner::Workspace(workspace.id)).await
}

pub(super) async fn list_global(State(services): Shared, Path(organization): Path<String>) -> Listed {
    let organization = services.store.organization(&organization).await?;
    list(&services, VariableOwner::Organization(organization.id)).await
}

pub(super) async fn list_of_collection(
    State(services): Shared,
    Path((organization, collection)): Path<(String, String)>,
) -> Listed {
    let collection = services.store.collection(&organization, &collection).await?;
    list(&services, VariableOwner::Collection(collection.id)).await
}

pub(super) async fn delete_from_workspace(
    State(services): Shared,
    Path((workspace, variable)): Path<(String, String)>,
) -> Result<Response, Problem> {
    let scope = workspace_scope(&services, &workspace).await?;
    delete(services, scope, &variable).await
}

pub(super) async fn delete_global(
    State(services): Shared,
    Path((organization, variable)): Path<(String, String)>,
) -> Result<Response, Problem> {
    let scope = Scope::Organization(services.store.organization(&organization).await?);
    delete(services, scope, &variable).await
}

pub(super) async fn delete_from_collection(
    State(services): Shared,
    Path((organization, collection, variable)): Path<(String, String, String)>,
) -> Result<Response, Problem> {
    let scope = collection_scope(&services, &organization, &collection).await?;
    delete(services, scope, &variable).await
}

/// Reads a workspace and its organization.
pub(super) async fn workspace_scope(services: &Services, id: &str) -> Result<Scope, StoreError> {
    let workspace = services.store.workspace(id).await?;
    let organization = services.store.organization(&workspace.organization_id).await?;
    Ok(Scope::Workspace(organization, workspace))
}

async fn collection_scope(services: &Services, organization: &str, id: &str) -> Result<Scope, StoreError> {
    let collection = services.store.collection(organization, id).await?;
    Ok(Scope::Collection(services.store.organization(organization).await?, collection))
}

async fn create(services: Arc<Services>, scope: Scope, new: NewVariable) -> Created {
    let NewVariable { key, value, category, sensitive, hcl } = new;
    let mut errors = FieldErrors::default();
    errors.variable("key", &key, category);
    errors.value("value", value.expose_secret());
    if sensitive {
        errors.sensitive_value("value", value.expose_secret());
    }
    errors.finish("the variable cannot be created")?;
    let owner = scope.owner();
    let mut change = Change::begin(services, scope).await?;
    let new = store::NewVariable { category, key, value, sensitive, hcl };
    let variable = change.store.create(&owner, new).await?;
    let warnings = change.finish(OnProblem::Refuse).await?;
    Ok((StatusCode::CREATED, Json(VariableView { warnings, ..variable.into() })))
}

async fn list(services: &Services, owner: VariableOwner) -> Listed {
    let variables = services.store.variables(&owner).await?;
    Ok(Json(Items { items: variables.into_iter().map(Into::into).collect() }))
}

async fn delete(services: Arc<Services>, scope: Scope, id: &str) -> Result<Response, Problem> {
    let owner = scope.owner();
    let mut change = Change::begin(services, scope).await?;
    change.store.delete(&owner, id).await?;
    Ok(deleted(change.finish(OnProblem::Warn).await?))
}

/// Answers a deletion: 204, or 200 with warnings.
pub(super) fn deleted(warnings: Vec<WarningView>) -> Response {
    if warnings.is_empty() {
        return StatusCode::NO_CONTENT.into_response();
    }
    Json(Warnings { warnings }).into_response()
}
