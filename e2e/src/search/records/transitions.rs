//! The transitions of the orchestrator.

use api_server::model::{
    Attempt, AttemptPhase, AttemptStatus, Blocker, Job, JobStatus, StepStatus, WorkspaceHold,
};
use jiff::Timestamp;

use super::{JobRow, Records};
use crate::search::faults::Fault;

impl Records {
    /// Returns who holds the workspace of a job.
    pub(in crate::search) fn hold(&self, id: i64) -> WorkspaceHold {
        let row = &self.jobs[&id];
        let of_workspace = || self.jobs.values().filter(|other| other.workspace == row.workspace);
        let blocker = |row: &JobRow| Blocker { job: row.job.id, status: row.job.status };
        let Some(holder) = self.workspaces[row.workspace].locked_by else {
            let earlier = of_workspace().find(|other| other.job.id < id && !other.job.status.is_final());
            return earlier.map_or(WorkspaceHold::Free, |other| WorkspaceHold::Other(blocker(other)));
        };
        if holder == id {
            return WorkspaceHold::This;
        }
        let holder = &self.jobs[&holder];
        let only_plans = row.job.steps.iter().all(|step| step.step_type.is_plan());
        let at_rest = match holder.job.status {
            JobStatus::WaitingApproval => true,
            JobStatus::Unknown => row.job.recheck_of == Some(holder.job.id),
            _ => false,
        };
        if !only_plans || !at_rest {
            return WorkspaceHold::Other(blocker(holder));
        }
        let started = |job: &Job| !job.status.is_final() && job.status != JobStatus::Pending;
        let running = of_workspace().find(|other| other.job.id != holder.job.id && started(&other.job));
        match running.filter(|other| other.job.id != id) {
            Some(other) => WorkspaceHold::Other(blocker(other)),
            None => WorkspaceHold::Beside,
        }
    }

    /// Returns another job that runs a step in the same workspace which excludes that of a job.
    pub(in crate::search) fn beside(&self, id: i64, changes: bool) -> Option<i64> {
        let workspace = self.jobs[&id].workspace;
        let others = self.jobs.values().filter(|row| row.workspace == workspace && row.job.id != id);
        let mut runs = others.filter(|row| {
            let steps = row
                .job
                .steps
                .iter()
                .filter(|step| step.attempts.iter().any(|attempt| attempt.phase != AttemptPhase::Ended));
            steps.into_iter().any(|step| changes || step.step_type.changes_infrastructure())
        });
        runs.next().map(|row| row.job.id)
    }

    pub(in crate::search) fn start_job(&mut self, id: i64) {
        let hold = self.hold(id);
        let workspace = self.jobs[&id].workspace;
        match hold {
            WorkspaceHold::Other(_) if !self.is(Fault::LockedWorkspaceIsStarted) => return,
            WorkspaceHold::Beside | WorkspaceHold::This => {}
            WorkspaceHold::Free | WorkspaceHold::Other(_) => self.workspaces[workspace].locked_by = Some(id),
        }
        let job = &mut self.jobs.get_mut(&id).expect("it was read").job;
        job.message = None;
        job.status = JobStatus::Running;
    }

    pub(in crate::search) fn ask_approval(&mut self, id: i64, step: &str) {
        if let Some(step) = self.step_mut(id, step).filter(|step| step.status == StepStatus::Pending) {
            step.status = StepStatus::WaitingApproval;
        }
        self.jobs.get_mut(&id).expect("it was read").job.status = JobStatus::WaitingApproval;
    }

    /// Stores an attempt unless its number exists or another step excludes it.
    pub(in crate::search) fn create_attempt(&mut self, id: i64, step: &str, attempt: Attempt) -> bool {
        let Some(found) = self.step_mut(id, step) else { return false };
        let exists = found.attempts.iter().any(|it| it.number == attempt.number);
        let changes = found.step_type.changes_infrastructure();
        if exists || self.beside(id, changes).is_some() {
            return false;
        }
        let step = self.step_mut(id, step).expect("it was found");
        step.status = StepStatus::Running;
        step.attempts.push(attempt);
        true
    }

    pub(in crate::search) fn fence_unclaimed(&mut self, attempt: &str) {
        let found = self.attempt_mut(attempt);
        if let Some(found) = found.filter(|found| found.claimed_at.is_none()) {
            found.live = false;
        }
    }

    /// Closes an attempt, unless it was claimed or reported after `seen` was read.
    pub(in crate::search) fn end_attempt(
        &mut self,
        seen: &Attempt,
        status: AttemptStatus,
        message: Option<String>,
        fence: bool,
    ) {
        let forgets_claim = self.is(Fault::EndForgetsLateClaim);
        let Some(found) = self.attempt_mut(&seen.id) else { return };
        let same = found.claimed_at.is_some() == seen.claimed_at.is_some()
            && found.result.is_some() == seen.result.is_some();
        if !same && !forgets_claim {
            return;
        }
        found.claimed_at = seen.claimed_at;
        found.phase = AttemptPhase::Ended;
        found.live &= !fence;
        found.status = status;
        found.message = message;
        if !matches!(status, AttemptStatus::Lost | AttemptStatus::Unknown) {
            self.release_locks(std::slice::from_ref(&seen.id));
        }
    }

    pub(in crate::search) fn end_step(
        &mut self,
        id: i64,
        step: &str,
        status: StepStatus,
        message: Option<String>,
    ) {
        let Some(step) = self.step_mut(id, step) else { return };
        let last = step.attempts.last().filter(|attempt| attempt.status == AttemptStatus::Completed);
        step.has_changes = last.and_then(|attempt| attempt.result.as_ref()?.has_changes);
        step.status = status;
        step.message = message;
    }

    pub(in crate::search) fn end_job(
        &mut self,
        id: i64,
        status: JobStatus,
        message: Option<String>,
        now: Timestamp,
    ) {
        let row = self.jobs.get_mut(&id).expect("it was read");
        let workspace = row.workspace;
        let job = &mut row.job;
        job.status = status;
        job.message = message;
        job.ended_at = Some(now);
        for step in &mut job.steps {
            if matches!(step.status, StepStatus::Pending | StepStatus::WaitingApproval) {
                step.status = StepStatus::NotExecuted;
            }
        }
        if status == JobStatus::Unknown && self.fault != Some(Fault::UnknownFreesTheWorkspace) {
            return;
        }
        let attempts: Vec<String> = job
            .steps
            .iter_mut()
            .flat_map(|step| &mut step.attempts)
            .map(|attempt| {
                attempt.live = false;
                attempt.id.clone()
            })
            .collect();
        self.release_locks(&attempts);
        let locked = &mut self.workspaces[workspace].locked_by;
        if *locked == Some(id) {
            *locked = None;
        }
    }

    fn release_locks(&mut self, attempts: &[String]) {
        for workspace in &mut self.workspaces {
            let holder = workspace.lock.as_ref().and_then(|lock| lock.attempt.as_ref());
            if holder.is_some_and(|holder| attempts.contains(holder)) {
                workspace.lock = None;
            }
        }
    }
}
