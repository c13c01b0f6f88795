//! Executors: one request at a time, each of which may be lost, answered in vain, or arrive twice.

use api_server::http::access::{Credential, Decision, Route, decide};
use job_spec::{
    StepType,
    attempt_api::{Evidence, RescuedState, StepOutcome, StepResult},
};
use k8s_backend::Cause;

use super::{
    books::{Plan, State},
    faults::Fault,
    records::Claimed,
    world::World,
};

/// How often a request is repeated before the executor gives up.
const MAX_TRIES: u32 = 4;

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
    has_session: bool,
    tries: u32,
    plan: Option<Plan>,
    state: State,
    next_slot: usize,
    result: Option<StepResult>,
}

/// What an executor asks.
#[derive(Debug, Clone)]
enum Request {
    Claim,
    GetPlan,
    Lock,
    ReadState,
    PutState(State),
    PutRescued(State),
    Unlock,
    PutPlan(Plan),
    Report(StepResult),
}

/// What the server answers.
#[derive(Debug, Clone)]
enum Answer {
    Done,
    Plan(Option<Plan>),
    State(State),
    /// 409, 423: another one has it, or the state does not follow.
    Conflict,
    /// 401, 403, 410: not with this credential, or not any more.
    Refused,
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

    fn go(&mut self, stage: Stage) {
        self.stage = stage;
        self.tries = 0;
    }

    fn end_with(&mut self, outcome: StepOutcome, evidence: Option<Evidence>) {
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

    const fn route(request: &Request) -> Route {
        match request {
            Request::Claim => Route::Claim,
            Request::GetPlan => Route::GetPlan,
            Request::Lock => Route::LockState,
            Request::ReadState => Route::GetState,
            Request::PutState(_) => Route::PostState,
            Request::PutRescued(_) => Route::PutRescuedState,
            Request::Unlock => Route::UnlockState,
            Request::PutPlan(_) => Route::PutPlan,
            Request::Report(_) => Route::Report,
        }
    }
}

impl World {
    /// One executor goes on.
    pub(super) fn executor_acts(&mut self) {
        let alive: Vec<usize> =
            (0..self.executors.len()).filter(|executor| self.executors[*executor].alive).collect();
        if !alive.is_empty() {
            let executor = alive[self.choices.pick(alive.len())];
            self.step_of_executor(executor);
        }
    }

    pub(super) fn step_of_executor(&mut self, index: usize) {
        let executor = &self.executors[index];
        if !executor.alive {
            return;
        }
        if executor.stop && matches!(executor.stage, Stage::Claim | Stage::GetPlan) {
            let executor = &mut self.executors[index];
            if !executor.has_session {
                return self.executor_ends(index, Cause::ExitCode(Some(14)));
            }
            executor.end_with(StepOutcome::Cancelled, None);
            executor.go(Stage::Report);
        }
        let executor = &self.executors[index];
        let request = match executor.stage {
            Stage::Terraform => return self.terraform(index),
            Stage::Claim => Request::Claim,
            Stage::GetPlan => Request::GetPlan,
            Stage::Lock => Request::Lock,
            Stage::ReadState => Request::ReadState,
            Stage::SaveState => Request::PutState(executor.state.clone()),
            Stage::Rescue => Request::PutRescued(executor.state.clone()),
            Stage::Unlock => Request::Unlock,
            Stage::PutPlan => Request::PutPlan(executor.plan.clone().expect("it has planned")),
            Stage::Report => Request::Report(executor.result.clone().expect("it has ended")),
        };
        let answer = self.send(index, &request);
        let (id, attempt) = (self.executors[index].id, self.executors[index].attempt.clone());
        self.note(|| format!("executor {id} of {attempt}: {request:?} -> {answer:?}"));
        self.answered(index, answer);
    }

    /// Sends a request, and returns the answer if it arrives.
    fn send(&mut self, index: usize, request: &Request) -> Option<Answer> {
        let executor = &self.executors[index];
        let (id, attempt) = (executor.id, executor.attempt.clone());
        let credential = if executor.has_session { Credential::SessionToken } else { Credential::ClaimToken };
        match self.choices.weighted(4, |choice| [16, 1, 1, 1][choice]) {
            // The request is lost.
            1 => None,
            // The answer is lost.
            2 => {
                self.handle(credential, id, &attempt, request);
                None
            }
            // The request arrives twice.
            3 => {
                self.handle(credential, id, &attempt, request);
                Some(self.handle(credential, id, &attempt, request))
            }
            _ => Some(self.handle(credential, id, &attempt, request)),
        }
    }

    /// The server handles a request of an executor with this secret id.
    fn handle(&mut self, credential: Credential, id: u32, attempt: &str, request: &Request) -> Answer {
        let access = self.records.access(attempt);
        let is_plan = self.records.find(attempt).is_some_and(|(_, step, _)| step.step_type.is_plan());
        let seen_as = match credential {
            Credential::ClaimToken if self.records.is(Fault::ClaimTokenIsASession) => {
                Credential::SessionToken
            }
            // A session token is that of the executor that claimed the attempt; no other one has it.
            Credential::SessionToken
                if self.records.extras.get(attempt).is_none_or(|extra| extra.claimed_by != Some(id)) =>
            {
                Credential::None
            }
            other => other,
        };
        let is_plan = is_plan && !self.records.is(Fault::PlansWriteStates);
        let decision = match decide(seen_as, access, is_plan, Executor::route(request)) {
            Decision::Gone if self.records.is(Fault::DeadAttemptsWrite) => Decision::Allow,
            Decision::Gone | Decision::Unauthorized
                if self.records.is(Fault::FencedAttemptsAreClaimed) && matches!(request, Request::Claim) =>
            {
                Decision::Allow
            }
            decision => decision,
        };
        if decision != Decision::Allow {
            return Answer::Refused;
        }
        self.check_allowed(credential, attempt, Executor::route(request));
        self.carry_out_request(id, attempt, request)
    }

    fn carry_out_request(&mut self, id: u32, attempt: &str, request: &Request) -> Answer {
        let now = self.now;
        let stored = |done: Option<bool>| match done {
            Some(true) => Answer::Done,
            Some(false) => Answer::Conflict,
            None => Answer::Refused,
        };
        match request {
            Request::Claim => match self.records.claim(attempt, id, now) {
                Claimed::Yes => {
                    self.check_claim(attempt, id);
                    Answer::Done
                }
                Claimed::Taken | Claimed::Over | Claimed::Refused => Answer::Refused,
            },
            Request::GetPlan => {
                let found = self.records.find(attempt).map(|(row, step, _)| (row.job.id, step.number));
                let plan = found
                    .and_then(|(job, number)| self.records.plan_before(&self.records.jobs[&job], number));
                Answer::Plan(plan)
            }
            Request::Lock => stored(self.records.lock(attempt, id)),
            Request::Unlock => stored(self.records.unlock(attempt, id)),
            Request::ReadState => self.records.read_state(attempt).map_or(Answer::Refused, Answer::State),
            Request::PutState(state) => stored(self.records.put_state(attempt, state.clone(), Some(id))),
            Request::PutRescued(state) => {
                if self.records.put_rescued(attempt, state.clone()) {
                    Answer::Done
                } else {
                    Answer::Refused
                }
            }
            Request::PutPlan(plan) => {
                if self.records.put_plan(attempt, plan.clone()) {
                    Answer::Done
                } else {
                    Answer::Refused
                }
            }
            Request::Report(result) => {
                if self.records.report(attempt, result, now) {
                    Answer::Done
                } else {
                    Answer::Refused
                }
            }
        }
    }

    fn answered(&mut self, index: usize, answer: Option<Answer>) {
        let goes_on = self.records.is(Fault::RefusedExecutorsGoOn);
        let drops_state = self.records.is(Fault::UnsavedStateIsDropped);
        let executor = &mut self.executors[index];
        let Some(answer) = answer else {
            executor.tries += 1;
            if executor.tries >= MAX_TRIES {
                self.gave_up(index);
            }
            return;
        };
        let is_plan = executor.step_type.is_plan();
        match (executor.stage, answer) {
            (Stage::Claim, Answer::Done) => {
                executor.has_session = true;
                executor.go(if is_plan { Stage::Lock } else { Stage::GetPlan });
            }
            (Stage::Claim, _) if goes_on => {
                executor.plan = Some(Plan { digest: 0, base: 0, creates: vec![0, 1] });
                executor.has_session = true;
                executor.go(Stage::Terraform);
            }
            (Stage::Claim, _) => self.executor_ends(index, Cause::ExitCode(Some(3))),
            (Stage::GetPlan, Answer::Plan(Some(plan))) => {
                executor.plan = Some(plan);
                executor.go(Stage::Lock);
            }
            (Stage::Lock, Answer::Done) => executor.go(Stage::ReadState),
            (Stage::ReadState, Answer::State(state)) => {
                executor.state = state;
                executor.go(Stage::Terraform);
            }
            (Stage::SaveState, Answer::Done) => executor.go(Stage::Unlock),
            (Stage::SaveState, Answer::Conflict | Answer::Refused) if !drops_state => {
                executor.go(Stage::Rescue);
            }
            (Stage::SaveState, _) => {
                executor.result = None;
                executor.end_with(StepOutcome::Failed, None);
                executor.go(Stage::Report);
            }
            (Stage::Rescue, answer) => {
                let rescued = matches!(answer, Answer::Done);
                executor.result = None;
                executor.end_unsaved(rescued);
                executor.go(Stage::Report);
            }
            (Stage::Unlock, _) if is_plan => executor.go(Stage::PutPlan),
            (Stage::Unlock, _) => executor.go(Stage::Report),
            (Stage::PutPlan, Answer::Done) => {
                executor.end_with(StepOutcome::Completed, None);
                executor.go(Stage::Report);
            }
            (Stage::Report, _) => self.executor_ends(index, Cause::Completed),
            // Terraform could not start: nothing was changed.
            _ => {
                executor.end_with(StepOutcome::Failed, None);
                executor.go(Stage::Report);
            }
        }
    }

    /// A request was repeated in vain.
    fn gave_up(&mut self, index: usize) {
        let drops_state = self.records.is(Fault::UnsavedStateIsDropped);
        let executor = &mut self.executors[index];
        match executor.stage {
            Stage::Claim | Stage::Report => self.executor_ends(index, Cause::ExitCode(Some(12))),
            Stage::SaveState if !drops_state => executor.go(Stage::Rescue),
            Stage::Rescue => {
                executor.result = None;
                executor.end_unsaved(false);
                executor.go(Stage::Report);
            }
            Stage::Unlock if executor.step_type.is_plan() => executor.go(Stage::PutPlan),
            Stage::Unlock => executor.go(Stage::Report),
            _ => {
                executor.end_with(StepOutcome::Failed, None);
                executor.go(Stage::Report);
            }
        }
    }

    /// Terraform plans, or changes one resource.
    fn terraform(&mut self, index: usize) {
        let digest = self.fresh();
        let executor = &mut self.executors[index];
        if executor.step_type.is_plan() {
            executor.plan = Some(executor.state.plan(digest));
            if executor.stop {
                executor.end_with(StepOutcome::Cancelled, None);
                executor.go(Stage::Report);
            } else {
                executor.go(Stage::Unlock);
            }
            return;
        }
        let plan = executor.plan.clone().expect("an apply has its plan");
        if executor.next_slot == 0 && plan.base != executor.state.version {
            // "Saved plan is stale".
            executor.end_with(StepOutcome::Failed, None);
            executor.go(Stage::Unlock);
            return;
        }
        let next = plan.creates.get(executor.next_slot).copied();
        let Some(slot) = next.filter(|_| !executor.stop) else {
            let stopped = executor.stop && next.is_some();
            executor.end_with(if stopped { StepOutcome::Cancelled } else { StepOutcome::Completed }, None);
            executor.state.serial += 1;
            executor.go(Stage::SaveState);
            return;
        };
        executor.next_slot += 1;
        let (workspace, job) = (executor.workspace, executor.job);
        let id = self.cloud.create(workspace, job, plan.digest, slot);
        self.executors[index].state.resources.push((slot, id));
        self.check_creation(index, &plan, slot);
        self.note(|| format!("job {job} creates resource {id} in slot {slot} by plan {}", plan.digest));
    }

    /// The process of an executor ends, and with the last one of its pods the Kubernetes Job.
    pub(super) fn executor_ends(&mut self, index: usize, cause: Cause) {
        self.executors[index].alive = false;
        let attempt = self.executors[index].attempt.clone();
        if !self.executors.iter().any(|other| other.alive && other.attempt == attempt) {
            self.end_kubernetes_job(&attempt, cause);
        }
    }

    /// Code in a step uses what it can see: the claim token, the loopback address of its executor, and both
    /// also after the end of the attempt.
    pub(super) fn hostile_step(&mut self) {
        if self.executors.is_empty() {
            return;
        }
        let index = self.choices.pick(self.executors.len());
        let executor = self.executors[index].clone();
        if !executor.has_session {
            return;
        }
        let own_id = self.fresh();
        let state = State { serial: executor.state.serial + 9, ..State::default() };
        let plan = Plan { digest: own_id, base: executor.state.version, creates: vec![0] };
        let result = {
            let mut forged = executor.clone();
            forged.result = None;
            forged.end_with(StepOutcome::Completed, None);
            forged.result.expect("it was set")
        };
        let (credential, id, request) = match self.choices.pick(6) {
            0 => (Credential::ClaimToken, own_id, Request::Claim),
            1 => (Credential::ClaimToken, own_id, Request::Report(result)),
            2 => (Credential::ClaimToken, own_id, Request::PutPlan(plan)),
            3 => (Credential::ClaimToken, own_id, Request::PutState(state)),
            4 => (Credential::ClaimToken, own_id, Request::GetPlan),
            // The loopback address; the executor that listens there must live. What an apply may do with its
            // state, its code may do, too.
            _ if executor.alive && executor.step_type.is_plan() => {
                (Credential::SessionToken, executor.id, Request::PutState(state))
            }
            _ => return,
        };
        if !matches!(self.handle(credential, id, &executor.attempt, &request), Answer::Refused) {
            let route = Executor::route(&request);
            self.violation(format!("code in a step reached {route:?} with {credential:?}"));
        }
    }
}

impl Executor {
    /// The state is not stored.
    fn end_unsaved(&mut self, rescued: bool) {
        let rescued_state = if rescued { RescuedState::Stored } else { RescuedState::None };
        self.end_with(
            StepOutcome::Unknown,
            Some(Evidence { exit: Some(1), state_saved: Some(false), rescued_state, ..Evidence::default() }),
        );
    }
}
