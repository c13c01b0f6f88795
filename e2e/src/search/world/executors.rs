//! Executors: what each of them knows, and how its step ends.

use job_spec::{
    StepType,
    attempt_api::{Evidence, RescuedState, StepOutcome, StepResult},
};

use crate::search::{
    books::{Plan, State},
    faults::Fault,
};

/// What an executor does next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stage {
    Claim,
    GetPlan,
    Lock,
    ReadState,
    Terraform,
    SaveState,
    /// The executor stores the state that terraform could not store.
    PushState,
    Rescue,
    Unlock,
    PutPlan,
    Report,
}

/// An executor, with the terraform that it has started.
#[derive(Debug, Clone)]
#[expect(clippy::struct_excessive_bools, reason = "what an executor knows is independent of each other")]
pub(super) struct Executor {
    pub(super) id: u32,
    pub(super) attempt: String,
    pub(super) job: i64,
    pub(super) step: String,
    pub(super) workspace: usize,
    pub(super) step_type: StepType,
    pub(super) alive: bool,
    pub(super) stop: bool,
    pub(super) stage: Stage,
    pub(super) has_session: bool,
    pub(super) holds_lock: bool,
    pub(super) tries: u32,
    pub(super) plan: Option<Plan>,
    pub(super) state: State,
    pub(super) next_change: usize,
    pub(super) result: Option<StepResult>,
}

impl Executor {
    pub(super) fn new(
        id: u32,
        attempt: String,
        (job, step, workspace): (i64, String, usize),
        step_type: StepType,
    ) -> Self {
        Self {
            id,
            attempt,
            job,
            step,
            workspace,
            step_type,
            alive: true,
            stop: false,
            stage: Stage::Claim,
            has_session: false,
            holds_lock: false,
            tries: 0,
            plan: None,
            state: State::NONE,
            next_change: 0,
            result: None,
        }
    }

    /// Returns whether terraform may be changing infrastructure for it, or has and the report is not in.
    pub(super) fn may_change(&self) -> bool {
        self.alive && self.has_session && self.step_type.changes_infrastructure()
    }

    /// Returns whether terraform is applying a plan and has not done all of it.
    pub(super) fn has_change_left(&self) -> bool {
        let changes = self.plan.as_ref().map_or(0, |plan| plan.changes.len());
        self.may_change() && self.stage == Stage::Terraform && self.next_change < changes
    }

    pub(super) fn go(&mut self, stage: Stage) {
        self.stage = stage;
        self.tries = 0;
    }

    /// Sets the outcome, in place of an earlier one.
    pub(super) fn end_with(&mut self, outcome: StepOutcome, evidence: Option<Evidence>) {
        let has_changes = (outcome == StepOutcome::Completed && self.step_type.is_plan())
            .then(|| self.plan.as_ref().is_some_and(|plan| !plan.changes.is_empty()));
        self.result = Some(StepResult {
            outcome,
            has_changes,
            message: None,
            evidence,
            commit_id: None,
            timings: Vec::new(),
            log_bytes: 0,
            log_complete: None,
            memory: None,
        });
    }

    pub(super) fn fails(&mut self, next: Stage) {
        self.end_with(StepOutcome::Failed, None);
        self.go(next);
    }

    /// Terraform is killed by a signal.
    pub(super) fn terraform_dies(&mut self, fault: Option<Fault>) {
        if !matches!(self.stage, Stage::Lock | Stage::ReadState | Stage::Terraform | Stage::SaveState) {
            return;
        }
        let changes = self.step_type.changes_infrastructure();
        let outcome = if changes && fault != Some(Fault::KilledApplyIsFailed) {
            StepOutcome::Unknown
        } else {
            StepOutcome::Failed
        };
        self.end_with(outcome, Some(Evidence { signal: Some(9), ..Evidence::default() }));
        self.go(Stage::Report);
    }

    /// The state is not stored.
    pub(super) fn end_unsaved(&mut self, rescued: bool) {
        let rescued_state = if rescued { RescuedState::Stored } else { RescuedState::None };
        let evidence =
            Evidence { exit: Some(1), state_saved: Some(false), rescued_state, ..Evidence::default() };
        self.end_with(StepOutcome::Unknown, Some(evidence));
        self.go(Stage::Report);
    }
}
