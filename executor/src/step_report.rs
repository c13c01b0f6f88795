//! How a step ended, from how terraform ended; pure.

use job_spec::{ExitCode, StepType, attempt_api::StepOutcome};

use crate::child::process::Exit;

/// How a step ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct StepReport {
    pub(crate) outcome: StepOutcome,
    pub(crate) has_changes: Option<bool>,
    pub(crate) message: Option<String>,
}

impl StepReport {
    /// The step succeeded, without a message.
    pub(crate) const COMPLETED: Self =
        Self { outcome: StepOutcome::Completed, has_changes: None, message: None };

    /// The step failed.
    pub(crate) fn failed(message: impl Into<String>) -> Self {
        Self { outcome: StepOutcome::Failed, has_changes: None, message: Some(message.into()) }
    }

    /// The step was cancelled.
    pub(crate) fn cancelled(message: impl Into<String>) -> Self {
        Self { outcome: StepOutcome::Cancelled, has_changes: None, message: Some(message.into()) }
    }

    /// Adds a sentence to the message.
    pub(crate) fn and(mut self, sentence: &str) -> Self {
        self.message = Some(match self.message {
            Some(message) => format!("{message}; {sentence}"),
            None => sentence.to_owned(),
        });
        self
    }

    /// Returns the exit code of an executor whose report was stored.
    pub(crate) fn exit_code(&self) -> ExitCode {
        match self.outcome {
            StepOutcome::Completed => ExitCode::Completed,
            StepOutcome::Failed | StepOutcome::Unknown => ExitCode::StepFailed,
            StepOutcome::Cancelled => ExitCode::Cancelled,
        }
    }
}

/// What is known when terraform has ended.
#[derive(Debug, Clone, Copy)]
pub(crate) struct CommandResult<'a> {
    pub(crate) step: StepType,
    /// The command as users know it: `terraform plan`.
    pub(crate) command: &'a str,
    pub(crate) exit: Exit,
    /// The end of the step was requested before the command ended.
    pub(crate) stop_requested: bool,
    /// A failed plan does not fail the step.
    pub(crate) ignore_error: bool,
}

/// Returns the report of a step.
///
/// For a plan, exit codes 0 (no changes) and 2 (changes) are successes. A command that succeeded in spite of
/// a stop request has done all its work, and the message says so.
pub(crate) fn step_report(result: CommandResult<'_>) -> StepReport {
    let CommandResult { step, command, exit, stop_requested, ignore_error } = result;
    let success = match (step.is_plan(), exit) {
        (true, Exit::Code(0)) => Some(Some(false)),
        (true, Exit::Code(2)) => Some(Some(true)),
        (false, Exit::Code(0)) => Some(None),
        _ => None,
    };
    match success {
        Some(has_changes) => StepReport {
            has_changes,
            message: stop_requested
                .then(|| format!("cancel requested, but {command} had finished its work and succeeded")),
            ..StepReport::COMPLETED
        },
        None if stop_requested => {
            StepReport::cancelled(format!("cancelled during {command}, which ended with {exit}"))
        }
        // A plan that was killed is not a plan that failed.
        None if step.is_plan() && ignore_error && matches!(exit, Exit::Code(_)) => StepReport {
            has_changes: Some(false),
            message: Some(format!("{command} failed with {exit}, which the step ignores")),
            ..StepReport::COMPLETED
        },
        None => StepReport::failed(format!("{command} failed with {exit}; see its error message in the log")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reports_every_exit_of_terraform() {
        use Exit::{Code, Signal};
        use StepOutcome::{Cancelled, Completed, Failed};
        use StepType::{TerraformApply, TerraformDestroy, TerraformPlan, TerraformPlanDestroy};
        let cases = [
            (TerraformPlan, Code(0), false, false, Completed, Some(false), 0),
            (TerraformPlan, Code(2), false, false, Completed, Some(true), 0),
            (TerraformPlanDestroy, Code(2), false, false, Completed, Some(true), 0),
            (TerraformPlan, Code(1), false, false, Failed, None, 10),
            (TerraformPlan, Code(137), false, false, Failed, None, 10),
            (TerraformPlan, Signal(9), false, true, Failed, None, 10),
            (TerraformPlan, Code(1), false, true, Completed, Some(false), 0),
            (TerraformPlan, Code(1), true, true, Cancelled, None, 14),
            (TerraformPlan, Code(2), true, false, Completed, Some(true), 0),
            (TerraformApply, Code(0), false, false, Completed, None, 0),
            (TerraformApply, Code(0), true, false, Completed, None, 0),
            (TerraformApply, Code(1), false, true, Failed, None, 10),
            (TerraformApply, Code(2), false, false, Failed, None, 10),
            (TerraformApply, Code(1), true, false, Cancelled, None, 14),
            (TerraformDestroy, Signal(15), false, false, Failed, None, 10),
        ];
        for (step, exit, stop_requested, ignore_error, outcome, has_changes, code) in cases {
            let report = step_report(CommandResult {
                step,
                command: "terraform x",
                exit,
                stop_requested,
                ignore_error,
            });
            let found = (report.outcome, report.has_changes, report.exit_code().code());
            assert_eq!(found, (outcome, has_changes, code), "{step} {exit} {stop_requested} {ignore_error}");
            let silent = outcome == Completed && !stop_requested && !(ignore_error && exit == Code(1));
            assert_eq!(report.message.is_none(), silent, "{step} {exit}");
        }
    }

    #[test]
    fn messages_are_one_sentence() {
        let result = CommandResult {
            step: StepType::TerraformApply,
            command: "tofu apply",
            exit: Exit::Code(1),
            stop_requested: true,
            ignore_error: false,
        };
        let report = step_report(result).and("the state is kept");
        assert_eq!(
            report.message.as_deref(),
            Some("cancelled during tofu apply, which ended with exit code 1; the state is kept")
        );
    }
}
