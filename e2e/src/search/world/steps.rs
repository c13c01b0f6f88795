//! What executors do with the answers, and what terraform does between them.

use job_spec::attempt_api::StepOutcome;
use k8s_backend::Cause;

use super::{
    World,
    executors::Stage,
    requests::{Answer, Request},
};
use crate::search::{books::Plan, faults::Fault};

/// How often a request is repeated before the executor gives up.
const MAX_TRIES: u32 = 4;

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
}
