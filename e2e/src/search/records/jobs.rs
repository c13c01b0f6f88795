//! What the orchestrator and users store about jobs and steps.

use api_server::model::{
    Answer, AttemptPhase, AttemptStatus, Job, JobStatus, Step, StepSettings, StepStatus, WorkspaceHold,
};
use jiff::Timestamp;
use job_spec::StepType;
use k8s_backend::Cause;

use super::{JobRow, Records};
use crate::search::faults::Fault;

impl Records {
    /// Creates a job with steps of these types.
    pub(in crate::search) fn create_job(
        &mut self,
        workspace: usize,
        types: &[StepType],
        recheck_of: Option<i64>,
        now: Timestamp,
    ) -> i64 {
        let id = i64::try_from(self.jobs.len()).unwrap_or_default() + 1;
        let step = |(index, step_type): (u32, &StepType)| Step {
            id: format!("{id}-{index}"),
            number: (index + 1) * 100,
            name: String::new(),
            step_type: *step_type,
            status: StepStatus::Pending,
            message: None,
            has_changes: None,
            answer: None,
            settings: StepSettings::default(),
            started_at: None,
            ended_at: None,
            attempts: Vec::new(),
        };
        let job = Job {
            id,
            organization_id: self.workspaces[workspace].organization.to_owned(),
            workspace_id: workspace.to_string(),
            template_id: "t".to_owned(),
            status: JobStatus::Pending,
            message: None,
            cancel_requested: false,
            recheck_of,
            created_at: now,
            ended_at: None,
            steps: (0..).zip(types).map(step).collect(),
        };
        self.jobs.insert(id, JobRow { job, workspace, driver: None, generation: 0 });
        id
    }

    fn job_mut(&mut self, id: i64) -> &mut Job {
        &mut self.jobs.get_mut(&id).expect("jobs are never removed").job
    }

    /// Starts a job, unless another one holds its workspace.
    pub(in crate::search) fn start_job(&mut self, id: i64) {
        let hold = self.hold(id);
        let workspace = self.jobs[&id].workspace;
        match hold {
            WorkspaceHold::Other(_) if !self.is(Fault::LockedWorkspaceIsStarted) => return,
            WorkspaceHold::Beside | WorkspaceHold::This => {}
            WorkspaceHold::Free | WorkspaceHold::Other(_) => self.workspaces[workspace].locked_by = Some(id),
        }
        let job = self.job_mut(id);
        job.message = None;
        job.status = JobStatus::Running;
    }

    pub(in crate::search) fn ask_approval(&mut self, id: i64, step: &str, now: Timestamp) {
        if let Some(step) = self.step_mut(id, step).filter(|step| step.status == StepStatus::Pending) {
            step.status = StepStatus::WaitingApproval;
            step.started_at = Some(now);
        }
        self.job_mut(id).status = JobStatus::WaitingApproval;
    }

    /// Approves or rejects, where the plan is the one that the user has seen.
    pub(in crate::search) fn answer_approval(
        &mut self,
        id: i64,
        approved: bool,
        digest: Option<&str>,
        now: Timestamp,
    ) -> bool {
        let job = self.job_mut(id);
        let waiting = job.steps.iter().position(|step| step.status == StepStatus::WaitingApproval);
        let Some(at) = waiting.filter(|_| job.status == JobStatus::WaitingApproval) else { return false };
        let plan = job.plan_digest_before(job.steps[at].number).map(str::to_owned);
        if digest.is_some() && digest != plan.as_deref() {
            return false;
        }
        let step = &mut job.steps[at];
        step.status = if approved { StepStatus::Completed } else { StepStatus::Rejected };
        step.ended_at = Some(now);
        step.answer = Some(Answer {
            by: "user".to_owned(),
            at: now,
            plan_digest: plan.filter(|_| approved),
            bundle_digest: None,
        });
        job.status = JobStatus::Running;
        true
    }

    pub(in crate::search) fn set_message(&mut self, id: i64, message: Option<String>) {
        self.job_mut(id).message = message;
    }

    pub(in crate::search) fn end_step(
        &mut self,
        id: i64,
        seen: &Step,
        status: StepStatus,
        message: Option<String>,
        now: Timestamp,
    ) {
        let last = seen.attempts.last().filter(|attempt| attempt.status == AttemptStatus::Completed);
        let has_changes = last.and_then(|attempt| attempt.result.as_ref()?.has_changes);
        let Some(step) = self.step_mut(id, &seen.id) else { return };
        step.has_changes = has_changes;
        step.status = status;
        step.message = message;
        step.ended_at = Some(now);
    }

    pub(in crate::search) fn end_job(
        &mut self,
        id: i64,
        status: JobStatus,
        message: Option<String>,
        now: Timestamp,
    ) {
        let frees = status != JobStatus::Unknown || self.is(Fault::UnknownFreesTheWorkspace);
        let workspace = self.jobs[&id].workspace;
        let job = self.job_mut(id);
        job.status = status;
        job.message = message;
        job.ended_at = Some(now);
        for step in &mut job.steps {
            if matches!(step.status, StepStatus::Pending | StepStatus::WaitingApproval) {
                step.status = StepStatus::NotExecuted;
                step.ended_at = Some(now);
            }
        }
        if !frees {
            return;
        }
        for attempt in job.steps.iter_mut().flat_map(|step| &mut step.attempts) {
            attempt.live = false;
        }
        self.release_locks(&self.attempt_ids(id));
        let locked = &mut self.workspaces[workspace].locked_by;
        if *locked == Some(id) {
            *locked = None;
        }
    }

    fn attempt_ids(&self, id: i64) -> Vec<String> {
        let attempts = self.job(id).steps.iter().flat_map(|step| &step.attempts);
        attempts.map(|attempt| attempt.id.clone()).collect()
    }

    /// A user cancels a job. Returns `false` if it has ended in another way.
    pub(in crate::search) fn request_cancel(&mut self, id: i64) -> bool {
        let job = self.job_mut(id);
        if !job.status.is_final() {
            job.cancel_requested = true;
        }
        !job.status.is_final() || job.status == JobStatus::Cancelled
    }

    /// A user accepts or abandons a job with an unknown outcome.
    pub(in crate::search) fn resolve(&mut self, id: i64, accept: bool, now: Timestamp) -> bool {
        let is_unknown = self.job(id).status == JobStatus::Unknown;
        if is_unknown {
            let status = if accept { JobStatus::Completed } else { JobStatus::Failed };
            self.end_job(id, status, Some("resolved".to_owned()), now);
        }
        is_unknown
    }

    /// A user rechecks a job with an unknown outcome by a plan beside it.
    pub(in crate::search) fn recheck(&mut self, id: i64, now: Timestamp) -> Option<i64> {
        let job = self.job(id);
        if job.status != JobStatus::Unknown {
            return None;
        }
        let destroys =
            |step: &Step| step.status == StepStatus::Unknown && step.step_type == StepType::TerraformDestroy;
        let step_type = if job.steps.iter().any(destroys) {
            StepType::TerraformPlanDestroy
        } else {
            StepType::TerraformPlan
        };
        let created = self.create_job(self.jobs[&id].workspace, &[step_type], Some(id), now);
        self.release_locks(&self.attempt_ids(id));
        Some(created)
    }

    /// A user confirms that nothing of a claimed attempt runs any more.
    pub(in crate::search) fn confirm_end(&mut self, attempt: &str) -> bool {
        let waits = |it: &&mut api_server::model::Attempt| {
            it.claimed_at.is_some()
                && it.result.is_none()
                && it.cause.is_none()
                && it.phase != AttemptPhase::Ended
        };
        let Some(found) = self.attempt_mut(attempt).filter(waits) else { return false };
        found.cause = Some(Cause::Lost {
            message: "user \"user\" has confirmed that nothing of it runs any more".to_owned(),
        });
        true
    }
}
