//! Says how a step ended, from how terraform ended.
//!
//! Pure: facts in, one verdict out, and from the verdict the exit code of the executor.

use job_spec::{ExitCode, StepType, attempt_api::StepOutcome};

use crate::process::Ended;

/// How a step ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Verdict {
    pub(crate) outcome: StepOutcome,
    pub(crate) has_changes: Option<bool>,
    pub(crate) message: Option<String>,
}

impl Verdict {
    /// The step did what it was for, and there is nothing to say.
    pub(crate) const COMPLETED: Self =
        Self { outcome: StepOutcome::Completed, has_changes: None, message: None };

    /// The step failed.
    pub(crate) fn failed(message: impl Into<String>) -> Self {
        Self { outcome: StepOutcome::Failed, has_changes: None, message: Some(message.into()) }
    }

    /// The step was told to stop.
    pub(crate) fn cancelled(message: impl Into<String>) -> Self {
        Self { outcome: StepOutcome::Cancelled, has_changes: None, message: Some(message.into()) }
    }

    /// Adds a sentence.
    pub(crate) fn and(mut self, sentence: &str) -> Self {
        self.message = Some(match self.message {
            Some(message) => format!("{message}; {sentence}"),
            None => sentence.to_owned(),
        });
        self
    }

    /// The exit code of an executor whose report has arrived.
    pub(crate) fn exit_code(&self) -> ExitCode {
        match self.outcome {
            StepOutcome::Completed => ExitCode::Completed,
            StepOutcome::Failed => ExitCode::StepFailed,
            StepOutcome::Cancelled => ExitCode::Cancelled,
        }
    }
}

/// What is known when terraform has ended.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Facts<'a> {
    pub(crate) step: StepType,
    /// The command in words: `terraform plan`.
    pub(crate) command: &'a str,
    pub(crate) ended: Ended,
    /// The executor was told to stop before terraform ended.
    pub(crate) told_to_stop: bool,
    /// A failed plan does not fail the step.
    pub(crate) ignore_error: bool,
}

/// Judges a step.
///
/// Of a plan only 0 (no changes) and 2 (changes) are successes. A command that succeeded although it was told to stop has
/// done all its work, and says so.
pub(crate) fn judge(facts: Facts<'_>) -> Verdict {
    let Facts { step, command, ended, told_to_stop, ignore_error } = facts;
    let success = match (step.is_plan(), ended) {
        (true, Ended::Code(0)) => Some(Some(false)),
        (true, Ended::Code(2)) => Some(Some(true)),
        (false, Ended::Code(0)) => Some(None),
        _ => None,
    };
    match success {
        Some(has_changes) => Verdict {
            has_changes,
            message: told_to_stop
                .then(|| format!("told to stop, but {command} had nothing left to do and succeeded")),
            ..Verdict::COMPLETED
        },
        None if told_to_stop => {
            Verdict::cancelled(format!("told to stop during {command}, which then ended with {ended}"))
        }
        // A plan that was killed is not a plan with errors.
        None if step.is_plan() && ignore_error && matches!(ended, Ended::Code(_)) => Verdict {
            has_changes: Some(false),
            message: Some(format!("{command} failed with {ended}, which the step ignores")),
            ..Verdict::COMPLETED
        },
        None => Verdict::failed(format!("{command} failed with {ended}; its own words are in the log")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_end_of_terraform_has_its_verdict() {
        use Ended::{Code, Signal};
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
        for (step, ended, told_to_stop, ignore_error, outcome, has_changes, code) in cases {
            let verdict = judge(Facts { step, command: "terraform x", ended, told_to_stop, ignore_error });
            let found = (verdict.outcome, verdict.has_changes, verdict.exit_code().code());
            assert_eq!(found, (outcome, has_changes, code), "{step} {ended} {told_to_stop} {ignore_error}");
            let silent = outcome == Completed && !told_to_stop && !(ignore_error && ended == Code(1));
            assert_eq!(verdict.message.is_none(), silent, "{step} {ended}");
        }
    }

    #[test]
    fn messages_are_one_sentence() {
        let facts = Facts {
            step: StepType::TerraformApply,
            command: "tofu apply",
            ended: Ended::Code(1),
            told_to_stop: true,
            ignore_error: false,
        };
        let verdict = judge(facts).and("the state is kept");
        assert_eq!(
            verdict.message.as_deref(),
            Some("told to stop during tofu apply, which then ended with exit code 1; the state is kept")
        );
    }
}
