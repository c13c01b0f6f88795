//! Decisions of users about jobs: approve, reject, cancel.

use super::{
    ResultExt as _, Store, StoreError,
    db::query,
    jobs::{close_step, set_job_status},
    now,
    rows::read_job,
};
use crate::model::{Job, JobStatus, StepStatus};

impl Store {
    /// Approves or rejects the step that a job waits for, and records who did and which plan was approved.
    /// `digest` is the digest of the plan that the user has seen, if the user names one.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] when the job does not wait for approval, or when its plan is another one.
    pub async fn answer_approval(
        &self,
        job_id: i64,
        approved: bool,
        by: &str,
        digest: Option<&str>,
    ) -> Result<Job, StoreError> {
        let mut tx = self.write().await?;
        let job = read_job(&mut tx, job_id).await?;
        let waiting = job.steps.iter().find(|step| step.status == StepStatus::WaitingApproval);
        let Some(step) = waiting.filter(|_| job.status == JobStatus::WaitingApproval) else {
            return Err(StoreError::Conflict(format!(
                "job {job_id} does not wait for approval, it is {}",
                job.status
            )));
        };
        let planned = job.planned_before(step.number);
        let plan = planned.and_then(|attempt| attempt.plan_digest.as_deref());
        let bundle = planned.and_then(|attempt| attempt.bundle_digest.as_deref());
        if let Some(digest) = digest
            && plan != Some(digest)
        {
            return Err(StoreError::Conflict(match plan {
                Some(plan) => format!("the plan of job {job_id} has digest {plan}, not {digest}"),
                None => format!("job {job_id} has no plan, but digest {digest} was approved"),
            }));
        }
        let status = if approved { StepStatus::Completed } else { StepStatus::Rejected };
        close_step(&mut tx, &step.id, status, None, None).await?;
        query(
            "UPDATE steps SET answered_by = $1, answered_at = $2, approved_digest = $3, approved_bundle = $4
             WHERE id = $5",
        )
        .bind(by)
        .bind(now())
        .bind(plan.filter(|_| approved))
        .bind(bundle.filter(|_| approved))
        .bind(&step.id)
        .execute(&mut *tx)
        .await
        .context("record the answer to an approval")?;
        set_job_status(&mut tx, job_id, JobStatus::Running).await?;
        tx.commit().await.context("answer an approval")?;
        self.job(job_id).await
    }

    /// Requests the cancellation of a job. One that is cancelled already does not change.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] when there is no such job, [`StoreError::Conflict`] when it has ended. A job
    /// with an unknown outcome is resolved by a decision, which is recorded with its evidence.
    pub async fn request_cancel(&self, job_id: i64) -> Result<Job, StoreError> {
        let mut tx = self.write().await?;
        let job = read_job(&mut tx, job_id).await?;
        if job.status == JobStatus::Unknown {
            return Err(StoreError::Conflict(format!(
                "the outcome of job {job_id} is unknown, so there is nothing to cancel. Read its evidence \
                 (GET /v1/jobs/{job_id}/evidence), then recheck, accept or abandon it"
            )));
        }
        if job.status.is_final() && job.status != JobStatus::Cancelled {
            return Err(StoreError::Conflict(format!("job {job_id} has ended: it is {}", job.status)));
        }
        if !job.status.is_final() {
            query("UPDATE jobs SET cancel_requested = TRUE WHERE id = $1")
                .bind(job_id)
                .execute(&mut *tx)
                .await
                .context("cancel a job")?;
        }
        tx.commit().await.context("cancel a job")?;
        self.job(job_id).await
    }
}
