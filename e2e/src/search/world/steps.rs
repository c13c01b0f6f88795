//! What executors do with the answers, and what terraform does between them.

use job_spec::{StepType, attempt_api::StepOutcome};
use k8s_backend::Cause;

use super::{
    World,
    executors::Stage,
    requests::{Answer, Request},
};
use crate::search::{
    books::{Creation, Plan, State},
    faults::Fault,
    promises::Promise,
};

/// How often a request is repeated before the executor gives up.
const MAX_TRIES: u32 = 4;

impl World {
    /// One executor goes on, to its next await point.
    pub(super) fn executor_acts(&mut self) {
        let alive = self.alive();
        if !alive.is_empty() {
            let executor = alive[self.choices.pick(alive.len())];
            self.step_of_executor(executor);
        }
    }

    pub(super) fn step_of_executor(&mut self, index: usize) {
        let executor = &mut self.executors[index];
        if !executor.alive {
            return;
        }
        if executor.stop && matches!(executor.stage, Stage::Claim | Stage::GetPlan) {
            if !executor.has_session {
                return self.executor_ends(index, Cause::ExitCode(Some(14)));
            }
            executor.end_with(StepOutcome::Cancelled, None);
            executor.go(Stage::Report);
        }
        let request = match executor.stage {
            Stage::Terraform => return self.terraform(index),
            Stage::Claim => Request::Claim,
            Stage::GetPlan => Request::GetPlan,
            Stage::Lock => Request::Lock,
            Stage::ReadState => Request::ReadState,
            Stage::SaveState | Stage::PushState => Request::PutState(executor.state.clone()),
            Stage::Rescue => Request::PutRescued(executor.state.clone()),
            Stage::Unlock => Request::Unlock,
            Stage::PutPlan => Request::PutPlan(executor.plan.clone().expect("it has planned")),
            Stage::Report => Request::Report(executor.result.clone().expect("it has ended")),
        };
        let answer = self.send(index, &request);
        let (id, attempt) = (self.executors[index].id, self.executors[index].attempt.clone());
        self.note(|| format!("executor {id} of {attempt}: {request:?} -> {answer:?}"));
        match answer {
            Some(answer) => self.answered(index, answer),
            None => self.unanswered(index),
        }
    }

    fn answered(&mut self, index: usize, answer: Answer) {
        if let (Stage::Lock, Answer::Conflict) = (self.executors[index].stage, &answer) {
            self.check_locked_out(index);
        }
        let goes_on = self.is(Fault::RefusedExecutorsGoOn);
        let drops_state = self.is(Fault::UnsavedStateIsDropped);
        let compares = !self.is(Fault::DigestIsNotCompared);
        let executor = &mut self.executors[index];
        let is_plan = executor.step_type.is_plan();
        let needs_plan = executor.step_type == StepType::TerraformApply;
        match (executor.stage, answer) {
            (Stage::Claim, Answer::Done) => {
                executor.has_session = true;
                executor.go(if needs_plan { Stage::GetPlan } else { Stage::Lock });
            }
            (Stage::Claim, _) if goes_on => {
                executor.plan = Some(State::NONE.plan(0));
                executor.has_session = true;
                executor.go(Stage::Terraform);
            }
            (Stage::Claim, _) => self.executor_ends(index, Cause::ExitCode(Some(3))),
            (Stage::GetPlan, Answer::Plan(planned)) => {
                let other = planned.as_ref().is_some_and(|it| it.digest != it.plan.digest.to_string());
                executor.plan = planned.map(|planned| planned.plan);
                if other && compares {
                    executor.fails(Stage::Report);
                } else {
                    executor.go(Stage::Lock);
                }
            }
            (Stage::Lock, Answer::Done) => {
                executor.holds_lock = true;
                executor.go(Stage::ReadState);
            }
            (Stage::ReadState, Answer::State(state)) => {
                executor.state = state;
                executor.go(Stage::Terraform);
            }
            (Stage::SaveState, Answer::Saved(version)) => {
                executor.state.version = version;
                executor.go(if executor.result.is_none() { Stage::Terraform } else { Stage::Unlock });
            }
            (Stage::SaveState, Answer::Conflict | Answer::Refused) if !drops_state => {
                executor.go(Stage::PushState);
            }
            (Stage::PushState, Answer::Saved(_)) => executor.fails(Stage::Unlock),
            (Stage::PushState, _) => executor.go(Stage::Rescue),
            (Stage::Rescue, answer) => executor.end_unsaved(matches!(answer, Answer::Done)),
            (Stage::Unlock, _) => executor.go(after_unlock(is_plan, executor.result.is_some())),
            (Stage::PutPlan, Answer::Done) => {
                executor.end_with(StepOutcome::Completed, None);
                executor.go(Stage::Report);
            }
            (Stage::Report, _) => self.executor_ends(index, Cause::Completed),
            // Terraform could not start: nothing was changed.
            _ => executor.fails(Stage::Report),
        }
    }

    /// A request was not answered: it is repeated, but not for ever.
    fn unanswered(&mut self, index: usize) {
        let drops_state = self.is(Fault::UnsavedStateIsDropped);
        let executor = &mut self.executors[index];
        executor.tries += 1;
        if executor.tries < MAX_TRIES {
            return;
        }
        match executor.stage {
            Stage::Claim | Stage::Report => self.executor_ends(index, Cause::ExitCode(Some(12))),
            Stage::SaveState if !drops_state => executor.go(Stage::PushState),
            Stage::PushState => executor.go(Stage::Rescue),
            Stage::Rescue => executor.end_unsaved(false),
            Stage::Unlock => {
                let is_plan = executor.step_type.is_plan();
                executor.go(after_unlock(is_plan, executor.result.is_some()));
            }
            _ => executor.fails(Stage::Report),
        }
    }

    /// Terraform plans, or makes one change.
    fn terraform(&mut self, index: usize) {
        if self.executors[index].step_type.is_plan() {
            return self.terraform_plans(index);
        }
        let digest = self.fresh();
        let executor = &mut self.executors[index];
        let state = &executor.state;
        let is_destroy = executor.step_type == StepType::TerraformDestroy;
        let make = || if is_destroy { state.plan_destroy(digest) } else { state.plan(digest) };
        let plan = executor.plan.get_or_insert_with(make);
        if executor.next_change == 0 && plan.base != executor.state.version && executor.holds_lock {
            // "Saved plan is stale".
            return executor.fails(Stage::Unlock);
        }
        if executor.has_change_left() && !executor.stop {
            self.change(index);
            let executor = &mut self.executors[index];
            if executor.has_change_left() && self.choices.rarely(4) {
                // Terraform saves what it has in between.
                self.save_state(index);
            }
            return;
        }
        let stopped = executor.has_change_left();
        executor.end_with(if stopped { StepOutcome::Cancelled } else { StepOutcome::Completed }, None);
        self.save_state(index);
    }

    fn terraform_plans(&mut self, index: usize) {
        let digest = self.fresh();
        let finds_nothing = self.choices.rarely(8);
        let executor = &mut self.executors[index];
        let mut plan = match executor.step_type {
            StepType::TerraformPlanDestroy => executor.state.plan_destroy(digest),
            _ => executor.state.plan(digest),
        };
        if finds_nothing {
            plan.changes.clear();
        }
        executor.plan = Some(plan);
        if executor.stop {
            executor.end_with(StepOutcome::Cancelled, None);
        }
        executor.go(Stage::Unlock);
    }

    fn save_state(&mut self, index: usize) {
        let lineage = self.fresh();
        let executor = &mut self.executors[index];
        executor.state = executor.state.next();
        if executor.state.lineage == 0 {
            executor.state.lineage = lineage;
        }
        executor.go(Stage::SaveState);
    }

    /// Terraform makes the next change of its plan.
    pub(super) fn change(&mut self, index: usize) {
        let executor = &mut self.executors[index];
        let Some(Plan { digest, changes, .. }) = &executor.plan else { return };
        let (plan, change) = (*digest, changes[executor.next_change]);
        executor.next_change += 1;
        let resources = &mut executor.state.resources;
        let before = resources.iter().position(|(slot, _)| *slot == change.slot);
        if let Some(before) = before {
            self.cloud.remove(resources.remove(before).1);
        }
        let (id, job) = (executor.id, executor.job);
        if change.creates {
            let (workspace, step, slot) = (executor.workspace, executor.step.clone(), change.slot);
            let creation = Creation { id: 0, workspace, job, step, executor: id, plan, slot, removed: false };
            let id = self.cloud.create(creation);
            self.executors[index].state.resources.push((slot, id));
        }
        self.check_change(index, plan, change);
        self.note(|| format!("executor {id} of job {job}: {change:?} by plan {plan}"));
    }

    /// A step could not lock its state: only a user may be in its way.
    fn check_locked_out(&mut self, index: usize) {
        let executor = &self.executors[index];
        let attempt = executor.attempt.clone();
        let lock = self.records.workspaces[executor.workspace].lock.clone();
        if let Some(other) = lock.and_then(|lock| lock.attempt) {
            let detail = format!("attempt {attempt} fails because of the lock of attempt {other}");
            self.violation(Promise::WorkspaceIsHeld, detail);
        }
    }
}

const fn after_unlock(is_plan: bool, has_ended: bool) -> Stage {
    if is_plan && !has_ended { Stage::PutPlan } else { Stage::Report }
}
