//! Requests of executors: sent, lost, or sent twice; checked with the decision of the product; carried out.

use api_server::http::access::{Credential, Decision, Route, decide};
use job_spec::attempt_api::{StepOutcome, StepResult};

use super::World;
use crate::search::{
    books::{Plan, State},
    faults::Fault,
    records::Claimed,
};

/// What an executor asks.
#[derive(Debug, Clone)]
pub(super) enum Request {
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
pub(super) enum Answer {
    Done,
    Plan(Option<Plan>),
    State(State),
    /// 409, 423: another one has it, or the state does not follow.
    Conflict,
    /// 401, 403, 410: not with this credential, or not any more.
    Refused,
}

impl Request {
    const fn route(&self) -> Route {
        match self {
            Self::Claim => Route::Claim,
            Self::GetPlan => Route::GetPlan,
            Self::Lock => Route::LockState,
            Self::ReadState => Route::GetState,
            Self::PutState(_) => Route::PostState,
            Self::PutRescued(_) => Route::PutRescuedState,
            Self::Unlock => Route::UnlockState,
            Self::PutPlan(_) => Route::PutPlan,
            Self::Report(_) => Route::Report,
        }
    }
}

impl World {
    /// Sends a request, and returns the answer if it arrives.
    pub(super) fn send(&mut self, index: usize, request: &Request) -> Option<Answer> {
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
    pub(super) fn handle(
        &mut self,
        credential: Credential,
        id: u32,
        attempt: &str,
        request: &Request,
    ) -> Answer {
        let access = self.records.access(attempt);
        let is_plan = self.records.find(attempt).is_some_and(|(_, step, _)| step.step_type.is_plan());
        let seen_as = match credential {
            Credential::ClaimToken
                if self.records.is(Fault::ClaimTokenIsASession) && !matches!(request, Request::Claim) =>
            {
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
        let decision = match decide(seen_as, access, is_plan, request.route()) {
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
        self.check_allowed(credential, attempt, request.route());
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
            Request::Claim => {
                let holder = self.records.extras.get(attempt).and_then(|extra| extra.claimed_by);
                match self.records.claim(attempt, id, now) {
                    Claimed::Yes => {
                        // A repeated claim gets the same answer, whatever has happened since.
                        if holder != Some(id) {
                            self.check_claim(attempt);
                        }
                        Answer::Done
                    }
                    Claimed::Taken | Claimed::Over | Claimed::Refused => Answer::Refused,
                }
            }
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
            let route = request.route();
            self.violation(format!("code in a step reached {route:?} with {credential:?}"));
        }
    }
}
