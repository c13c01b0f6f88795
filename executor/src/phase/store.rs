//! Phase 8: uploads what terraform has left, a plan file or a state that it could not store.

use std::{fs, path::Path};

use super::{context::Context, init::backend::ERRORED_STATE, run::TerraformRun};
use crate::{
    api::retry::retry,
    child::process::Exit,
    error_chain::chain,
    step_report::StepReport,
    work_paths::{WorkDir, write_private},
};

/// What has to be stored after a terraform command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Pending {
    /// The plan file of a successful plan.
    Plan,
    /// The state that terraform has written to a file because it could not store it.
    State,
}

/// Returns what has to be stored.
pub(crate) fn pending(context: &Context<'_>, run: &TerraformRun, report: &StepReport) -> Option<Pending> {
    if context.payload().step_type.is_plan() {
        // The file of a failed plan must not be applied, even if the step ignores the failure.
        let succeeded = matches!(run.exit, Exit::Code(0 | 2)) && report.has_changes.is_some();
        return succeeded.then_some(Pending::Plan);
    }
    run.folder.join(ERRORED_STATE).exists().then_some(Pending::State)
}

/// Stores it and returns the report that includes how that went.
pub(crate) async fn store(
    context: &Context<'_>,
    dir: &WorkDir,
    run: &TerraformRun,
    pending: Pending,
    report: StepReport,
) -> StepReport {
    match pending {
        Pending::Plan => upload_plan(context, &dir.plan_file(), report).await,
        Pending::State => rescue_state(context, &run.folder.join(ERRORED_STATE), report).await,
    }
}

async fn upload_plan(context: &Context<'_>, file: &Path, report: StepReport) -> StepReport {
    let Context { api, stop, timeouts, .. } = *context;
    let plan = match fs::read(file) {
        Ok(plan) => plan,
        Err(error) => {
            return StepReport::failed(format!("could not read the plan file that terraform wrote: {error}"));
        }
    };
    let upload = || api.upload_plan(plan.clone());
    match retry(timeouts.transfer, || stop.is_fenced(), upload).await {
        Ok(()) => report,
        Err(error) => {
            context.fence_if_closed(&error);
            StepReport::failed(chain(&error))
        }
    }
}

/// Stores a state that terraform could not store; keeps it in a file if that fails too.
async fn rescue_state(context: &Context<'_>, file: &Path, report: StepReport) -> StepReport {
    let body = match fs::read(file) {
        Ok(body) => body,
        Err(error) => return report.and(&format!("could not read the state in {ERRORED_STATE}: {error}")),
    };
    let Err(reason) = push_state(context, &body).await else {
        context.log.note("the state is stored");
        return report.and("the executor has stored the state that terraform could not store");
    };
    let kept = context.paths.kept_state();
    let sentence = match write_private(&kept, &body) {
        Ok(()) => format!("the state could not be stored ({reason}) and is kept in {}", kept.display()),
        Err(error) => {
            format!("the state is lost: it could neither be stored ({reason}) nor kept in a file ({error})")
        }
    };
    tracing::error!("{sentence}");
    context.log.note(&sentence);
    report.and(&sentence)
}

async fn push_state(context: &Context<'_>, body: &[u8]) -> Result<(), String> {
    let Context { api, stop, timeouts, log, .. } = *context;
    if stop.is_fenced() {
        return Err("the api-server has closed the attempt".to_owned());
    }
    log.note(&format!("terraform could not store the state; the executor stores {ERRORED_STATE} itself"));
    let state = context.state();
    let push = || api.push_state(&state, body.to_vec());
    retry(timeouts.transfer, || stop.is_fenced(), push).await.map_err(|error| chain(&error))
}
