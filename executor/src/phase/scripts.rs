//! Phase 6: scripts before and after the terraform command. This executor rejects them.

use job_spec::{EphemeralJobData, StepType};

use crate::step_report::StepReport;

/// Returns the report of a step that runs no terraform command, or that has scripts.
pub(crate) fn report_without_terraform(payload: &EphemeralJobData) -> Option<StepReport> {
    let scripts = payload.command_list.as_ref().map_or(0, Vec::len);
    if scripts > 0 {
        return Some(StepReport::failed(format!(
            "the step has {scripts} scripts, which this executor cannot run yet; nothing was started"
        )));
    }
    matches!(payload.step_type, StepType::Approval | StepType::CustomScripts).then_some(StepReport::COMPLETED)
}
