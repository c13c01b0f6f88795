//! The replicas of the server, and their tasks: one for each open job that it decides about.
//!
//! A task takes its job, decides, acts, and sleeps until it is woken or until a time. What wakes it is what
//! wakes it in the product: routes, other tasks, watches, other replicas.

use std::collections::BTreeMap;

use api_server::{
    model::{AttemptPhase, AttemptStatus, Job, JobStatus, Slot, StepStatus, WorkspaceHold},
    orchestrator::{Action, Next, View, decide, jobs_with_slot, needs_slot, slot},
};
use jiff::{SignedDuration, Timestamp};
use job_spec::StepType;

use super::{World, actions::Acted};
use crate::search::faults::Fault;

/// The lease of a replica among several, and of one that is alone.
const LEASE: SignedDuration = SignedDuration::from_secs(10);
const LEASE_ALONE: SignedDuration = SignedDuration::from_hours(24 * 365 * 100);

/// After this time every task is woken, should a wake-up be lost.
const CHECK_INTERVAL: SignedDuration = SignedDuration::from_secs(16);

/// One process of the server.
#[derive(Debug, Clone, Default)]
pub(super) struct Replica {
    pub(super) id: u32,
    /// Stopped by a signal or cut off; its lease expires, and it goes on later.
    pub(super) paused: bool,
    /// By how much its clock is wrong.
    pub(super) clock: SignedDuration,
    started_at: Timestamp,
    checked_at: Timestamp,
    tasks: BTreeMap<i64, Task>,
}

/// The task of a job.
#[derive(Debug, Clone)]
struct Task {
    phase: Phase,
    is_woken: bool,
    /// Whether a route of this replica has stored something since the task started.
    woken_here: bool,
}

#[derive(Debug, Clone)]
enum Phase {
    Take,
    Decide { generation: u32 },
    Act { generation: u32, pending: Pending },
    Sleep { generation: u32, until: Option<Timestamp> },
}

/// A decision on its way.
#[derive(Debug, Clone)]
pub(super) struct Pending {
    pub(super) job: Box<Job>,
    pub(super) action: Action,
    /// What the backend has answered; the record is missing.
    pub(super) answer: Option<super::actions::BackendAnswer>,
}

impl Replica {
    /// Returns the jobs whose tasks sleep, with their generations.
    pub(super) fn sleepers(&self) -> impl Iterator<Item = (i64, u32)> {
        let tasks = self.tasks.iter().filter(|_| !self.paused);
        tasks.filter_map(|(job, task)| match task.phase {
            Phase::Sleep { generation, .. } => Some((*job, generation)),
            _ => None,
        })
    }
}

impl World {
    pub(super) fn clock(&self, replica: usize) -> Timestamp {
        self.now + self.replicas[replica].clock
    }

    /// A replica starts, with nothing but what is stored.
    pub(super) fn start_replica(&mut self, replica: usize) {
        let (id, now) = (self.fresh(), self.now);
        let started_at = self.clock(replica);
        if self.replicas.len() == 1 {
            self.records.replicas.clear();
        }
        let clock = self.replicas[replica].clock;
        let checked_at = now;
        self.replicas[replica] = Replica { id, clock, started_at, checked_at, ..Replica::default() };
        self.tick(replica);
    }

    /// A replica renews its lease, and wakes jobs about which no other one decides.
    pub(super) fn tick(&mut self, replica: usize) {
        if self.replicas[replica].paused {
            return;
        }
        let (id, now) = (self.replicas[replica].id, self.now);
        let is_shared = self.replicas.len() > 1;
        let lease = if is_shared { LEASE } else { LEASE_ALONE };
        let is_first = self.records.replicas.insert(id, now + lease).is_none();
        if !is_shared && !is_first {
            // Alone, no lease expires and no other program stores anything.
            return;
        }
        for job in self.records.jobs_without_replica(now) {
            self.wake(replica, job, false);
        }
        let this = &mut self.replicas[replica];
        if now.duration_since(this.checked_at) >= CHECK_INTERVAL {
            this.checked_at = now;
            this.tasks.values_mut().for_each(|task| task.is_woken = true);
        }
    }

    /// Wakes the task of a job, or starts one; `here` says that a route or another task of this replica does.
    pub(super) fn wake(&mut self, replica: usize, job: i64, here: bool) {
        let new = Task { phase: Phase::Take, is_woken: false, woken_here: false };
        let tasks = &mut self.replicas[replica].tasks;
        let is_new = !tasks.contains_key(&job);
        let task = tasks.entry(job).or_insert(new);
        task.is_woken |= !is_new;
        task.woken_here |= here;
    }

    /// Returns the task of a job that sleeps, with its generation.
    pub(super) fn sleeper(&self, job: i64) -> Option<(usize, u32)> {
        self.replicas.iter().enumerate().find_map(|(index, replica)| {
            replica.sleepers().find(|(id, _)| *id == job).map(|(_, generation)| (index, generation))
        })
    }

    /// Returns the tasks that have something to do.
    fn runnable(&self) -> Vec<(usize, i64)> {
        let mut runnable = Vec::new();
        for (index, replica) in self.replicas.iter().enumerate().filter(|(_, replica)| !replica.paused) {
            let tasks = replica.tasks.iter().filter(|(_, task)| match &task.phase {
                Phase::Sleep { until, .. } => task.is_woken || until.is_some_and(|until| until <= self.now),
                _ => true,
            });
            runnable.extend(tasks.map(|(job, _)| (index, *job)));
        }
        runnable
    }

    /// One task goes on, to its next await point.
    pub(super) fn drive(&mut self) {
        let runnable = self.runnable();
        if !runnable.is_empty() {
            let (replica, job) = runnable[self.choices.pick(runnable.len())];
            self.drive_job(replica, job);
        }
    }

    /// All tasks go on until they sleep.
    pub(super) fn drive_until_quiet(&mut self) {
        for _ in 0..2000 {
            let Some((replica, job)) = self.runnable().first().copied() else { return };
            self.drive_job(replica, job);
            if !self.violations.is_empty() {
                return;
            }
        }
        self.violation(crate::search::promises::Promise::EveryJobEnds, "a task never sleeps");
    }

    fn drive_job(&mut self, replica: usize, job: i64) {
        let Some(mut task) = self.replicas[replica].tasks.remove(&job) else { return };
        let id = self.replicas[replica].id;
        task.phase = match task.phase {
            Phase::Take => {
                let Some(generation) = self.records.take_job(job, id, self.now) else {
                    return self.ended_elsewhere(replica, job, task.woken_here);
                };
                Phase::Decide { generation }
            }
            Phase::Sleep { generation, .. } => {
                task.is_woken = false;
                Phase::Decide { generation }
            }
            Phase::Decide { generation } => match self.decision(replica, job) {
                Next::Do(action) => {
                    let pending =
                        Pending { job: Box::new(self.records.job(job).clone()), action, answer: None };
                    Phase::Act { generation, pending }
                }
                Next::Wait(until) => {
                    // A timer runs for a while, whatever happens to the clock meanwhile.
                    let until = until.filter(|_| !self.forgets_to_wake(job));
                    let until = until.map(|until| until - self.replicas[replica].clock);
                    Phase::Sleep { generation, until }
                }
                Next::Done => {
                    for other in self.records.waiting_jobs(self.records.jobs[&job].workspace) {
                        self.wake(replica, other, true);
                    }
                    return;
                }
            },
            Phase::Act { generation, pending } => match self.act(replica, generation, pending) {
                Acted::Again(pending) => Phase::Act { generation, pending },
                Acted::Failed if self.is(Fault::StoreErrorsEndTheDriver) => return,
                Acted::Done | Acted::Failed => Phase::Decide { generation },
                Acted::LeaseLost => return self.ended_elsewhere(replica, job, task.woken_here),
                Acted::Killed => return,
            },
        };
        // Acting may have woken it.
        let woken = self.replicas[replica].tasks.remove(&job);
        task.is_woken |= woken.is_some();
        self.replicas[replica].tasks.insert(job, task);
    }

    fn forgets_to_wake(&self, job: i64) -> bool {
        let job = self.records.job(job);
        self.is(Fault::WaitingJobsAreNotWoken)
            && (job.status == JobStatus::Pending || needs_slot(job, WorkspaceHold::This))
    }

    /// A task has ended because another replica decides about its job.
    fn ended_elsewhere(&mut self, replica: usize, job: i64, woken_here: bool) {
        if woken_here {
            self.wake_other_replicas(replica, job);
        }
    }

    /// A watch has found that another replica has taken the job.
    pub(super) fn lost_job(&mut self, replica: usize, job: i64) {
        if let Some(task) = self.replicas[replica].tasks.remove(&job) {
            self.ended_elsewhere(replica, job, task.woken_here);
        }
    }

    fn wake_other_replicas(&mut self, replica: usize, job: i64) {
        for other in (0..self.replicas.len()).filter(|other| *other != replica) {
            if !self.choices.rarely(12) {
                self.wake(other, job, false);
            }
        }
    }

    /// Wakes the jobs that may start a step now that a place or the workspace may be free.
    pub(super) fn wake_others(&mut self, replica: usize, job: i64) {
        if self.is(Fault::WaitingJobsAreNotWoken) {
            return;
        }
        let load = self.records.load(job);
        let mut others = jobs_with_slot(&load, self.records.limits, self.clock(replica));
        others.extend(self.records.waiting_jobs(self.records.jobs[&job].workspace));
        for other in others.into_iter().filter(|other| *other != job) {
            self.wake(replica, other, true);
        }
    }

    /// Decides about a job, as a replica sees it.
    pub(super) fn decision(&mut self, replica: usize, id: i64) -> Next {
        if let Some(action) = self.faulty_decision(id) {
            return Next::Do(action);
        }
        let (hold, slot) = (self.records.hold(id), self.slot(replica, id));
        self.rules.started_at = self.replicas[replica].started_at;
        let view = View { hold, slot, rules: &self.rules };
        let next = decide(self.records.job(id), &view, self.clock(replica));
        if let Next::Do(Action::CreateAttempt { .. }) = &next {
            self.check_turn(id);
        }
        next
    }

    /// Returns whether a job may start its next step, if it waits to do so.
    pub(super) fn slot(&self, replica: usize, id: i64) -> Slot {
        let job = self.records.job(id);
        if !needs_slot(job, self.records.hold(id)) {
            return Slot::Free;
        }
        let mut load = self.records.load(id);
        let mut limits = self.records.limits;
        if self.is(Fault::OrganizationsDoNotTakeTurns) {
            let running = load.running.values().sum();
            load.running = BTreeMap::from([(String::new(), running)]);
            load.candidates.iter_mut().for_each(|candidate| candidate.organization.clear());
            limits.organization = None;
        }
        slot(id, &load, limits, self.clock(replica))
    }

    /// Decisions of deliberate bugs.
    fn faulty_decision(&self, id: i64) -> Option<Action> {
        let job = self.records.job(id);
        let step = job.steps.iter().find(|step| step.status == StepStatus::Running)?;
        let attempt = step.attempts.last()?;
        if self.is(Fault::CancelDoesNotWait) && job.cancel_requested && attempt.claimed_at.is_some() {
            let (step, status) = (step.id.clone(), StepStatus::Cancelled);
            return Some(Action::EndStep { step, status, message: None });
        }
        let is_late = attempt.refusal.is_some() && attempt.phase != AttemptPhase::Ended;
        if self.is(Fault::LateRefusalsEndAttempts) && is_late && attempt.claimed_at.is_some() {
            let (attempt, status) = (attempt.id.clone(), AttemptStatus::Failed);
            return Some(Action::EndAttempt { attempt, status, message: None, fence: true });
        }
        let lost = attempt.status == AttemptStatus::Lost && step.step_type == StepType::TerraformApply;
        (self.is(Fault::ClaimedApplyIsRepeated) && lost).then(|| Action::CreateAttempt {
            step: step.id.clone(),
            number: attempt.number + 1,
            not_before: None,
        })
    }

    /// A replica is killed and started again; its lease expires later.
    pub(super) fn kill_replica(&mut self) {
        let replica = self.choices.pick(self.replicas.len());
        self.note(|| format!("replica {replica} is killed"));
        self.start_replica(replica);
    }

    /// A replica is stopped, or goes on.
    pub(super) fn pause_replica(&mut self) {
        let replica = self.choices.pick(self.replicas.len());
        let paused = &mut self.replicas[replica].paused;
        *paused = !*paused;
        let paused = *paused;
        self.note(|| format!("replica {replica} {}", if paused { "is stopped" } else { "goes on" }));
    }

    /// Returns the replica that serves the next request; `None` if none can.
    pub(super) fn serving(&mut self) -> Option<usize> {
        let running: Vec<usize> =
            (0..self.replicas.len()).filter(|replica| !self.replicas[*replica].paused).collect();
        (!running.is_empty()).then(|| running[self.choices.pick(running.len())])
    }
}
