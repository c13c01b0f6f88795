//! Organizations over HTTP: create and list.

use axum::{Json, extract::State, http::StatusCode};
use serde::Deserialize;

use super::{Items, Shared, extract::Body, field_errors::FieldErrors, problem::Problem};
use crate::model::Organization;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct NewOrganization {
    name: String,
}

pub(super) async fn create(
    State(services): Shared,
    Body(new): Body<NewOrganization>,
) -> Result<(StatusCode, Json<Organization>), Problem> {
    let mut errors = FieldErrors::default();
    errors.name("name", &new.name);
    errors.finish("the organization cannot be created")?;
    Ok((StatusCode::CREATED, Json(services.store.create_organization(&new.name).await?)))
}

pub(super) async fn list(State(services): Shared) -> Result<Json<Items<Organization>>, Problem> {
    Ok(Json(Items { items: services.store.organizations().await? }))
}
