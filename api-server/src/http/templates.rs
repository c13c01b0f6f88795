//! Templates over HTTP: create, after their text is checked, and list.

use axum::{Json, extract::State, http::StatusCode};
use config_core::{Origin, SourceName, Warning};
use serde::{Deserialize, Serialize};

use super::{
    Items, Shared,
    extract::{Body, Path},
    field_errors::FieldErrors,
    problem::{FieldError, Problem},
    warning::WarningView,
};
use crate::{
    model::Template,
    template::{self, TemplateError, TemplateWarning},
};

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
) -> Result<(StatusCode, Json<CreatedTemplate>), Problem> {
    let mut errors = FieldErrors::default();
    errors.name("name", &new.name);
    errors.finish("the template cannot be created")?;
    template::parse(&new.tcl).map_err(|error| unusable_template(&error))?;
    let template = services.store.create_template(&organization, &new.name, &new.tcl).await?;
    let warnings = template::warnings(&new.tcl).into_iter().map(warning).collect();
    Ok((StatusCode::CREATED, Json(CreatedTemplate { template, warnings })))
}

/// A new template, with what in it does not do what it seems to.
#[derive(Debug, Serialize)]
pub(super) struct CreatedTemplate {
    #[serde(flatten)]
    template: Template,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    warnings: Vec<WarningView>,
}

fn warning(found: TemplateWarning) -> WarningView {
    let TemplateWarning { path, found, meaning, hint } = found;
    Warning { origin: Origin::new(SourceName::Request, path), found, meaning, hint }.into()
}

/// Returns a 422 with every problem of a template.
pub(super) fn unusable_template(error: &TemplateError) -> Problem {
    let errors: Vec<_> = error
        .problems
        .iter()
        .map(|problem| FieldError {
            hint: problem.hint.clone(),
            ..FieldError::in_body(&problem.path, problem.found.clone(), &problem.expected)
        })
        .collect();
    let detail = match error.problems.as_slice() {
        [problem] => format!("template is not usable: {problem}"),
        problems => format!("template is not usable: it has {} problems", problems.len()),
    };
    Problem::invalid(detail, errors)
}

pub(super) async fn list(
    State(services): Shared,
    Path(organization): Path<String>,
) -> Result<Json<Items<Template>>, Problem> {
    services.store.organization(&organization).await?;
    Ok(Json(Items { items: services.store.templates(&organization).await? }))
}
