//! Downloads the plan file that an apply must use.

use job_spec::StepType;

use crate::{
    api::{
        error::{ApiError, ErrorKind},
        retry::retry,
    },
    error_chain::chain,
    phase::context::Context,
    step_report::StepReport,
};

/// Downloads the reviewed plan of an apply, if the job has a plan step.
///
/// Without the plan there is no apply, because no reviewer has seen what it would do.
pub(crate) async fn reviewed(context: &Context<'_>) -> Result<Option<Vec<u8>>, StepReport> {
    let Context { api, claim, stop, timeouts, .. } = *context;
    if context.payload().step_type != StepType::TerraformApply || !claim.plan_expected {
        return Ok(None);
    }
    match retry(timeouts.transfer, || stop.is_requested(), || api.download_plan()).await {
        Ok(plan) => Ok(Some(plan)),
        Err(error) => Err(report_without_plan(context, &error)),
    }
}

fn report_without_plan(context: &Context<'_>, error: &ApiError) -> StepReport {
    context.fence_if_closed(error);
    if context.stop.is_requested() {
        return StepReport::cancelled("cancelled before terraform started");
    }
    if error.kind == ErrorKind::NotFound {
        return StepReport::failed("the job has a plan step but no plan file; nothing was applied");
    }
    StepReport::failed(chain(error)).and("nothing was applied")
}
