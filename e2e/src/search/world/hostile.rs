//! Code in a step, which uses every credential that it can see: the claim token of its Kubernetes Job, and
//! the loopback address of its executor. Both also after the end of the attempt.

use api_server::http::access::{Credential, Route};
use job_spec::attempt_api::StepOutcome;

use super::{
    World,
    requests::{Answer, Message, Request},
};
use crate::search::{
    books::{Plan, State},
    faults::Fault,
    promises::Promise,
};

impl World {
    pub(super) fn hostile_step(&mut self) {
        let known = self.executors.iter().enumerate().filter(|(_, executor)| executor.has_session);
        let known: Vec<usize> = known.map(|(index, _)| index).collect();
        if known.is_empty() {
            return;
        }
        let index = known[self.choices.pick(known.len())];
        let own_id = self.fresh();
        let request = self.forged_request(index, own_id);
        let executor = &self.executors[index];
        let is_plan = executor.step_type.is_plan();
        let (id, attempt, alive, workspace) =
            (executor.id, executor.attempt.clone(), executor.alive, executor.workspace);
        let with_address = self.choices.pick(2) == 1;
        let route = request.route();
        if with_address {
            let is_state =
                matches!(route, Route::GetState | Route::PostState | Route::LockState | Route::UnlockState);
            if !alive || !(is_state || self.is(Fault::LoopbackForwardsEverything)) {
                // Nothing listens there, or what listens refuses.
                return;
            }
        }
        let credential = if with_address { Credential::SessionToken } else { Credential::ClaimToken };
        let sender = if with_address { id } else { own_id };
        // What an apply may do with its state, its code may do, too.
        let is_allowed = with_address
            && match route {
                Route::GetState | Route::LockState | Route::UnlockState => true,
                Route::PostState => !is_plan,
                _ => false,
            };
        let message = Message { credential, id: sender, attempt, request, is_checked: false };
        self.note(|| format!("code in a step: {message:?}"));
        if is_allowed && route != Route::GetState {
            self.replaced.insert(workspace);
        }
        let Some(answer) = self.arrives(&message) else { return };
        if !is_allowed && !matches!(answer, Answer::Refused) {
            let detail = format!("code in a step reached {route:?} with {credential:?}");
            self.violation(Promise::LeastPrivilege, detail);
        }
    }

    fn forged_request(&mut self, index: usize, own_id: u32) -> Request {
        let mut forged = self.executors[index].clone();
        let state = &forged.state;
        match self.choices.pick(9) {
            0 => Request::Claim,
            1 => {
                forged.end_with(StepOutcome::Completed, None);
                Request::Report(forged.result.expect("it was set"))
            }
            2 => Request::PutPlan(Plan { digest: own_id, ..state.plan(own_id) }),
            3 => Request::PutState(State { resources: Vec::new(), ..state.next() }),
            4 => Request::GetPlan,
            5 => Request::PutRescued(state.next()),
            6 => Request::ReadState,
            7 => Request::Lock,
            _ => Request::Unlock,
        }
    }
}
