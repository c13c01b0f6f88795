//! Organizations, workspaces, variables and templates over HTTP.

use std::sync::Arc;

use axum::{
    Json,
    extract::{Path, State},
    http::StatusCode,
};
use serde::{Deserialize, Serialize};

use super::names::Faults;
use crate::{
    model::{IacType, Organization, Template, Variable, VariableCategory, Workspace},
    problem::{Body, Problem},
    services::Services,
    store::NewWorkspace,
    template,
};

type Shared = State<Arc<Services>>;

/// A list of things.
#[derive(Debug, Serialize)]
pub(super) struct Items<T> {
    pub(super) items: Vec<T>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct NewOrganization {
    name: String,
}

pub(super) async fn create_organization(
    State(services): Shared,
    Body(new): Body<NewOrganization>,
) -> Result<(StatusCode, Json<Organization>), Problem> {
    let mut faults = Faults::default();
    faults.name("name", &new.name);
    faults.finish("the organization cannot be made")?;
    Ok((StatusCode::CREATED, Json(services.store.create_organization(&new.name).await?)))
}

pub(super) async fn list_organizations(
    State(services): Shared,
) -> Result<Json<Items<Organization>>, Problem> {
    Ok(Json(Items { items: services.store.organizations().await? }))
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct NewWorkspaceBody {
    name: String,
    source: String,
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

pub(super) async fn create_workspace(
    State(services): Shared,
    Path(organization_id): Path<String>,
    Body(new): Body<NewWorkspaceBody>,
) -> Result<(StatusCode, Json<Workspace>), Problem> {
    let NewWorkspaceBody { name, source, branch, folder, iac_type, terraform_version } = new;
    let mut faults = Faults::default();
    faults.name("name", &name);
    faults.source("source", &source, services.local_sources);
    faults.branch("branch", &branch);
    faults.folder("folder", &folder);
    faults.version("terraformVersion", &terraform_version);
    faults.finish("the workspace cannot be made")?;
    let new = NewWorkspace { organization_id, name, source, branch, folder, iac_type, terraform_version };
    Ok((StatusCode::CREATED, Json(services.store.create_workspace(new).await?)))
}

pub(super) async fn list_workspaces(
    State(services): Shared,
    Path(organization): Path<String>,
) -> Result<Json<Items<Workspace>>, Problem> {
    services.store.organization(&organization).await?;
    Ok(Json(Items { items: services.store.workspaces(&organization).await? }))
}

pub(super) async fn read_workspace(
    State(services): Shared,
    Path(workspace): Path<String>,
) -> Result<Json<Workspace>, Problem> {
    Ok(Json(services.store.workspace(&workspace).await?))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct NewVariable {
    key: String,
    value: String,
    category: VariableCategory,
    #[serde(default)]
    sensitive: bool,
    #[serde(default)]
    hcl: bool,
}

/// A variable as it is shown: the value of a sensitive one is never read back.
#[derive(Debug, Serialize)]
pub(super) struct VariableView {
    id: String,
    key: String,
    value: Option<String>,
    category: VariableCategory,
    sensitive: bool,
    hcl: bool,
}

impl From<Variable> for VariableView {
    fn from(variable: Variable) -> Self {
        let Variable { id, category, key, value, sensitive, hcl } = variable;
        Self { id, key, value: (!sensitive).then_some(value), category, sensitive, hcl }
    }
}

pub(super) async fn create_variable(
    State(services): Shared,
    Path(workspace): Path<String>,
    Body(new): Body<NewVariable>,
) -> Result<(StatusCode, Json<VariableView>), Problem> {
    let NewVariable { key, value, category, sensitive, hcl } = new;
    let mut faults = Faults::default();
    faults.variable("key", &key, category);
    faults.value("value", &value);
    faults.finish("the variable cannot be made")?;
    let variable = Variable { id: String::new(), category, key, value, sensitive, hcl };
    let made = services.store.create_variable(&workspace, variable).await?;
    Ok((StatusCode::CREATED, Json(made.into())))
}

pub(super) async fn list_variables(
    State(services): Shared,
    Path(workspace): Path<String>,
) -> Result<Json<Items<VariableView>>, Problem> {
    services.store.workspace(&workspace).await?;
    let variables = services.store.variables(&workspace).await?;
    Ok(Json(Items { items: variables.into_iter().map(Into::into).collect() }))
}

pub(super) async fn delete_variable(
    State(services): Shared,
    Path((workspace, variable)): Path<(String, String)>,
) -> Result<StatusCode, Problem> {
    services.store.delete_variable(&workspace, &variable).await?;
    Ok(StatusCode::NO_CONTENT)
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct NewTemplate {
    name: String,
    tcl: String,
}

pub(super) async fn create_template(
    State(services): Shared,
    Path(organization): Path<String>,
    Body(new): Body<NewTemplate>,
) -> Result<(StatusCode, Json<Template>), Problem> {
    let mut faults = Faults::default();
    faults.name("name", &new.name);
    faults.finish("the template cannot be made")?;
    template::parse(&new.tcl)
        .map_err(|error| Problem::new(StatusCode::UNPROCESSABLE_ENTITY, error.to_string()))?;
    let made = services.store.create_template(&organization, &new.name, &new.tcl).await?;
    Ok((StatusCode::CREATED, Json(made)))
}

pub(super) async fn list_templates(
    State(services): Shared,
    Path(organization): Path<String>,
) -> Result<Json<Items<Template>>, Problem> {
    services.store.organization(&organization).await?;
    Ok(Json(Items { items: services.store.templates(&organization).await? }))
}
