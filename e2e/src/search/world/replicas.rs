//! The replicas of the server: they decide with the code of the product, and act later, twice, or never.

use api_server::{
    model::{
        Attempt, AttemptPhase, AttemptStatus, Job, JobStatus, Slot, SlotWait, StepStatus, WorkspaceHold,
    },
    orchestrator::{Action, Next, View, decide},
};
use job_spec::StepType;
use k8s_backend::Cause;

use super::World;
use crate::search::faults::Fault;

/// One process of the server.
#[derive(Debug, Clone, Default)]
pub(super) struct Replica {
    /// Stopped by a signal; its lease runs out, and it goes on later.
    paused: bool,
    /// What it has decided and not finished.
    pending: Option<Pending>,
}

/// A decision on its way.
#[derive(Debug, Clone)]
struct Pending {
    job: Box<Job>,
    generation: u32,
    action: Action,
    /// The backend has done its part; the record is missing.
    backend_done: bool,
}

impl World {
    /// A replica makes one move about one job.
    pub(super) fn drive(&mut self, replica: usize) {
        let open = self.open_jobs();
        if open.is_empty() && self.replicas[replica].pending.is_none() {
            return;
        }
        let job = if open.is_empty() { 0 } else { open[self.choices.pick(open.len())] };
        self.drive_job(replica, job);
    }

    pub(super) fn drive_job(&mut self, replica: usize, job: i64) {
        if let Some(pending) = self.replicas[replica].pending.take() {
            return self.act(replica, pending);
        }
        if self.replicas[replica].paused || !self.take(replica, job) {
            return;
        }
        let row = &self.records.jobs[&job];
        let (snapshot, generation) = (row.job.clone(), row.generation);
        let hold = self.records.hold(job);
        if let Some(action) = self.decision(&snapshot, hold) {
            let pending = Pending { job: Box::new(snapshot), generation, action, backend_done: false };
            self.replicas[replica].pending = Some(pending);
        }
    }

    /// The lease of a job: it belongs to the replica that has it as long as that one runs.
    fn take(&mut self, replica: usize, job: i64) -> bool {
        let Some(row) = self.records.jobs.get_mut(&job) else { return false };
        match row.driver {
            Some(driver) if driver == replica => true,
            Some(driver) if !self.replicas[driver].paused => false,
            _ => {
                row.driver = Some(replica);
                row.generation += 1;
                true
            }
        }
    }

    fn decision(&self, job: &Job, hold: WorkspaceHold) -> Option<Action> {
        if let Some(action) = self.faulty_decision(job) {
            return Some(action);
        }
        let next = job.steps.iter().find(|step| step.status != StepStatus::Completed);
        let changes = next.is_some_and(|step| step.step_type.changes_infrastructure());
        let slot = match self.records.beside(job.id, changes) {
            Some(other) => Slot::Wait(SlotWait::Workspace { job: other }),
            None => Slot::Free,
        };
        match decide(job, &View { hold, slot, rules: &self.rules }, self.now) {
            Next::Do(action) => Some(action),
            _ => None,
        }
    }

    /// Decisions of deliberate bugs.
    fn faulty_decision(&self, job: &Job) -> Option<Action> {
        let step = job.steps.iter().find(|step| step.status == StepStatus::Running)?;
        let attempt = step.attempts.last()?;
        if self.records.is(Fault::CancelDoesNotWait) && job.cancel_requested && attempt.claimed_at.is_some() {
            return Some(Action::EndStep {
                step: step.id.clone(),
                status: StepStatus::Cancelled,
                message: None,
            });
        }
        let lost = attempt.status == AttemptStatus::Lost && step.step_type == StepType::TerraformApply;
        (self.records.is(Fault::ClaimedApplyIsRepeated) && lost).then(|| Action::CreateAttempt {
            step: step.id.clone(),
            number: attempt.number + 1,
            not_before: None,
        })
    }

    /// Carries out a part of a decision; the server may be killed before each part, and the store may fail.
    fn act(&mut self, replica: usize, mut pending: Pending) {
        if self.choices.rarely(12) {
            return;
        }
        if !pending.backend_done {
            match &pending.action {
                Action::Submit { attempt } => {
                    // Submitting again is harmless: the name is that of the attempt.
                    self.cluster.entry(attempt.clone()).or_default();
                    pending.backend_done = true;
                }
                Action::CancelKubernetesJob { attempt, .. } => {
                    self.cancel(&attempt.clone());
                    pending.backend_done = true;
                }
                _ => {}
            }
            if pending.backend_done {
                self.replicas[replica].pending = Some(pending);
                return;
            }
        }
        let current = self.records.jobs[&pending.job.id].generation;
        if current != pending.generation && !self.records.is(Fault::StaleReplicasAct) {
            return;
        }
        if current != pending.generation && !matches!(pending.action, Action::SetMessage { .. }) {
            self.violation("a replica acted on a decision about a job that another one had taken");
        }
        self.record(&pending.job, pending.action);
    }

    /// The part of an action that the store does.
    fn record(&mut self, job: &Job, action: Action) {
        let now = self.now;
        self.note(|| format!("job {}: {action:?}", job.id));
        match action {
            Action::StartJob => self.start_job(job.id),
            Action::AskApproval { step } => self.records.ask_approval(job.id, &step),
            Action::CreateAttempt { step, number, not_before } => {
                let (id, name) = (format!("{step}-{number}"), format!("job-{step}-{number}"));
                let attempt = Attempt { retry_at: not_before, ..Attempt::new(id, number, name, now) };
                self.records.create_attempt(job.id, &step, attempt);
            }
            Action::Submit { attempt } => {
                let prepared = self.records.attempt_mut(&attempt);
                if let Some(found) = prepared.filter(|found| found.phase == AttemptPhase::Prepared) {
                    found.phase = AttemptPhase::Submitted;
                    found.retry_at = None;
                }
            }
            Action::Fence { attempt } => self.records.fence_unclaimed(&attempt),
            Action::SetMessage { message } => {
                self.records.jobs.get_mut(&job.id).expect("it was read").job.message = message;
            }
            Action::CancelKubernetesJob { attempt, .. } => {
                if let Some(found) = self.records.attempt_mut(&attempt) {
                    found.cancel_sent = true;
                    found.retry_at = None;
                }
            }
            Action::GiveUp { attempt, cause } => {
                self.records.fence_unclaimed(&attempt);
                if let Some(found) = self.records.attempt_mut(&attempt).filter(|it| it.claimed_at.is_none()) {
                    found.cause.get_or_insert(cause);
                }
            }
            Action::EndAttempt { attempt, status, message, fence } => {
                let seen = job.steps.iter().flat_map(|step| &step.attempts).find(|it| it.id == attempt);
                if let Some(seen) = seen {
                    self.records.end_attempt(seen, status, message, fence);
                }
            }
            Action::EndStep { step, status, message } => {
                self.records.end_step(job.id, &step, status, message);
            }
            Action::EndJob { status, message } => {
                if status == JobStatus::Unknown {
                    self.was_unknown.insert(job.id);
                }
                self.records.end_job(job.id, status, message, now);
            }
        }
    }

    /// Starts a job, and checks that no earlier one waits for the same workspace.
    fn start_job(&mut self, job: i64) {
        let hold = self.records.hold(job);
        self.records.start_job(job);
        let row = &self.records.jobs[&job];
        if row.job.status == JobStatus::Running && matches!(hold, WorkspaceHold::Other(_)) {
            self.violation(format!("job {job} started in a workspace that another job holds or waits for"));
        }
    }

    fn cancel(&mut self, attempt: &str) {
        let Some(job) = self.cluster.get_mut(attempt) else { return };
        job.cancelled = true;
        if job.pods_started == 0 {
            job.ended.get_or_insert(Cause::Deleted);
        }
        for executor in self.executors.iter_mut().filter(|executor| executor.attempt == attempt) {
            executor.stop = true;
        }
    }

    /// A replica is killed and started again, or stopped, or goes on.
    pub(super) fn kill_or_pause_replica(&mut self) {
        let replica = self.choices.pick(2);
        self.note(|| format!("replica {replica} is killed, stopped, or goes on"));
        if self.choices.pick(2) == 0 {
            self.replicas[replica] = Replica::default();
        } else {
            let paused = &mut self.replicas[replica].paused;
            *paused = !*paused;
        }
    }
}
