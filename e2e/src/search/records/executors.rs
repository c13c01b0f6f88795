//! What executors store: claims, plans, reports.

use api_server::model::{AttemptPhase, AttemptStatus, StepStatus};
use jiff::Timestamp;
use job_spec::{StepType, attempt_api::StepResult};

use super::{JobRow, Records};
use crate::search::{
    books::{Plan, State},
    faults::Fault,
};

/// Outcome of a claim.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::search) enum Claimed {
    Yes,
    Taken,
    Over,
    Refused,
}

/// The plan file of an attempt.
#[derive(Debug, Clone)]
pub(in crate::search) struct StoredPlan {
    /// The digest of its record.
    pub(in crate::search) digest: String,
    /// Its bytes, which have a digest of their own.
    pub(in crate::search) plan: Plan,
    /// The version of the state that it was made from; `None` if it read none.
    pub(in crate::search) read: Option<i64>,
}

impl Records {
    pub(in crate::search) fn claim(&mut self, attempt: &str, executor: u32, now: Timestamp) -> Claimed {
        let Some((row, step, found)) = self.find(attempt) else { return Claimed::Over };
        let open = found.live && found.result.is_none() || self.is(Fault::FencedAttemptsAreClaimed);
        match self.holder(attempt) {
            _ if !open => return Claimed::Over,
            Some(holder) if holder == executor => return Claimed::Yes,
            Some(_) if !self.is(Fault::SecondClaimWins) => return Claimed::Taken,
            _ => {}
        }
        if step.step_type == StepType::TerraformApply && self.refuses(row, step.number) {
            let found = self.attempt_mut(attempt).expect("it was found");
            found.live = false;
            found.refusal = Some("the plan cannot be applied".to_owned());
            return Claimed::Refused;
        }
        let is_watched = !self.is(Fault::ClaimIsNotWatched);
        let found = self.attempt_mut(attempt).expect("it was found");
        found.claimed_at = Some(now);
        found.last_contact_at = Some(now);
        found.status = AttemptStatus::Running;
        if is_watched {
            // The claim proves that the Kubernetes Job exists.
            found.phase = AttemptPhase::Submitted;
        }
        self.extra_mut(attempt).claimed_by = Some(executor);
        Claimed::Yes
    }

    /// Returns whether a step may not apply its plan: another one was approved, or the state has changed.
    fn refuses(&self, row: &JobRow, number: u32) -> bool {
        let Some(planned) = self.plan_before(row, number) else { return false };
        let other = approved_digest(row, number).is_some_and(|approved| approved != planned.digest);
        let latest = self.workspaces[row.workspace].latest().version;
        let moved = planned.read.is_some_and(|read| read != latest);
        other && !self.is(Fault::DigestIsNotCompared) || moved && !self.is(Fault::MovedStateIsApplied)
    }

    /// Returns the plan that a step of a job applies.
    pub(in crate::search) fn plan_before(&self, row: &JobRow, number: u32) -> Option<StoredPlan> {
        let steps = row.job.steps.iter().rev();
        let planned = steps.filter(|step| step.number < number && step.status == StepStatus::Completed);
        let attempts = planned.flat_map(|step| step.attempts.iter().rev());
        let mut completed = attempts.filter(|it| it.status == AttemptStatus::Completed);
        completed.find_map(|attempt| {
            let extra = self.extras.get(&attempt.id)?;
            let (digest, plan) = (attempt.plan_digest.clone()?, extra.plan.clone()?);
            Some(StoredPlan { digest, plan, read: extra.read })
        })
    }

    pub(in crate::search) fn put_plan(&mut self, attempt: &str, plan: Plan) -> bool {
        let may = self.may_write(attempt);
        if may {
            let digest = plan.digest.to_string();
            self.extra_mut(attempt).plan = Some(plan);
            if let Some(found) = self.attempt_mut(attempt) {
                found.plan_digest = Some(digest);
            }
        }
        may
    }

    pub(in crate::search) fn put_rescued(&mut self, attempt: &str, state: State) -> bool {
        let may = self.may_write(attempt);
        if may {
            self.extra_mut(attempt).rescued = Some(state);
            if let Some(found) = self.attempt_mut(attempt) {
                found.has_rescued_state = true;
            }
        }
        may
    }

    /// Stores a report, once. Returns `None` if the attempt has ended, `false` if another report is stored.
    pub(in crate::search) fn report(
        &mut self,
        attempt: &str,
        result: &StepResult,
        now: Timestamp,
    ) -> Option<bool> {
        let dead_write = self.is(Fault::DeadAttemptsWrite);
        let found = self.attempt_mut(attempt)?;
        if let Some(stored) = &found.result {
            return Some(stored == result);
        }
        if !(found.live || dead_write) || found.claimed_at.is_none() {
            return None;
        }
        found.result = Some(result.clone());
        found.progress.reported_at = Some(now);
        Some(true)
    }
}

/// Returns the digest that the last approval before a step approved.
pub(in crate::search) fn approved_digest(row: &JobRow, number: u32) -> Option<&str> {
    let mut before = row.job.steps.iter().rev().filter(|step| step.number < number);
    before.find_map(|step| step.answer.as_ref()?.plan_digest.as_deref())
}
