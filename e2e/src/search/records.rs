//! The records of the api-server, with the guards of its store: one call is one transaction.
//!
//! `api_server::store` does the same in SQL. The tests in `conformance` carry out the same calls on both, and
//! compare the answers and what is stored. What the product decides in pure functions (`decide`, the order of
//! the queue, credentials) is not repeated here.

mod attempts;
mod executors;
mod jobs;
mod replicas;
mod schedule;
mod states;

use std::collections::BTreeMap;

use api_server::model::{Attempt, AttemptAccess, Job, Limits, Step};
use jiff::Timestamp;

pub(super) use self::{
    executors::{Claimed, StoredPlan, approved_digest},
    states::{Lock, Put},
};
use super::{
    books::{Plan, State},
    faults::Fault,
};

/// The writer of a state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Writer {
    /// The executor of this attempt.
    Attempt(String),
    /// A user.
    User,
}

/// A workspace with its states.
#[derive(Debug, Clone, Default)]
pub(super) struct Workspace {
    pub(super) organization: &'static str,
    pub(super) locked_by: Option<i64>,
    pub(super) states: Vec<State>,
    pub(super) lock: Option<Lock>,
}

impl Workspace {
    pub(super) fn latest(&self) -> State {
        self.states.last().cloned().unwrap_or(State::NONE)
    }
}

/// What the store knows of an attempt beside its record.
#[derive(Debug, Clone, Default)]
pub(super) struct Extra {
    pub(super) claimed_by: Option<u32>,
    /// The bytes of its plan file.
    pub(super) plan: Option<Plan>,
    /// The version of the state that it read last; `None` if it read none.
    pub(super) read: Option<i64>,
    pub(super) rescued: Option<State>,
}

/// A job, and which replica decides about it.
#[derive(Debug, Clone)]
pub(super) struct JobRow {
    pub(super) job: Job,
    pub(super) workspace: usize,
    pub(super) driver: Option<u32>,
    pub(super) generation: u32,
}

/// All records.
#[derive(Debug, Clone, Default)]
pub(super) struct Records {
    pub(super) jobs: BTreeMap<i64, JobRow>,
    pub(super) workspaces: Vec<Workspace>,
    pub(super) extras: BTreeMap<String, Extra>,
    /// When the leases of replicas expire.
    pub(super) replicas: BTreeMap<u32, Timestamp>,
    pub(super) limits: Limits,
    pub(super) fault: Option<Fault>,
    pub(super) last_version: i64,
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

    pub(super) fn extra_mut(&mut self, attempt: &str) -> &mut Extra {
        self.extras.entry(attempt.to_owned()).or_default()
    }

    /// Returns the executor that has claimed an attempt.
    pub(super) fn holder(&self, attempt: &str) -> Option<u32> {
        self.extras.get(attempt)?.claimed_by
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

    /// The fence: an attempt writes only while it is live and claimed, and has not reported.
    fn may_write(&self, attempt: &str) -> bool {
        self.is(Fault::DeadAttemptsWrite) || self.access(attempt) == Some(AttemptAccess::Live)
    }
}
