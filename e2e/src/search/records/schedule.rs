//! Who waits for whom.

use std::collections::BTreeMap;

use api_server::model::{AttemptPhase, Blocker, Candidate, Job, JobStatus, Load, StepStatus, WorkspaceHold};
use job_spec::StepType;

use super::{JobRow, Records};
use crate::search::faults::Fault;

fn runs(job: &Job) -> bool {
    job.steps.iter().flat_map(|step| &step.attempts).any(|attempt| attempt.phase != AttemptPhase::Ended)
}

/// Returns whether the next step of a job only plans.
fn is_plan(job: &Job) -> bool {
    let next = job.steps.iter().find(|step| step.status != StepStatus::Completed);
    next.is_some_and(|step| step.step_type.is_plan())
}

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

    /// Returns another job that runs a step in the same workspace.
    fn beside(&self, id: i64) -> Option<i64> {
        let workspace = self.jobs[&id].workspace;
        let mut others = self.jobs.values().filter(|row| row.workspace == workspace && row.job.id != id);
        let together = self.is(Fault::PlansRunTogether);
        others.find(|row| runs(&row.job) && !(together && is_plan(&row.job))).map(|row| row.job.id)
    }

    /// Counts the steps that run, by organization.
    pub(in crate::search) fn running(&self) -> BTreeMap<String, u32> {
        let mut running = BTreeMap::new();
        for row in self.jobs.values() {
            let attempts = row.job.steps.iter().flat_map(|step| &step.attempts);
            let count = attempts.filter(|attempt| attempt.phase != AttemptPhase::Ended).count();
            if count > 0 {
                let count = u32::try_from(count).unwrap_or(u32::MAX);
                *running.entry(row.job.organization_id.clone()).or_default() += count;
            }
        }
        running
    }

    /// Reads what runs and what waits, as far as the next step of a job depends on it.
    pub(in crate::search) fn load(&self, id: i64) -> Load {
        let candidates = self.jobs.values().filter_map(|row| self.candidate(row, id)).collect();
        Load {
            running: self.running(),
            candidates,
            waits_for_quota: None,
            last_start: None,
            beside: self.beside(id),
        }
    }

    fn candidate(&self, row: &JobRow, asking: i64) -> Option<Candidate> {
        let job = &row.job;
        if !matches!(job.status, JobStatus::Pending | JobStatus::Running) || job.cancel_requested || runs(job)
        {
            return None;
        }
        let step = job.steps.iter().find(|step| step.status != StepStatus::Completed)?;
        let waits = matches!(step.status, StepStatus::Pending | StepStatus::Running);
        if !waits || step.step_type == StepType::Approval {
            return None;
        }
        if job.id != asking && !self.is(Fault::BlockedJobsTakePlaces) && self.beside(job.id).is_some() {
            return None;
        }
        let may = job.id == asking
            || job.status == JobStatus::Running
            || match self.hold(job.id) {
                WorkspaceHold::Free => true,
                WorkspaceHold::Beside => !self.is(Fault::PlansBesideAreForgotten),
                WorkspaceHold::This | WorkspaceHold::Other(_) => false,
            };
        may.then(|| Candidate {
            job: job.id,
            organization: job.organization_id.clone(),
            changes_infrastructure: step.step_type.changes_infrastructure(),
        })
    }

    /// Returns whether an attempt at a step may be stored.
    pub(super) fn has_room(&self, id: i64) -> bool {
        let running = self.running();
        let of_organization = running.get(&self.job(id).organization_id).copied().unwrap_or_default();
        let is_below = |limit: Option<u32>, count: u32| limit.is_none_or(|limit| count < limit);
        is_below(self.limits.server, running.values().sum())
            && is_below(self.limits.organization, of_organization)
            && self.beside(id).is_none()
    }

    /// Returns the jobs of a workspace that wait, or may.
    pub(in crate::search) fn waiting_jobs(&self, workspace: usize) -> Vec<i64> {
        let waiting = self.jobs.values().filter(|row| {
            row.workspace == workspace && matches!(row.job.status, JobStatus::Pending | JobStatus::Running)
        });
        waiting.map(|row| row.job.id).collect()
    }
}
