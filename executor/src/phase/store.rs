//! Phase 8: uploads what terraform has left: a plan file here, a state that it could not store in
//! [`rescue`](super::rescue).

use std::path::Path;

use super::{context::Context, fetch::plan::hex_digest};
use crate::{api::retry::retry, error_chain::chain, regular_file, step_report::StepReport};

/// Uploads the plan file of a successful plan, and returns the report that includes how that went.
pub(crate) async fn upload_plan(context: &Context<'_>, file: &Path, report: StepReport) -> StepReport {
    let Context { api, stop, timeouts, .. } = *context;
    let plan = match regular_file::read(file, regular_file::LARGE) {
        Ok(plan) => plan,
        Err(error) => {
            return StepReport::failed(format!(
                "could not read the plan file, which terraform wrote: {error}"
            ));
        }
    };
    let upload = || api.upload_plan(plan.clone());
    let stored = match retry(timeouts.transfer, stop.fenced(), upload).await {
        Ok(stored) => stored,
        Err(error) => {
            context.fence_if_closed(&error);
            return StepReport::failed(chain(&error));
        }
    };
    let digest = hex_digest(&plan);
    if stored.eq_ignore_ascii_case(&digest) {
        return report;
    }
    StepReport::failed(format!(
        "the api-server has stored a plan file with the SHA-256 digest {stored}, expected {digest}; the plan \
         was changed on its way and cannot be applied"
    ))
}
