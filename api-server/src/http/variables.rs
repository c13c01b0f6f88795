//! Variables of workspaces over HTTP.

use axum::{
    Json,
    extract::{Path, State},
    http::StatusCode,
};
use serde::{Deserialize, Serialize};

use super::{
    Items, Shared,
    field_errors::FieldErrors,
    problem::{Body, Problem},
};
use crate::model::{Variable, VariableCategory};

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

pub(super) async fn create(
    State(services): Shared,
    Path(workspace): Path<String>,
    Body(new): Body<NewVariable>,
) -> Result<(StatusCode, Json<VariableView>), Problem> {
    let NewVariable { key, value, category, sensitive, hcl } = new;
    let mut errors = FieldErrors::default();
    errors.variable("key", &key, category);
    errors.value("value", &value);
    errors.finish("the variable cannot be created")?;
    let variable = Variable { id: String::new(), category, key, value, sensitive, hcl };
    let made = services.store.create_variable(&workspace, variable).await?;
    Ok((StatusCode::CREATED, Json(made.into())))
}

pub(super) async fn list(
    State(services): Shared,
    Path(workspace): Path<String>,
) -> Result<Json<Items<VariableView>>, Problem> {
    services.store.workspace(&workspace).await?;
    let variables = services.store.variables(&workspace).await?;
    Ok(Json(Items { items: variables.into_iter().map(Into::into).collect() }))
}

pub(super) async fn delete(
    State(services): Shared,
    Path((workspace, variable)): Path<(String, String)>,
) -> Result<StatusCode, Problem> {
    services.store.delete_variable(&workspace, &variable).await?;
    Ok(StatusCode::NO_CONTENT)
}
