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
    Rescue,
    Unlock,
    PutPlan,
    Report,
}

/// An executor, with the terraform that it has started.
#[derive(Debug, Clone)]
pub(super) struct Executor {
    pub(super) id: u32,
    pub(super) attempt: String,
    pub(super) job: i64,
    pub(super) workspace: usize,
    pub(super) step_type: StepType,
    pub(super) alive: bool,
    pub(super) stop: bool,
    pub(super) stage: Stage,
    pub(super) has_session: bool,
    pub(super) tries: u32,
    pub(super) plan: Option<Plan>,
    pub(super) state: State,
    pub(super) next_slot: usize,
    pub(super) result: Option<StepResult>,
}

impl Executor {
    pub(super) fn new(id: u32, attempt: String, (job, workspace): (i64, usize), step_type: StepType) -> Self {
        Self {
            id,
            attempt,
            job,
            workspace,
            step_type,
            alive: true,
            stop: false,
            stage: Stage::Claim,
            has_session: false,
            tries: 0,
            plan: None,
            state: State::default(),
            next_slot: 0,
            result: None,
        }
    }

    /// Returns whether terraform may be changing infrastructure for it, or has and the report is not in.
    pub(super) fn may_change(&self) -> bool {
        self.alive && self.has_session && self.step_type.changes_infrastructure()
    }

    pub(super) fn go(&mut self, stage: Stage) {
        self.stage = stage;
        self.tries = 0;
    }

    pub(super) fn end_with(&mut self, outcome: StepOutcome, evidence: Option<Evidence>) {
        let has_changes = (outcome == StepOutcome::Completed && self.step_type.is_plan())
            .then(|| self.plan.as_ref().is_some_and(|plan| !plan.creates.is_empty()));
        self.result.get_or_insert(StepResult {
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
        self.result = None;
        self.end_with(outcome, Some(Evidence { signal: Some(9), ..Evidence::default() }));
        self.go(Stage::Report);
    }

    /// The state is not stored.
    pub(super) fn end_unsaved(&mut self, rescued: bool) {
        let rescued_state = if rescued { RescuedState::Stored } else { RescuedState::None };
        self.end_with(
            StepOutcome::Unknown,
            Some(Evidence { exit: Some(1), state_saved: Some(false), rescued_state, ..Evidence::default() }),
        );
    }
}
