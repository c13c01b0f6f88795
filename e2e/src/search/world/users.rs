//! What users do.

use api_server::model::{Job, JobStatus, Step, StepSettings, StepStatus};
use job_spec::StepType;

use super::{WORKSPACES, World};
use crate::search::{books::State, faults::Fault, records::JobRow};

/// How many jobs users create at most.
const MAX_JOBS: i64 = 5;

impl World {
    pub(super) fn create_job(&mut self) {
        let id = i64::try_from(self.records.jobs.len()).unwrap_or_default() + 1;
        if id > MAX_JOBS {
            return;
        }
        let workspace = self.choices.pick(WORKSPACES);
        let plan_only = self.choices.rarely(4);
        let types: &[StepType] = if plan_only {
            &[StepType::TerraformPlan]
        } else {
            &[StepType::TerraformPlan, StepType::Approval, StepType::TerraformApply]
        };
        let step = |(index, step_type): (usize, &StepType)| Step {
            id: format!("{id}-{index}"),
            number: u32::try_from(index).unwrap_or_default() * 100 + 100,
            name: String::new(),
            step_type: *step_type,
            status: StepStatus::Pending,
            message: None,
            has_changes: None,
            settings: StepSettings::default(),
            answer: None,
            started_at: None,
            ended_at: None,
            attempts: Vec::new(),
        };
        let job = Job {
            id,
            organization_id: "o".to_owned(),
            workspace_id: workspace.to_string(),
            template_id: "t".to_owned(),
            status: JobStatus::Pending,
            message: None,
            cancel_requested: false,
            recheck_of: None,
            created_at: self.now,
            ended_at: None,
            steps: types.iter().enumerate().map(step).collect(),
        };
        self.records.jobs.insert(id, JobRow { job, workspace, driver: None, generation: 0, approved: None });
    }

    pub(super) fn user_approves(&mut self) {
        let waiting: Vec<i64> = self
            .records
            .jobs
            .values()
            .filter(|row| row.job.status == JobStatus::WaitingApproval)
            .map(|row| row.job.id)
            .collect();
        if waiting.is_empty() {
            return;
        }
        let id = waiting[self.choices.pick(waiting.len())];
        let approves = !self.choices.rarely(6);
        let row = &self.records.jobs[&id];
        let Some(step) = row.job.steps.iter().find(|step| step.status == StepStatus::WaitingApproval) else {
            return;
        };
        let digest = self.records.plan_before(row, step.number).map(|plan| plan.digest);
        let step = step.id.clone();
        let row = self.records.jobs.get_mut(&id).expect("it was listed");
        row.approved = digest.filter(|_| approves);
        row.job.status = JobStatus::Running;
        let step = row.job.steps.iter_mut().find(|it| it.id == step).expect("it was found");
        step.status = if approves { StepStatus::Completed } else { StepStatus::Rejected };
    }

    pub(super) fn user_cancels(&mut self) {
        let open = self.open_jobs();
        if !open.is_empty() {
            let id = open[self.choices.pick(open.len())];
            self.records.jobs.get_mut(&id).expect("it is open").job.cancel_requested = true;
            self.note(|| format!("a user cancels job {id}"));
        }
    }

    /// A user resolves an unknown outcome, having made sure that nothing of the job runs any more.
    pub(super) fn user_resolves(&mut self) {
        let unknown: Vec<i64> = self
            .records
            .jobs
            .values()
            .filter(|row| row.job.status == JobStatus::Unknown)
            .map(|row| row.job.id)
            .filter(|id| !self.executors.iter().any(|executor| executor.alive && executor.job == *id))
            .collect();
        if unknown.is_empty() {
            return;
        }
        let id = unknown[self.choices.pick(unknown.len())];
        let status = if self.choices.pick(2) == 0 { JobStatus::Completed } else { JobStatus::Failed };
        let now = self.now;
        self.records.end_job(id, status, None, now);
        self.note(|| format!("a user resolves job {id}"));
    }

    /// An administrator stores a state by hand.
    pub(super) fn user_pushes_state(&mut self) {
        let workspace = self.choices.pick(WORKSPACES);
        let ignores_lock = self.records.is(Fault::LockIsIgnored);
        let workspace = &mut self.records.workspaces[workspace];
        let locked = workspace.lock.is_some();
        if locked && !ignores_lock {
            return;
        }
        let latest = workspace.latest();
        let next = State { version: latest.version + 1, serial: latest.serial + 1, ..latest };
        workspace.states.push(next);
        self.note(|| "a user stores a state".to_owned());
        if locked {
            self.violation("a state was stored while another writer held the lock");
        }
    }
}
