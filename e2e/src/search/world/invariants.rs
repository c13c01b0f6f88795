//! What must hold in every history.

use std::collections::BTreeMap;

use api_server::{
    http::access::{Credential, Route},
    model::{AttemptAccess, JobStatus, WorkspaceHold},
};

use super::World;
use crate::search::books::Plan;

impl World {
    /// A request was allowed: only that of a live attempt is, and only with the credential for it.
    pub(super) fn check_allowed(&mut self, credential: Credential, attempt: &str, route: Route) {
        let access = self.records.access(attempt);
        let right = match (access, route) {
            (Some(AttemptAccess::Unclaimed | AttemptAccess::Live), Route::Claim) => {
                credential == Credential::ClaimToken
            }
            (Some(AttemptAccess::Live | AttemptAccess::Reported), Route::Report)
            | (Some(AttemptAccess::Live), _) => credential == Credential::SessionToken,
            _ => false,
        };
        if !right {
            self.violation(format!(
                "{route:?} was allowed with {credential:?} for an attempt that is {access:?}"
            ));
        }
    }

    /// A claim was granted: the attempt has one holder, and what it applies is what was approved.
    pub(super) fn check_claim(&mut self, attempt: &str) {
        let Some((row, step, found)) = self.records.find(attempt) else { return };
        let mut wrong = Vec::new();
        if !found.live {
            wrong.push(format!("attempt {attempt} was claimed after it had ended"));
        }
        if step.step_type.changes_infrastructure() {
            let plan = self.records.plan_before(row, step.number);
            if row.approved != plan.as_ref().map(|plan| plan.digest) {
                wrong.push(format!("job {} applies another plan than the approved one", row.job.id));
            }
            let base = self.records.workspaces[row.workspace].latest().version;
            if plan.is_some_and(|plan| plan.base != base) {
                wrong.push(format!("job {} applies a plan although the state has changed", row.job.id));
            }
        }
        self.violations.append(&mut wrong);
    }

    /// A resource was created: by the executor that holds the attempt, in a workspace that its job holds, and
    /// for the first time.
    pub(super) fn check_creation(&mut self, index: usize, plan: &Plan, slot: u32) {
        let executor = &self.executors[index];
        let holder = self.records.extras.get(&executor.attempt).and_then(|extra| extra.claimed_by);
        let (id, attempt) = (executor.id, executor.attempt.clone());
        if holder != Some(id) {
            self.violation(format!("an executor that does not hold attempt {attempt} applied"));
        }
        let same = self.cloud.creations.iter().filter(|it| it.plan == plan.digest && it.slot == slot).count();
        if same > 1 {
            self.violation(format!("plan {} created slot {slot} {same} times", plan.digest));
        }
    }

    /// Holds after every event.
    pub(super) fn check_always(&mut self) {
        let mut wrong = Vec::new();
        for executor in self.executors.iter().filter(|executor| executor.may_change()) {
            let reported = self.records.access(&executor.attempt) == Some(AttemptAccess::Reported);
            let holds = self.records.workspaces[executor.workspace].locked_by == Some(executor.job);
            if !reported && !holds {
                wrong.push(format!("a workspace is free while attempt {} may change it", executor.attempt));
            }
        }
        for executor in self.executors.iter().filter(|executor| executor.alive && executor.has_session) {
            let found = self.records.find(&executor.attempt);
            if found.is_none_or(|(_, _, attempt)| attempt.claimed_at.is_none()) {
                wrong.push(format!("the claim of attempt {} is forgotten", executor.attempt));
            }
        }
        for row in self.records.jobs.values() {
            let locked = self.records.workspaces[row.workspace].locked_by == Some(row.job.id);
            if row.job.status == JobStatus::Unknown && !locked {
                wrong
                    .push(format!("the outcome of job {} is unknown, but its workspace is free", row.job.id));
            }
        }
        self.violations.append(&mut wrong);
    }

    /// Returns whether a job waits for a user, and says so.
    pub(super) fn waits_for_a_user(&self, id: i64) -> bool {
        if self.records.job(id).status != JobStatus::Pending {
            return false;
        }
        let mut at = id;
        // Behind a job with an unknown outcome, perhaps behind others that wait for it, too.
        for _ in 0..self.records.jobs.len() {
            let WorkspaceHold::Other(blocker) = self.records.hold(at) else { return false };
            if blocker.status == JobStatus::Unknown {
                return true;
            }
            at = blocker.job;
        }
        false
    }

    /// Holds when nothing happens any more.
    pub(super) fn check_at_the_end(&mut self) {
        let mut wrong = Vec::new();
        for row in self.records.jobs.values().filter(|row| !row.job.status.is_final()) {
            if !self.waits_for_a_user(row.job.id) {
                wrong.push(format!("job {} hangs, it is {}", row.job.id, row.job.status));
            } else if row.job.message.is_none() {
                wrong.push(format!("job {} does not say what it waits for", row.job.id));
            }
        }
        let mut holders = BTreeMap::new();
        for (index, workspace) in self.records.workspaces.iter().enumerate() {
            if let Some(job) = workspace.locked_by {
                holders.insert(index, job);
                if self.records.job(job).status != JobStatus::Unknown {
                    wrong.push(format!("workspace {index} is still held by job {job}"));
                }
            }
        }
        for creation in &self.cloud.creations {
            let state = self.records.workspaces[creation.workspace].latest();
            if !state.has(creation.id) && !self.was_unknown.contains(&creation.job) {
                wrong.push(format!(
                    "resource {} of job {} exists, but no state has it and the job is {}",
                    creation.id,
                    creation.job,
                    self.records.job(creation.job).status
                ));
            }
        }
        self.violations.append(&mut wrong);
    }
}
