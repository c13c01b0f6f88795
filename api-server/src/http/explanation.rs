//! Explains the Kubernetes Job of a workspace over HTTP: its fields, and what set each of them.

use axum::{Json, extract::State, http::StatusCode};
use job_spec::{Profile, StepType};
use serde::Deserialize;
use serde_json::Value;

use super::{
    Shared,
    extract::{Path, Query},
    jobs::input_of,
    problem::Problem,
};
use crate::attempt_building::{StepInput, example_access, preview_attempt};

/// Number of the example step: the first one of most templates.
const STEP_NUMBER: u32 = 100;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct ExplanationQuery {
    step_type: Option<StepType>,
    #[serde(default)]
    profile: Profile,
}

/// Explains the Kubernetes Job of an example job; nothing is created. What is refused is part of the answer.
pub(super) async fn read(
    State(services): Shared,
    Path(workspace): Path<String>,
    Query(ExplanationQuery { step_type, profile }): Query<ExplanationQuery>,
) -> Result<Json<Value>, Problem> {
    let step_type = step_type.unwrap_or(StepType::TerraformPlan);
    if step_type == StepType::Approval {
        return Err(Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "an approval has no Kubernetes Job"));
    }
    let input = input_of(&services.store, services.store.workspace(&workspace).await?).await?;
    let step = StepInput::example(STEP_NUMBER, step_type);
    let access = example_access(&services, &step);
    let mut preview = preview_attempt(profile, &services.settings, &services.policy, &input, &step, access);
    let redactor = input.redactor();
    preview.refused = preview.refused.into_iter().map(|problem| redactor.problem(problem)).collect();
    preview.warnings = preview.warnings.into_iter().map(|warning| redactor.warning(warning)).collect();
    let mut answer = serde_json::to_value(&preview).map_err(std::io::Error::other)?;
    redactor.explanation(&mut answer);
    Ok(Json(answer))
}
