//! Requests of executors: sent, lost, late, or sent twice; checked with the decision of the product; carried
//! out. Between the check and the transaction anything may happen, because a body may take its time.

use api_server::http::access::{Credential, Decision, Route, decide};
use job_spec::attempt_api::StepResult;

use super::{Late, World};
use crate::search::{
    books::{Plan, State},
    faults::Fault,
    records::{Claimed, Put, StoredPlan, Writer},
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
    /// The state is stored, as this version.
    Saved(i64),
    Plan(Option<StoredPlan>),
    State(State),
    /// 409, 423: another one has it, or the state does not follow.
    Conflict,
    /// 401, 403, 410: not with this credential, or not any more.
    Refused,
}

/// A request on its way.
#[derive(Debug, Clone)]
pub(super) struct Message {
    pub(super) credential: Credential,
    /// The secret id of the executor, which is also that of its session and of its lock.
    pub(super) id: u32,
    pub(super) attempt: String,
    pub(super) request: Request,
    /// The credential was checked before.
    pub(super) is_checked: bool,
}

impl Request {
    pub(super) const fn route(&self) -> Route {
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
        let credential = if executor.has_session { Credential::SessionToken } else { Credential::ClaimToken };
        let mut message = Message {
            credential,
            id: executor.id,
            attempt: executor.attempt.clone(),
            request: request.clone(),
            is_checked: false,
        };
        match self.choices.accident(&[24, 1, 1, 1, 1, 1]) {
            // The request is lost.
            1 => None,
            // The answer is lost.
            2 => {
                self.arrives(&message);
                None
            }
            // The request arrives twice.
            3 => {
                self.arrives(&message);
                self.arrives(&message)
            }
            // The request is late, and the executor has given it up.
            4 => {
                self.late.push(Late::Request(message));
                None
            }
            // Its body is slow: the credential is checked now.
            5 => {
                message.is_checked = self.check(&message) == Decision::Allow;
                self.late.push(Late::Request(message));
                None
            }
            _ => self.arrives(&message),
        }
    }

    /// A request arrives at a replica. Returns the answer if there is one.
    pub(super) fn arrives(&mut self, message: &Message) -> Option<Answer> {
        let replica = self.serving()?;
        if !message.is_checked && self.check(message) != Decision::Allow {
            return Some(Answer::Refused);
        }
        let accident = self.choices.accident(&[30, 1, 1, 1]);
        match accident {
            // The store fails before it has committed.
            1 if self.is(Fault::AcknowledgedBeforeCommit) => return Some(Self::empty_answer(message)),
            1 => return None,
            _ => {}
        }
        let answer = self.carry_out_request(replica, message);
        if matches!(answer, Answer::Refused) {
            return Some(answer);
        }
        self.check_allowed(message, &answer);
        match accident {
            // The store has committed, and the replica is killed, or the answer of the database is lost.
            2 => {
                self.start_replica(replica);
                return None;
            }
            3 => return None,
            _ => {}
        }
        if matches!(message.request, Request::Claim | Request::Report(_))
            && let Some((row, _, _)) = self.records.find(&message.attempt)
        {
            let job = row.job.id;
            self.wake(replica, job, true);
        }
        Some(answer)
    }

    /// The answer to a request that was not stored.
    const fn empty_answer(message: &Message) -> Answer {
        match message.request {
            Request::PutState(_) => Answer::Saved(0),
            Request::GetPlan | Request::ReadState => Answer::Refused,
            _ => Answer::Done,
        }
    }

    /// Checks the credential of a request, with the decision of the product.
    fn check(&self, message: &Message) -> Decision {
        let Message { credential, id, attempt, request, .. } = message;
        let access = self.records.access(attempt);
        let is_plan = self.records.find(attempt).is_some_and(|(_, step, _)| step.step_type.is_plan());
        let seen_as = match credential {
            Credential::ClaimToken
                if self.is(Fault::ClaimTokenIsASession) && !matches!(request, Request::Claim) =>
            {
                Credential::SessionToken
            }
            // A session token is that of the executor that claimed the attempt; no other one has it.
            Credential::SessionToken if self.records.holder(attempt) != Some(*id) => Credential::None,
            other => *other,
        };
        let is_plan = is_plan && !self.is(Fault::PlansWriteStates);
        match decide(seen_as, access, is_plan, request.route()) {
            Decision::Gone if self.is(Fault::DeadTokensAreAccepted) => Decision::Allow,
            Decision::Gone | Decision::Unauthorized
                if self.is(Fault::FencedAttemptsAreClaimed) && matches!(request, Request::Claim) =>
            {
                Decision::Allow
            }
            decision => decision,
        }
    }

    fn carry_out_request(&mut self, replica: usize, message: &Message) -> Answer {
        let now = self.clock(replica);
        let Message { id, attempt, request, .. } = message;
        let Some((row, step, _)) = self.records.find(attempt) else { return Answer::Refused };
        let (workspace, job, number) = (row.workspace, row.job.id, step.number);
        let writer = Writer::Attempt(attempt.clone());
        match request {
            Request::Claim => {
                let holder = self.records.holder(attempt);
                match self.records.claim(attempt, *id, now) {
                    Claimed::Yes => {
                        // A repeated claim gets the same answer, whatever has happened since.
                        if holder != Some(*id) {
                            self.check_claim(attempt);
                        }
                        Answer::Done
                    }
                    Claimed::Refused => {
                        self.wake(replica, job, true);
                        Answer::Refused
                    }
                    Claimed::Taken | Claimed::Over => Answer::Refused,
                }
            }
            Request::GetPlan => Answer::Plan(self.records.plan_before(&self.records.jobs[&job], number)),
            Request::Lock => locked(self.records.lock(workspace, *id, &writer)),
            Request::Unlock => locked(self.records.unlock(workspace, Some(*id), &writer)),
            Request::ReadState => Answer::State(self.records.read_state(workspace, attempt)),
            Request::PutState(state) => match self.put_state(workspace, state, &writer, Some(*id)) {
                Put::Done | Put::Unchanged => {
                    Answer::Saved(self.records.workspaces[workspace].latest().version)
                }
                other => locked(other),
            },
            Request::PutRescued(state) => stored(self.records.put_rescued(attempt, state.clone())),
            Request::PutPlan(plan) => stored(self.records.put_plan(attempt, plan.clone())),
            Request::Report(result) => match self.records.report(attempt, result, now) {
                Some(true) => Answer::Done,
                Some(false) => Answer::Conflict,
                None => Answer::Refused,
            },
        }
    }
}

const fn stored(done: bool) -> Answer {
    if done { Answer::Done } else { Answer::Refused }
}

const fn locked(put: Put) -> Answer {
    match put {
        Put::Done | Put::Unchanged => Answer::Done,
        Put::HeldBy | Put::Conflict => Answer::Conflict,
        Put::Fenced => Answer::Refused,
    }
}
