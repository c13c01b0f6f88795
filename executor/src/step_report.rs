//! How a step ended, from how terraform ended; pure.

use job_spec::{
    ExitCode, StepType,
    attempt_api::{Evidence, RescuedState, StepOutcome},
};

use crate::{child::process::Exit, stop::MemoryShortage};

/// How a step ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct StepReport {
    pub(crate) outcome: StepOutcome,
    pub(crate) has_changes: Option<bool>,
    pub(crate) message: Option<String>,
    /// What is known if the outcome is not.
    pub(crate) evidence: Option<Evidence>,
}

impl StepReport {
    /// The step succeeded, without a message.
    pub(crate) const COMPLETED: Self =
        Self { outcome: StepOutcome::Completed, has_changes: None, message: None, evidence: None };

    /// The step failed.
    pub(crate) fn failed(message: impl Into<String>) -> Self {
        Self { outcome: StepOutcome::Failed, message: Some(message.into()), ..Self::COMPLETED }
    }

    /// The step was cancelled.
    pub(crate) fn cancelled(message: impl Into<String>) -> Self {
        Self { outcome: StepOutcome::Cancelled, message: Some(message.into()), ..Self::COMPLETED }
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

/// What became of the state of an apply or destroy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum StateResult {
    /// Terraform has sent none, and left none in a file: it has changed nothing that it knows of.
    NotSent,
    /// The last state of terraform is stored.
    Stored,
    /// Terraform could not store it, but the executor has.
    StoredByExecutor,
    /// It is not stored as a version.
    NotStored {
        /// Why not.
        reason: String,
        /// Where it is.
        rescued: RescuedState,
    },
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
    /// Terraform had to end at once, without the time to save its state.
    pub(crate) forced: bool,
    /// Why the end was requested, if memory was short.
    pub(crate) shortage: Option<MemoryShortage>,
    /// A failed plan does not fail the step.
    pub(crate) ignore_error: bool,
    /// What became of the state. A plan has none.
    pub(crate) state: &'a StateResult,
}

/// Returns the report of a step.
///
/// A command that succeeded in spite of a stop request has done all its work, and the message says so.
pub(crate) fn step_report(result: CommandResult<'_>) -> StepReport {
    if result.step.is_plan() { plan_report(result) } else { apply_report(result) }
}

/// Exit codes 0 (no changes) and 2 (changes) are successes. Whatever else happens, a plan changes nothing.
fn plan_report(result: CommandResult<'_>) -> StepReport {
    let CommandResult { command, exit, ignore_error, .. } = result;
    match exit {
        Exit::Code(code @ (0 | 2)) => StepReport { has_changes: Some(code == 2), ..succeeded(result) },
        _ if result.stop_requested => stopped(result),
        // A plan that was killed is not a plan that failed.
        Exit::Code(_) if ignore_error => StepReport {
            has_changes: Some(false),
            message: Some(format!("{command} failed with {exit}, which the step ignores")),
            ..StepReport::COMPLETED
        },
        _ => failed(result),
    }
}

/// Terraform itself ends an apply with exit code 0 or 1, after it has saved what it did. After any other end,
/// or with a state that is not stored, it is not known what exists.
fn apply_report(result: CommandResult<'_>) -> StepReport {
    let report = match (result.exit, result.state) {
        (Exit::Code(0 | 1), StateResult::NotStored { .. }) => return unknown(result),
        (Exit::Code(0), _) => succeeded(result),
        (Exit::Code(1), _) if result.forced => return unknown(result),
        (Exit::Code(1), _) if result.stop_requested => stopped(result),
        (Exit::Code(1), _) => failed(result),
        _ => return unknown(result),
    };
    match result.state {
        StateResult::StoredByExecutor => {
            report.and("the executor has stored the state that terraform could not store")
        }
        _ => report,
    }
}

fn succeeded(CommandResult { command, stop_requested, .. }: CommandResult<'_>) -> StepReport {
    let message = format!("cancel requested, but {command} had finished its work and succeeded");
    StepReport { message: stop_requested.then_some(message), ..StepReport::COMPLETED }
}

/// The command ended early because of a request.
fn stopped(result: CommandResult<'_>) -> StepReport {
    match result.shortage {
        Some(shortage) => short_of_memory(result, shortage),
        None => cancelled(result),
    }
}

fn short_of_memory(
    CommandResult { command, exit, .. }: CommandResult<'_>,
    MemoryShortage { used_bytes, limit_bytes }: MemoryShortage,
) -> StepReport {
    let mebibytes = |bytes: u64| bytes / (1024 * 1024);
    StepReport::failed(format!(
        "{command} was stopped because {} of {} MiB of memory were in use, before the kernel would have \
         killed it; it ended with {exit}. Raise the memory limit (EPHEMERAL_MEMORY_LIMIT), or let terraform \
         do less at a time (-parallelism)",
        mebibytes(used_bytes),
        mebibytes(limit_bytes)
    ))
}

fn cancelled(CommandResult { command, exit, .. }: CommandResult<'_>) -> StepReport {
    StepReport::cancelled(format!("cancelled during {command}, which ended with {exit}"))
}

fn failed(CommandResult { command, exit, .. }: CommandResult<'_>) -> StepReport {
    StepReport::failed(format!("{command} failed with {exit}; see its error message in the log"))
}

fn unknown(
    CommandResult { command, exit, stop_requested, forced, state, .. }: CommandResult<'_>,
) -> StepReport {
    let cancelled = if stop_requested { "cancelled: " } else { "" };
    let end = match exit {
        Exit::Code(1) if forced => format!(
            "{command} did not end in its time, or was stopped twice, and was ended with {exit} before it \
             could save its state"
        ),
        Exit::Code(0 | 1) => format!("{command} ended with {exit}, but its state could not be stored"),
        Exit::Code(_) => format!("{command} ended with {exit}, which terraform does not use after an apply"),
        Exit::Signal(_) => format!("{command} was ended by {exit}"),
        Exit::NotSeen => format!("{command} has ended, but the executor could not see how"),
    };
    let mut message = format!("{cancelled}{end}; which changes it made is not known");
    let rescued = match state {
        StateResult::NotStored { reason, rescued } => {
            let place = match rescued {
                RescuedState::None => "the state is lost".to_owned(),
                RescuedState::Stored => "the api-server keeps the state beside the attempt".to_owned(),
                RescuedState::KeptIn(file) => format!("the state is kept in {file}"),
            };
            message = format!("{message}; the state could not be stored ({reason}); {place}");
            rescued.clone()
        }
        StateResult::StoredByExecutor => {
            message.push_str("; the executor has stored the state that terraform could not store");
            RescuedState::None
        }
        StateResult::NotSent | StateResult::Stored => RescuedState::None,
    };
    let evidence = Evidence {
        exit: exit.code(),
        signal: exit.signal(),
        // After a signal or a forced end, what is stored may not be all that terraform did.
        state_saved: matches!(state, StateResult::NotStored { .. }).then_some(false),
        rescued_state: rescued,
    };
    StepReport {
        outcome: StepOutcome::Unknown,
        has_changes: None,
        message: Some(message),
        evidence: Some(evidence),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reports_every_exit_of_terraform() {
        use Exit::{Code, Signal};
        use StepOutcome::{Cancelled, Completed, Failed, Unknown};
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
            (TerraformApply, Code(2), false, false, Unknown, None, 10),
            (TerraformApply, Code(137), true, false, Unknown, None, 10),
            (TerraformApply, Signal(9), true, false, Unknown, None, 10),
            (TerraformApply, Exit::NotSeen, false, false, Unknown, None, 10),
            (TerraformPlan, Signal(9), true, false, Cancelled, None, 14),
            (TerraformApply, Code(1), true, false, Cancelled, None, 14),
            (TerraformDestroy, Signal(15), false, false, Unknown, None, 10),
        ];
        for (step, exit, stop_requested, ignore_error, outcome, has_changes, code) in cases {
            let report = step_report(CommandResult {
                step,
                command: "terraform x",
                exit,
                stop_requested,
                forced: false,
                shortage: None,
                ignore_error,
                state: &StateResult::Stored,
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
            forced: false,
            shortage: None,
            ignore_error: false,
            state: &StateResult::Stored,
        };
        let report = step_report(result).and("the state is kept");
        assert_eq!(
            report.message.as_deref(),
            Some("cancelled during tofu apply, which ended with exit code 1; the state is kept")
        );
    }

    #[test]
    fn forced_end_of_an_apply_is_unknown() {
        let report = |step, exit| {
            step_report(CommandResult {
                step,
                command: "terraform x",
                exit,
                stop_requested: true,
                forced: true,
                shortage: None,
                ignore_error: false,
                state: &StateResult::Stored,
            })
        };
        let apply = report(StepType::TerraformApply, Exit::Code(1));
        assert_eq!(apply.outcome, StepOutcome::Unknown);
        assert_eq!(
            apply.message.as_deref(),
            Some(
                "cancelled: terraform x did not end in its time, or was stopped twice, and was ended with \
                 exit code 1 before it could save its state; which changes it made is not known"
            )
        );
        assert_eq!(report(StepType::TerraformApply, Exit::Code(0)).outcome, StepOutcome::Completed);
        assert_eq!(report(StepType::TerraformPlan, Exit::Code(1)).outcome, StepOutcome::Cancelled);
    }

    #[test]
    fn shortage_of_memory_fails_the_step_and_says_what_to_raise() {
        const MIB: u64 = 1024 * 1024;
        for (step, exit, outcome) in [
            (StepType::TerraformPlan, Exit::Code(1), StepOutcome::Failed),
            (StepType::TerraformApply, Exit::Code(1), StepOutcome::Failed),
            (StepType::TerraformApply, Exit::Signal(9), StepOutcome::Unknown),
            (StepType::TerraformPlan, Exit::Code(2), StepOutcome::Completed),
        ] {
            let report = step_report(CommandResult {
                step,
                command: "terraform x",
                exit,
                stop_requested: true,
                forced: false,
                shortage: Some(MemoryShortage { used_bytes: 481 * MIB, limit_bytes: 512 * MIB }),
                ignore_error: true,
                state: &StateResult::Stored,
            });
            assert_eq!(report.outcome, outcome, "{step} {exit}");
            let message = report.message.unwrap();
            let says = message.starts_with("terraform x was stopped because 481 of 512 MiB of memory");
            assert_eq!(says, outcome == StepOutcome::Failed, "{message}");
        }
    }

    #[test]
    fn state_that_is_not_stored_makes_the_outcome_unknown() {
        let not_stored = |rescued| StateResult::NotStored { reason: "the disk is full".into(), rescued };
        let kept = RescuedState::KeptIn("/tmp/kept.tfstate".into());
        let cases = [
            (Exit::Code(1), StateResult::StoredByExecutor, StepOutcome::Failed),
            (Exit::Code(1), StateResult::NotSent, StepOutcome::Failed),
            (Exit::Code(0), not_stored(RescuedState::None), StepOutcome::Unknown),
            (Exit::Code(1), not_stored(RescuedState::Stored), StepOutcome::Unknown),
            (Exit::Signal(9), not_stored(kept.clone()), StepOutcome::Unknown),
            (Exit::Signal(9), StateResult::StoredByExecutor, StepOutcome::Unknown),
        ];
        for (exit, state, outcome) in cases {
            for step in [StepType::TerraformApply, StepType::TerraformDestroy] {
                let result = CommandResult {
                    step,
                    command: "terraform x",
                    exit,
                    stop_requested: false,
                    forced: false,
                    shortage: None,
                    ignore_error: true,
                    state: &state,
                };
                let report = step_report(result);
                assert_eq!(report.outcome, outcome, "{exit} {state:?}");
                assert_eq!(report.evidence.is_some(), outcome == StepOutcome::Unknown);
            }
        }
        let report = step_report(CommandResult {
            step: StepType::TerraformApply,
            command: "terraform apply",
            exit: Exit::Signal(9),
            stop_requested: true,
            forced: false,
            shortage: None,
            ignore_error: false,
            state: &not_stored(kept.clone()),
        });
        assert_eq!(
            report.message.as_deref(),
            Some(
                "cancelled: terraform apply was ended by signal 9; which changes it made is not known; the \
                 state could not be stored (the disk is full); the state is kept in /tmp/kept.tfstate"
            )
        );
        let evidence =
            Evidence { exit: None, signal: Some(9), state_saved: Some(false), rescued_state: kept };
        assert_eq!(report.evidence, Some(evidence));
    }
}
