//! The Kubernetes Job that a step of a workspace would get, and why it looks so.

use std::sync::Arc;

use axum::{
    Json,
    extract::{Path, Query, State},
    http::StatusCode,
};
use job_spec::{Preview, Profile, StepType};
use serde::Deserialize;

use super::{
    jobs::{example_access, input_of},
    problem::Problem,
};
use crate::{
    attempt_building::{StepInput, preview_attempt},
    services::Services,
};

/// Number of the step that is made up; the first one of most templates.
const STEP_NUMBER: u32 = 100;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct Asked {
    step_type: Option<StepType>,
    #[serde(default)]
    profile: Profile,
}

/// Explains the Kubernetes Job of a made-up job; nothing is created. What is refused is part of the answer.
pub(super) async fn read(
    State(services): State<Arc<Services>>,
    Path(workspace): Path<String>,
    Query(Asked { step_type, profile }): Query<Asked>,
) -> Result<Json<Preview>, Problem> {
    let step_type = step_type.unwrap_or(StepType::TerraformPlan);
    if step_type == StepType::Approval {
        return Err(Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "an approval has no Kubernetes Job"));
    }
    let input = input_of(&services.store, services.store.workspace(&workspace).await?).await?;
    let step = StepInput::example(STEP_NUMBER, step_type);
    let access = example_access(&services, &step);
    Ok(Json(preview_attempt(profile, &services.settings, &services.policy, &input, &step, access)))
}
