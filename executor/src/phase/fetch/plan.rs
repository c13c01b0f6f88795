//! Downloads the plan file that an apply must use.

use job_spec::StepType;
use sha2::{Digest as _, Sha256};

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
    match retry(timeouts.transfer, stop.requested(), || api.download_plan()).await {
        Ok(plan) => check_digest(context, plan).map(Some),
        Err(error) => Err(report_without_plan(context, &error)),
    }
}

/// What was approved is what is applied: the digest came with the claim.
fn check_digest(context: &Context<'_>, plan: Vec<u8>) -> Result<Vec<u8>, StepReport> {
    let Some(expected) = context.claim.plan.as_ref().map(|plan| &plan.digest) else { return Ok(plan) };
    let found = hex_digest(&plan);
    if found.eq_ignore_ascii_case(expected) {
        return Ok(plan);
    }
    Err(StepReport::failed(format!(
        "the plan file has the SHA-256 digest {found}, expected {expected}, which is that of the plan of \
         this job; nothing was applied; start a new job"
    )))
}

/// Returns the SHA-256 digest of a file in hexadecimal digits.
pub(crate) fn hex_digest(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

/// Returns bytes in hexadecimal digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::new(), |mut text, byte| {
        // Writing to a text cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
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
