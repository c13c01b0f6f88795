//! What must hold in every history.

use std::collections::BTreeSet;

use api_server::{
    http::access::{Credential, Route},
    model::{AttemptAccess, AttemptPhase, JobStatus, Slot, SlotWait, StepStatus},
    orchestrator::{Action, Next},
};
use job_spec::StepType;

use super::{
    World,
    requests::{Answer, Message},
};
use crate::search::{books::Change, promises::Promise, records::approved_digest};

impl World {
    /// A request was accepted: only that of a live attempt is, and only with the credential for it. What was
    /// under way when its attempt ended may still read.
    pub(super) fn check_allowed(&mut self, message: &Message, answer: &Answer) {
        let Message { credential, attempt, request, is_checked, .. } = message;
        if matches!(answer, Answer::Conflict) {
            return;
        }
        let (access, route) = (self.records.access(attempt), request.route());
        let reads = matches!(route, Route::GetPlan | Route::GetState);
        let right = match (access, route) {
            (Some(AttemptAccess::Live), Route::Claim) => *credential == Credential::ClaimToken,
            (Some(AttemptAccess::Live | AttemptAccess::Reported), Route::Report)
            | (Some(AttemptAccess::Live), _) => *credential == Credential::SessionToken,
            _ => reads && *is_checked,
        };
        if !right {
            let detail =
                format!("{route:?} was accepted with {credential:?} for an attempt that is {access:?}");
            let promise = match access {
                Some(AttemptAccess::Live | AttemptAccess::Unclaimed) => Promise::LeastPrivilege,
                _ => Promise::DeadIsDead,
            };
            self.violation(promise, detail);
        }
    }

    /// A claim was granted: for the first time, and what it applies is what was approved.
    pub(super) fn check_claim(&mut self, attempt: &str) {
        let Some((row, step, found)) = self.records.find(attempt) else { return };
        let (live, changes) = (found.live, step.step_type.changes_infrastructure());
        let (job, number, step_id) = (row.job.id, step.number, step.id.clone());
        let is_apply = step.step_type == StepType::TerraformApply;
        let planned = self.records.plan_before(row, number).filter(|_| is_apply);
        let latest = self.records.workspaces[row.workspace].latest().version;
        let moved = planned.and_then(|planned| planned.read).is_some_and(|read| read != latest);
        if !live {
            self.violation(Promise::DeadIsDead, format!("attempt {attempt} was claimed after it had ended"));
        }
        if moved {
            let detail = format!("job {job} applies a plan although the state has changed");
            self.violation(Promise::AppliedAsApproved, detail);
        }
        let claims = self.claims.entry(step_id.clone()).or_default();
        *claims += 1;
        if *claims > 1 && changes {
            self.violation(Promise::AppliedOnce, format!("step {step_id} was claimed a second time"));
        }
    }

    /// Something was changed: by the executor that holds the attempt, for the first time, as approved.
    pub(super) fn check_change(&mut self, index: usize, plan: u32, change: Change) {
        let executor = &self.executors[index];
        let (id, attempt, step) = (executor.id, executor.attempt.clone(), executor.step.clone());
        if self.records.holder(&attempt) != Some(id) {
            let detail = format!("an executor that does not hold attempt {attempt} applied");
            self.violation(Promise::AppliedOnce, detail);
            return;
        }
        let of_step = self.cloud.creations.iter().filter(|it| it.step == step);
        let others = of_step.clone().any(|it| it.executor != id);
        let same = of_step.filter(|it| it.plan == plan && it.slot == change.slot).count();
        if others || same > 1 {
            self.violation(Promise::AppliedOnce, format!("step {step} created slot {} again", change.slot));
        }
        let Some((row, step, _)) = self.records.find(&attempt) else { return };
        let mut before = row.job.steps.iter().filter(|it| it.number < step.number);
        let needs_approval = before.any(|it| it.step_type == StepType::Approval);
        let approved = approved_digest(row, step.number);
        if needs_approval && approved != Some(plan.to_string().as_str()) {
            let detail = format!("job {} applies plan {plan}, approved is {approved:?}", row.job.id);
            self.violation(Promise::AppliedAsApproved, detail);
        }
    }

    /// A job may start a step: no organization that runs fewer steps waits for the same place. Each such
    /// organization takes one place before this job does.
    pub(super) fn check_turn(&mut self, id: i64) {
        let (load, limits) = (self.records.load(id), self.records.limits);
        let Some(server) = limits.server else { return };
        let Some(own) = load.candidates.iter().find(|candidate| candidate.job == id) else { return };
        let running = |organization: &str| load.running.get(organization).copied().unwrap_or_default();
        let first: BTreeSet<&str> = load
            .candidates
            .iter()
            .filter(|it| it.organization != own.organization)
            .filter(|it| it.changes_infrastructure >= own.changes_infrastructure)
            .filter(|it| running(&it.organization) < running(&own.organization))
            .filter(|it| limits.organization.is_none_or(|limit| running(&it.organization) < limit))
            .map(|it| it.organization.as_str())
            .collect();
        let free = usize::try_from(server.saturating_sub(load.running.values().sum())).unwrap_or_default();
        if free <= first.len() && !first.is_empty() {
            let detail = format!("job {id} starts a step before those of organizations {first:?}");
            self.violation(Promise::QueuesAreFair, detail);
        }
    }

    /// Holds after every event.
    pub(super) fn check_always(&mut self) {
        let mut wrong = Vec::new();
        let records = &self.records;
        for executor in self.executors.iter().filter(|executor| executor.alive && executor.has_session) {
            let attempt = &executor.attempt;
            let Some((_, _, found)) = records.find(attempt) else { continue };
            if executor.may_change() {
                let reported = records.access(attempt) == Some(AttemptAccess::Reported);
                let holds = records.workspaces[executor.workspace].locked_by == Some(executor.job);
                if !reported && !holds {
                    let detail = format!("a workspace is free while attempt {attempt} may change it");
                    wrong.push((Promise::WorkspaceIsHeld, detail));
                }
            }
            if found.claimed_at.is_none() {
                wrong.push((Promise::AppliedOnce, format!("the claim of attempt {attempt} is forgotten")));
            }
        }
        for row in records.jobs.values().filter(|row| row.job.status == JobStatus::Unknown) {
            if records.workspaces[row.workspace].locked_by != Some(row.job.id) {
                let detail =
                    format!("the outcome of job {} is unknown, but its workspace is free", row.job.id);
                wrong.push((Promise::WorkspaceIsHeld, detail));
            }
        }
        if records.limits.server.is_some() || records.limits.organization.is_some() {
            let running = records.running();
            let of_one = running.values().copied().max().unwrap_or_default();
            if records.limits.server.is_some_and(|limit| running.values().sum::<u32>() > limit)
                || records.limits.organization.is_some_and(|limit| of_one > limit)
            {
                wrong.push((Promise::QueuesAreFair, format!("more steps run than may: {running:?}")));
            }
        }
        for (promise, detail) in wrong {
            self.violation(promise, detail);
        }
    }

    /// Holds while nothing fails and every task sleeps: none of them has something to do.
    pub(super) fn check_sleepers(&mut self) {
        let mut sleepers = Vec::new();
        for (index, replica) in self.replicas.iter().enumerate() {
            sleepers.extend(replica.sleepers().map(|(job, _)| (index, job)));
        }
        for (replica, job) in sleepers {
            let running = self.records.running();
            let limits = self.records.limits;
            let of_organization = running.get(&self.records.job(job).organization_id).copied();
            let is_free = match self.slot(replica, job) {
                Slot::Wait(SlotWait::Server { .. }) => limits.server > Some(running.values().sum()),
                Slot::Wait(SlotWait::Organization { .. }) => {
                    limits.organization > Some(of_organization.unwrap_or_default())
                }
                _ => false,
            };
            if is_free {
                self.violation(Promise::QueuesAreFair, format!("job {job} waits for a place that is free"));
            }
            let next = self.decision(replica, job);
            if let Next::Do(action) = next
                && !matches!(action, Action::SetMessage { .. })
            {
                let detail = format!("job {job} sleeps although it may go on: {action:?}");
                self.violation(Promise::EveryJobEnds, detail);
            }
        }
    }

    /// Holds when nothing happens any more.
    pub(super) fn check_at_the_end(&mut self) {
        let mut wrong = Vec::new();
        for row in self.records.jobs.values().filter(|row| !row.job.status.is_final()) {
            let (id, status) = (row.job.id, row.job.status);
            if !self.waits_for_a_user(id) {
                wrong.push((Promise::EveryJobEnds, format!("job {id} hangs, it is {status}")));
            } else if row.job.message.is_none() {
                wrong.push((Promise::EveryJobEnds, format!("job {id} does not say what it waits for")));
            }
        }
        for row in self.records.jobs.values().filter(|row| row.job.status.is_final()) {
            let runs = row.job.steps.iter().any(|step| {
                step.status == StepStatus::Running
                    || step.attempts.iter().any(|attempt| attempt.phase != AttemptPhase::Ended)
            });
            if runs {
                wrong.push((Promise::EveryJobEnds, format!("job {} has ended before its step", row.job.id)));
            }
        }
        for (index, workspace) in self.records.workspaces.iter().enumerate() {
            let holder = workspace.locked_by.map(|job| self.records.job(job).status);
            if holder.is_some_and(|status| status != JobStatus::Unknown) {
                wrong.push((Promise::EveryJobEnds, format!("workspace {index} is held by a job that ended")));
            }
        }
        for creation in self.cloud.creations.iter().filter(|creation| !creation.removed) {
            let workspace = &self.records.workspaces[creation.workspace];
            let is_replaced = self.replaced.contains(&creation.workspace);
            let is_kept = if is_replaced {
                workspace.states.iter().any(|state| state.has(creation.id))
            } else {
                workspace.latest().has(creation.id)
            };
            if !is_kept && !self.was_unknown.contains(&creation.job) {
                let status = self.records.job(creation.job).status;
                wrong.push((
                    Promise::StatesAreKept,
                    format!(
                        "resource {} exists, but no state has it, and job {} is {status}",
                        creation.id, creation.job
                    ),
                ));
            }
        }
        for (promise, detail) in wrong {
            self.violation(promise, detail);
        }
    }
}
