//! Templates over HTTP: create, after their text is checked, and list.

use axum::{Json, extract::State, http::StatusCode};
use serde::Deserialize;

use super::{
    Items, Shared,
    extract::{Body, Path},
    field_errors::FieldErrors,
    problem::Problem,
};
use crate::{model::Template, template};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct NewTemplate {
    name: String,
    tcl: String,
}

pub(super) async fn create(
    State(services): Shared,
    Path(organization): Path<String>,
    Body(new): Body<NewTemplate>,
) -> Result<(StatusCode, Json<Template>), Problem> {
    let mut errors = FieldErrors::default();
    errors.name("name", &new.name);
    errors.finish("the template cannot be created")?;
    template::parse(&new.tcl)
        .map_err(|error| Problem::new(StatusCode::UNPROCESSABLE_ENTITY, error.to_string()))?;
    let created = services.store.create_template(&organization, &new.name, &new.tcl).await?;
    Ok((StatusCode::CREATED, Json(created)))
}

pub(super) async fn list(
    State(services): Shared,
    Path(organization): Path<String>,
) -> Result<Json<Items<Template>>, Problem> {
    services.store.organization(&organization).await?;
    Ok(Json(Items { items: services.store.templates(&organization).await? }))
}
