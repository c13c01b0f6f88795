//! Flows beside plan, approval and apply: destroys after a plan, ignored failures, scripts after a rejection.

use super::*;

fn flow(types: &[StepType]) -> Job {
    let steps = types.iter().zip(1..).map(|(step_type, index)| step(index * 100, *step_type)).collect();
    Job { steps, ..job() }
}

fn planned(mut job: Job, has_changes: bool) -> Job {
    job.steps[0].status = StepStatus::Completed;
    job.steps[0].has_changes = Some(has_changes);
    job
}

#[test]
fn plan_without_changes_goes_on_to_what_finds_changes_of_its_own() {
    use StepType::{
        Approval, CustomScripts, TerraformApply, TerraformDestroy, TerraformPlan, TerraformPlanDestroy,
    };
    for (types, goes_on) in [
        (&[TerraformPlan, TerraformDestroy][..], true),
        (&[TerraformPlan, Approval, TerraformDestroy], true),
        (&[TerraformPlan, TerraformPlanDestroy, TerraformApply], true),
        (&[TerraformPlan, TerraformApply], false),
        (&[TerraformPlan, Approval, TerraformApply], false),
        (&[TerraformPlan, CustomScripts], false),
    ] {
        let decided = action(&planned(flow(types), false));
        let ended = Action::EndJob { status: JobStatus::NoChanges, message: None };
        assert_eq!(decided != ended, goes_on, "{types:?}: {decided:?}");
    }
    // The last plan decides.
    let mut job = planned(flow(&[TerraformPlan, TerraformPlanDestroy, TerraformApply]), false);
    job.steps[1].status = StepStatus::Completed;
    job.steps[1].has_changes = Some(false);
    assert_eq!(action(&job), Action::EndJob { status: JobStatus::NoChanges, message: None });
}

#[test]
fn ignored_failure_of_a_plan_is_not_a_plan_without_changes() {
    let mut job = planned(flow(&[StepType::TerraformPlan, StepType::CustomScripts]), false);
    job.steps[0].settings.ignore_error = true;
    assert!(matches!(action(&job), Action::CreateAttempt { .. }));
    let stored = Attempt { plan_digest: Some("0".repeat(64)), ..attempt(1) };
    job.steps[0].attempts.push(stored);
    assert_eq!(action(&job), Action::EndJob { status: JobStatus::NoChanges, message: None });
}

/// An approval with scripts after its rejection.
fn with_scripts_after_rejection() -> Job {
    let mut job = planned(job(), true);
    let mut scripts = step(151, StepType::CustomScripts);
    scripts.settings.on_reject_of = Some(150);
    job.steps.insert(2, scripts);
    job
}

#[test]
fn rejection_runs_its_scripts_and_then_ends_the_job_as_rejected() {
    let mut job = with_scripts_after_rejection();
    job.steps[1].status = StepStatus::Rejected;
    assert!(needs_slot(&job, WorkspaceHold::This));
    assert_eq!(
        action(&job),
        Action::CreateAttempt { step: "step-151".to_owned(), number: 1, not_before: None }
    );
    let rejected = Action::EndJob { status: JobStatus::Rejected, message: None };
    for status in [StepStatus::Completed, StepStatus::Failed, StepStatus::Cancelled, StepStatus::Unknown] {
        job.steps[2].status = status;
        assert_eq!(action(&job), rejected, "{status}");
        assert!(!needs_slot(&job, WorkspaceHold::This));
    }
    job.steps[2].status = StepStatus::Pending;
    job.cancel_requested = true;
    assert_eq!(action(&job), rejected);
}

#[test]
fn approval_passes_the_scripts_of_a_rejection_by() {
    let mut job = with_scripts_after_rejection();
    job.steps[1].status = StepStatus::Completed;
    assert_eq!(
        action(&job),
        Action::CreateAttempt { step: "step-200".to_owned(), number: 1, not_before: None }
    );
    job.steps[3].status = StepStatus::Completed;
    assert_eq!(action(&job), Action::EndJob { status: JobStatus::Completed, message: None });
}
