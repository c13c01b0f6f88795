//! The records of the api-server, with the guards of its store: one call is one transaction.
//!
//! `api_server::store` does the same in SQL; `conformance.rs` compares the two.

mod transitions;

use std::collections::BTreeMap;

use api_server::model::{Attempt, AttemptAccess, AttemptPhase, AttemptStatus, Job, Step, StepStatus};
use jiff::Timestamp;
use job_spec::attempt_api::StepResult;

use super::{
    books::{Plan, State},
    faults::Fault,
};

/// A lock of a state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Lock {
    pub(super) id: u32,
    pub(super) attempt: Option<String>,
}

/// A workspace with its states.
#[derive(Debug, Clone, Default)]
pub(super) struct Workspace {
    pub(super) locked_by: Option<i64>,
    pub(super) states: Vec<State>,
    pub(super) lock: Option<Lock>,
}

impl Workspace {
    pub(super) fn latest(&self) -> State {
        self.states.last().cloned().unwrap_or_default()
    }
}

/// What the store knows of an attempt beside its record.
#[derive(Debug, Clone, Default)]
pub(super) struct Extra {
    pub(super) claimed_by: Option<u32>,
    pub(super) plan: Option<Plan>,
    /// The version of the state that it read last; `None` if it read none.
    pub(super) read: Option<u32>,
    pub(super) rescued: Option<State>,
}

/// A job, and which replica decides about it.
#[derive(Debug, Clone)]
pub(super) struct JobRow {
    pub(super) job: Job,
    pub(super) workspace: usize,
    pub(super) driver: Option<usize>,
    pub(super) generation: u32,
    pub(super) approved: Option<u32>,
}

/// All records.
#[derive(Debug, Clone, Default)]
pub(super) struct Records {
    pub(super) jobs: BTreeMap<i64, JobRow>,
    pub(super) workspaces: Vec<Workspace>,
    pub(super) extras: BTreeMap<String, Extra>,
    pub(super) fault: Option<Fault>,
}

/// Outcome of a claim.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Claimed {
    Yes,
    Taken,
    Over,
    Refused,
}

impl Records {
    pub(super) fn is(&self, fault: Fault) -> bool {
        self.fault == Some(fault)
    }

    pub(super) fn job(&self, id: i64) -> &Job {
        &self.jobs[&id].job
    }

    /// Finds an attempt with its job and step.
    pub(super) fn find(&self, attempt: &str) -> Option<(&JobRow, &Step, &Attempt)> {
        self.jobs.values().find_map(|row| {
            row.job.steps.iter().find_map(|step| {
                step.attempts.iter().find(|it| it.id == attempt).map(|found| (row, step, found))
            })
        })
    }

    pub(super) fn attempt_mut(&mut self, attempt: &str) -> Option<&mut Attempt> {
        let steps = self.jobs.values_mut().flat_map(|row| &mut row.job.steps);
        steps.flat_map(|step| &mut step.attempts).find(|it| it.id == attempt)
    }

    pub(super) fn step_mut(&mut self, job: i64, step: &str) -> Option<&mut Step> {
        self.jobs.get_mut(&job)?.job.steps.iter_mut().find(|it| it.id == step)
    }

    /// Returns what an executor may still do.
    pub(super) fn access(&self, attempt: &str) -> Option<AttemptAccess> {
        let (_, _, found) = self.find(attempt)?;
        Some(match (found.result.is_some(), found.live, found.claimed_at.is_some()) {
            (true, _, _) => AttemptAccess::Reported,
            (false, false, _) => AttemptAccess::Ended,
            (false, true, false) => AttemptAccess::Unclaimed,
            (false, true, true) => AttemptAccess::Live,
        })
    }

    fn may_write(&self, attempt: &str) -> bool {
        self.is(Fault::DeadAttemptsWrite) || self.access(attempt) == Some(AttemptAccess::Live)
    }

    pub(super) fn claim(&mut self, attempt: &str, executor: u32, now: Timestamp) -> Claimed {
        let Some((row, step, found)) = self.find(attempt) else { return Claimed::Over };
        let open = found.live && found.result.is_none() || self.is(Fault::FencedAttemptsAreClaimed);
        let holder = self.extras.get(attempt).and_then(|extra| extra.claimed_by);
        match holder {
            _ if !open => return Claimed::Over,
            Some(holder) if holder == executor => return Claimed::Yes,
            Some(_) if !self.is(Fault::SecondClaimWins) => return Claimed::Taken,
            _ => {}
        }
        if let Some(plan) = self.plan_before(row, step.number)
            && step.step_type.changes_infrastructure()
        {
            let other = row.approved.is_some_and(|approved| approved != plan.digest);
            let moved = self.workspaces[row.workspace].latest().version != plan.base;
            if other && !self.is(Fault::DigestIsNotCompared) || moved && !self.is(Fault::MovedStateIsApplied)
            {
                let found = self.attempt_mut(attempt).expect("it was found");
                found.live = false;
                found.refusal = Some("the plan cannot be applied".to_owned());
                return Claimed::Refused;
            }
        }
        let found = self.attempt_mut(attempt).expect("it was found");
        found.claimed_at = Some(now);
        found.last_contact_at = Some(now);
        found.status = AttemptStatus::Running;
        // The claim proves that the Kubernetes Job exists.
        found.phase = AttemptPhase::Submitted;
        self.extras.entry(attempt.to_owned()).or_default().claimed_by = Some(executor);
        Claimed::Yes
    }

    /// Returns the plan that a step of a job applies.
    pub(super) fn plan_before(&self, row: &JobRow, number: u32) -> Option<Plan> {
        let planned = row.job.steps.iter().rfind(|step| {
            step.number < number && step.step_type.is_plan() && step.status == StepStatus::Completed
        })?;
        let attempt = planned.attempts.iter().rfind(|it| it.status == AttemptStatus::Completed)?;
        self.extras.get(&attempt.id)?.plan.clone()
    }

    pub(super) fn put_plan(&mut self, attempt: &str, plan: Plan) -> bool {
        let may = self.may_write(attempt);
        if may {
            let digest = plan.digest.to_string();
            self.extras.entry(attempt.to_owned()).or_default().plan = Some(plan);
            if let Some(found) = self.attempt_mut(attempt) {
                found.plan_digest = Some(digest);
            }
        }
        may
    }

    pub(super) fn read_state(&mut self, attempt: &str) -> Option<State> {
        let (row, _, _) = self.find(attempt)?;
        let state = self.workspaces[row.workspace].latest();
        self.extras.entry(attempt.to_owned()).or_default().read = Some(state.version);
        Some(state)
    }

    /// Stores a version of a state; `lock` is the lock that the writer claims to hold. Returns `false` for
    /// 409 and 423.
    pub(super) fn put_state(&mut self, attempt: &str, mut state: State, lock: Option<u32>) -> Option<bool> {
        if !self.may_write(attempt) {
            return None;
        }
        let ignores_lock = self.is(Fault::LockIsIgnored);
        let (row, _, _) = self.find(attempt)?;
        let workspace = row.workspace;
        let workspace = &mut self.workspaces[workspace];
        let holds = |held: &Lock| Some(held.id) == lock || held.attempt.as_deref() == Some(attempt);
        if !ignores_lock && workspace.lock.as_ref().is_some_and(|held| !holds(held)) {
            return Some(false);
        }
        let latest = workspace.latest();
        if state.serial == latest.serial && state.resources == latest.resources {
            return Some(true);
        }
        if state.serial <= latest.serial {
            return Some(false);
        }
        state.version = latest.version + 1;
        workspace.states.push(state);
        Some(true)
    }

    pub(super) fn lock(&mut self, attempt: &str, id: u32) -> Option<bool> {
        if !self.may_write(attempt) {
            return None;
        }
        let (row, _, _) = self.find(attempt)?;
        let workspace = row.workspace;
        let held = &mut self.workspaces[workspace].lock;
        if let Some(held) = held {
            return Some(held.id == id);
        }
        *held = Some(Lock { id, attempt: Some(attempt.to_owned()) });
        Some(true)
    }

    pub(super) fn unlock(&mut self, attempt: &str, id: u32) -> Option<bool> {
        if !self.may_write(attempt) {
            return None;
        }
        let (row, _, _) = self.find(attempt)?;
        let workspace = row.workspace;
        let held = &mut self.workspaces[workspace].lock;
        let done = held.as_ref().is_none_or(|held| held.id == id);
        if done {
            *held = None;
        }
        Some(done)
    }

    pub(super) fn put_rescued(&mut self, attempt: &str, state: State) -> bool {
        let may = self.may_write(attempt);
        if may {
            self.extras.entry(attempt.to_owned()).or_default().rescued = Some(state);
            if let Some(found) = self.attempt_mut(attempt) {
                found.has_rescued_state = true;
            }
        }
        may
    }

    pub(super) fn report(&mut self, attempt: &str, result: &StepResult, now: Timestamp) -> bool {
        let Some(found) = self.attempt_mut(attempt) else { return false };
        if let Some(stored) = &found.result {
            return stored == result;
        }
        let may = found.live && found.claimed_at.is_some();
        if may {
            found.result = Some(result.clone());
            found.progress.reported_at = Some(now);
        }
        may
    }
}
