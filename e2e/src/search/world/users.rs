//! What users do.

use api_server::model::{JobStatus, StepStatus};
use job_spec::StepType;

use super::{WORKSPACES, World};
use crate::search::{
    books::State,
    faults::Fault,
    records::{Lock, Put, Writer},
};

/// How many jobs users create at most.
const MAX_JOBS: usize = 6;

/// The steps of the templates.
const TEMPLATES: [&[StepType]; 6] = [
    &[StepType::TerraformPlan, StepType::Approval, StepType::TerraformApply],
    &[StepType::TerraformPlan],
    &[StepType::TerraformPlan, StepType::TerraformApply],
    &[StepType::TerraformApply],
    &[StepType::TerraformDestroy],
    &[StepType::TerraformPlanDestroy, StepType::Approval, StepType::TerraformApply, StepType::TerraformPlan],
];

impl World {
    /// A route of a user has stored something about a job.
    fn wake_as_user(&mut self, replica: usize, job: i64) {
        if self.choices.rarely(16) {
            // It is killed after the transaction.
            self.start_replica(replica);
        } else {
            self.wake(replica, job, true);
        }
    }

    pub(super) fn user_creates_job(&mut self) {
        if self.records.jobs.len() >= MAX_JOBS {
            return;
        }
        let Some(replica) = self.serving() else { return };
        let workspace = self.choices.pick(WORKSPACES.len());
        let template = TEMPLATES[self.choices.pick(TEMPLATES.len())];
        let job = self.records.create_job(workspace, template, None, self.now);
        self.note(|| format!("a user creates job {job} in workspace {workspace}: {template:?}"));
        self.wake_as_user(replica, job);
    }

    pub(super) fn user_approves(&mut self) {
        let Some(id) = self.pick_job(|status| status == JobStatus::WaitingApproval) else { return };
        let Some(replica) = self.serving() else { return };
        let approves = !self.choices.rarely(6);
        let job = self.records.job(id);
        let Some(step) = job.steps.iter().find(|step| step.status == StepStatus::WaitingApproval) else {
            return;
        };
        let digest = job.plan_digest_before(step.number).map(str::to_owned);
        let now = self.now;
        self.records.answer_approval(id, approves, digest.as_deref(), now);
        self.note(|| format!("a user answers the approval of job {id}: {approves}, plan {digest:?}"));
        self.wake_as_user(replica, id);
    }

    fn pick_job(&mut self, wanted: impl Fn(JobStatus) -> bool) -> Option<i64> {
        let jobs = self.records.jobs.values().filter(|row| wanted(row.job.status));
        let jobs: Vec<i64> = jobs.map(|row| row.job.id).collect();
        if jobs.is_empty() { None } else { Some(jobs[self.choices.pick(jobs.len())]) }
    }

    /// Returns whether something of a job may still run, as a user finds out who looks.
    fn runs_really(&self, id: i64) -> bool {
        self.executors.iter().any(|executor| executor.alive && executor.job == id)
    }

    /// A user cancels a job. One with an unknown outcome cannot be cancelled.
    pub(super) fn user_cancels(&mut self) {
        let Some(id) = self.pick_job(|status| !status.is_final() || status == JobStatus::Unknown) else {
            return;
        };
        let Some(replica) = self.serving() else { return };
        let done = self.records.request_cancel(id);
        self.note(|| format!("a user cancels job {id}: {done}"));
        self.wake_as_user(replica, id);
    }

    /// A user resolves an unknown outcome, having made sure that nothing of the job runs any more.
    pub(super) fn user_resolves(&mut self) {
        let Some(id) = self.pick_job(|status| status == JobStatus::Unknown) else { return };
        if self.runs_really(id) {
            return;
        }
        let Some(replica) = self.serving() else { return };
        let (decision, now) = (self.choices.pick(3), self.now);
        self.note(|| format!("a user resolves job {id}: {decision}"));
        if decision == 2 {
            if let Some(created) = self.records.recheck(id, now) {
                self.wake_as_user(replica, created);
            }
        } else {
            self.records.resolve(id, decision == 0, now);
        }
        self.wake_as_user(replica, id);
    }

    /// An administrator confirms the end of an executor that is gone and has left no report.
    pub(super) fn user_confirms_end(&mut self) {
        let claimed = self.executors.iter().filter(|executor| executor.has_session && !executor.alive);
        let gone: Vec<(String, i64)> =
            claimed.map(|executor| (executor.attempt.clone(), executor.job)).collect();
        if gone.is_empty() {
            return;
        }
        let Some(replica) = self.serving() else { return };
        let (attempt, job) = gone[self.choices.pick(gone.len())].clone();
        if self.records.confirm_end(&attempt) {
            self.note(|| format!("a user confirms the end of {attempt}"));
            self.wake_as_user(replica, job);
        }
    }

    /// A user stores a state by hand.
    pub(super) fn user_pushes_state(&mut self) {
        let workspace = self.choices.pick(WORKSPACES.len());
        let lineage = self.fresh();
        let mut next = self.records.workspaces[workspace].latest().next();
        if next.lineage == 0 {
            next.lineage = lineage;
        }
        let lock = self.user_locks.get(&workspace).copied();
        if self.put_state(workspace, &next, &Writer::User, lock) == Put::Done {
            self.note(|| format!("a user stores a state in workspace {workspace}"));
        }
    }

    /// An administrator makes an older version the current one.
    pub(super) fn user_restores_state(&mut self) {
        let workspace = self.choices.pick(WORKSPACES.len());
        let found = &self.records.workspaces[workspace];
        let is_locked = found.lock.is_some() && !self.is(Fault::LockIsIgnored);
        let Some(version) = found.states.first().cloned().filter(|_| !is_locked) else { return };
        let state = State { serial: found.latest().serial + 1, ..version };
        self.replaced.insert(workspace);
        self.put_state(workspace, &state, &Writer::User, None);
        self.note(|| format!("a user restores the first state of workspace {workspace}"));
    }

    /// A user locks a state, as `terraform plan` on a laptop does, or unlocks it, or forces it open after an
    /// unknown outcome.
    pub(super) fn user_locks_state(&mut self) {
        let workspace = self.choices.pick(WORKSPACES.len());
        if let Some(lock) = self.user_locks.remove(&workspace) {
            return self.user_unlocks(workspace, lock);
        }
        let id = self.fresh();
        if self.records.lock(workspace, id, &Writer::User) == Put::Done {
            self.note(|| format!("a user locks the state of workspace {workspace}"));
            self.user_locks.insert(workspace, id);
        }
    }

    pub(super) fn user_unlocks(&mut self, workspace: usize, id: u32) {
        self.note(|| format!("a user unlocks the state of workspace {workspace}"));
        self.records.unlock(workspace, Some(id), &Writer::User);
        let lock: Option<&Lock> = self.records.workspaces[workspace].lock.as_ref();
        debug_assert!(lock.is_none_or(|lock| lock.id != id), "the user has unlocked it");
    }

    /// The bytes of a plan file are replaced in the storage.
    pub(super) fn replace_plan_file(&mut self) {
        let plans: Vec<String> = self
            .records
            .extras
            .iter()
            .filter(|(_, extra)| extra.plan.is_some())
            .map(|(attempt, _)| attempt.clone())
            .collect();
        if plans.is_empty() {
            return;
        }
        let attempt = plans[self.choices.pick(plans.len())].clone();
        let digest = self.fresh();
        if let Some(plan) = &mut self.records.extra_mut(&attempt).plan {
            plan.digest = digest;
        }
        self.note(|| format!("the bytes of the plan of {attempt} are replaced"));
    }
}
