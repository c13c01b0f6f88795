//! Jobs and steps: reads, and the transitions of the orchestrator.

use super::{
    ResultExt as _, Store, StoreError,
    db::{Transaction, query, query_scalar},
    new_id, now,
    rows::{open_statuses, read_job},
    schedule::read_hold,
    stored_messages::{message_of_attempts, message_of_steps},
};
use crate::model::{AttemptStatus, Job, JobStatus, NewStep, Step, StepStatus, Workspace, WorkspaceHold};

impl Store {
    /// Creates a job with its steps.
    ///
    /// # Errors
    /// The database failed.
    pub async fn create_job(
        &self,
        workspace: &Workspace,
        template_id: &str,
        steps: &[NewStep],
    ) -> Result<Job, StoreError> {
        let mut tx = self.write().await?;
        let ids = (workspace.organization_id.as_str(), workspace.id.as_str(), template_id);
        let id = insert_job(&mut tx, ids, steps, None).await?;
        tx.commit().await.context("store a job")?;
        self.job(id).await
    }

    /// Reads a job with its steps and attempts in one transaction.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] when there is none.
    pub async fn job(&self, id: i64) -> Result<Job, StoreError> {
        let mut tx = self.pool.begin().await.context("read a job")?;
        read_job(&mut tx, id).await
    }

    /// Reads the jobs of a workspace, newest first, 50 at most.
    ///
    /// # Errors
    /// The database failed.
    pub async fn jobs_of_workspace(&self, workspace_id: &str) -> Result<Vec<Job>, StoreError> {
        let mut tx = self.pool.begin().await.context("list jobs")?;
        let ids: Vec<i64> =
            query_scalar("SELECT id FROM jobs WHERE workspace_id = $1 ORDER BY id DESC LIMIT 50")
                .bind(workspace_id)
                .fetch_all(&mut *tx)
                .await
                .context("list jobs")?;
        let mut jobs = Vec::with_capacity(ids.len());
        for id in ids {
            jobs.push(read_job(&mut tx, id).await?);
        }
        Ok(jobs)
    }

    /// Lists the ids of jobs that have not ended, oldest first.
    ///
    /// # Errors
    /// The database failed.
    pub async fn open_jobs(&self) -> Result<Vec<i64>, StoreError> {
        query_scalar(sqlx::AssertSqlSafe(format!(
            "SELECT id FROM jobs WHERE status IN {} ORDER BY id",
            open_statuses()
        )))
        .fetch_all(&self.pool)
        .await
        .context("list open jobs")
    }

    /// Lists the ids of jobs that wait for a workspace, oldest first, and of the running job that holds it:
    /// its next step may wait for one beside it.
    ///
    /// # Errors
    /// The database failed.
    pub async fn waiting_jobs(&self, workspace_id: &str) -> Result<Vec<i64>, StoreError> {
        query_scalar("SELECT id FROM jobs WHERE workspace_id = $1 AND status IN ($2, $3) ORDER BY id")
            .bind(workspace_id)
            .bind(JobStatus::Pending.as_str())
            .bind(JobStatus::Running.as_str())
            .fetch_all(&self.pool)
            .await
            .context("list waiting jobs")
    }

    /// Returns who holds the lock of a job's workspace.
    ///
    /// # Errors
    /// The database failed.
    pub async fn workspace_hold(&self, job: &Job) -> Result<WorkspaceHold, StoreError> {
        let mut tx = self.pool.begin().await.context("read the lock of a workspace")?;
        read_hold(&mut tx, job.id, &job.workspace_id).await
    }

    /// Locks the workspace for a job and starts the job; a job that only plans may start beside the holder.
    /// Does nothing if another job has locked the workspace meanwhile.
    ///
    /// # Errors
    /// The database failed.
    pub async fn start_job(&self, job: &Job) -> Result<(), StoreError> {
        let mut tx = self.write().await?;
        match read_hold(&mut tx, job.id, &job.workspace_id).await? {
            WorkspaceHold::Other(_) => return Ok(()),
            WorkspaceHold::Beside | WorkspaceHold::This => {}
            WorkspaceHold::Free => {
                query("UPDATE workspaces SET locked_by_job = $1 WHERE id = $2")
                    .bind(job.id)
                    .bind(&job.workspace_id)
                    .execute(&mut *tx)
                    .await
                    .context("lock a workspace")?;
            }
        }
        query("UPDATE jobs SET message = NULL WHERE id = $1")
            .bind(job.id)
            .execute(&mut *tx)
            .await
            .context("start a job")?;
        set_job_status(&mut tx, job.id, JobStatus::Running).await?;
        tx.commit().await.context("start a job")
    }

    /// Makes a step wait for approval.
    ///
    /// # Errors
    /// The database failed.
    pub async fn ask_approval(&self, job_id: i64, step_id: &str) -> Result<(), StoreError> {
        let mut tx = self.write().await?;
        query("UPDATE steps SET status = $1, started_at = $2 WHERE id = $3 AND status = $4")
            .bind(StepStatus::WaitingApproval.as_str())
            .bind(now())
            .bind(step_id)
            .bind(StepStatus::Pending.as_str())
            .execute(&mut *tx)
            .await
            .context("wait for approval")?;
        set_job_status(&mut tx, job_id, JobStatus::WaitingApproval).await?;
        tx.commit().await.context("wait for approval")
    }

    /// Sets the message that tells users why a job waits; `None` removes it.
    ///
    /// # Errors
    /// The database failed.
    pub async fn set_job_message(&self, job_id: i64, message: Option<&str>) -> Result<(), StoreError> {
        query("UPDATE jobs SET message = $1 WHERE id = $2")
            .bind(message)
            .bind(job_id)
            .execute(&self.pool)
            .await
            .context("store a message")?;
        Ok(())
    }

    /// Closes a step.
    ///
    /// # Errors
    /// The database failed.
    pub async fn end_step(
        &self,
        step: &Step,
        status: StepStatus,
        message: Option<&str>,
    ) -> Result<(), StoreError> {
        let has_changes = step
            .attempts
            .last()
            .filter(|attempt| attempt.status == AttemptStatus::Completed)
            .and_then(|attempt| attempt.result.as_ref()?.has_changes);
        let message = message.filter(|message| message_of_attempts(status, &step.attempts) != Some(message));
        let mut tx = self.write().await?;
        close_step(&mut tx, &step.id, status, message, has_changes).await?;
        tx.commit().await.context("end a step")
    }

    /// Closes a job. Steps that did not start become `notExecuted`; state locks are released and the
    /// workspace is unlocked, unless the status is [`JobStatus::Unknown`].
    ///
    /// # Errors
    /// The database failed.
    pub async fn end_job(
        &self,
        job: &Job,
        status: JobStatus,
        message: Option<&str>,
    ) -> Result<(), StoreError> {
        let mut tx = self.write().await?;
        close_job(&mut tx, job, status, message).await?;
        tx.commit().await.context("end a job")
    }
}

/// Inserts a job with its steps. The ids are those of organization, workspace and template.
pub(super) async fn insert_job(
    tx: &mut Transaction,
    (organization, workspace, template): (&str, &str, &str),
    steps: &[NewStep],
    recheck_of: Option<i64>,
) -> Result<i64, StoreError> {
    let id: i64 = query_scalar(
        "INSERT INTO jobs (organization_id, workspace_id, template_id, status, created_at, recheck_of)
         VALUES ($1, $2, $3, $4, $5, $6) RETURNING id",
    )
    .bind(organization)
    .bind(workspace)
    .bind(template)
    .bind(JobStatus::Pending.as_str())
    .bind(now())
    .bind(recheck_of)
    .fetch_one(&mut **tx)
    .await
    .context("store a job")?;
    for NewStep { number, name, step_type, settings } in steps {
        query(
            "INSERT INTO steps (id, job_id, number, name, type, status, settings)
             VALUES ($1, $2, $3, $4, $5, $6, $7)",
        )
        .bind(new_id())
        .bind(id)
        .bind(number)
        .bind(name)
        .bind(step_type.as_str())
        .bind(StepStatus::Pending.as_str())
        .bind(settings.to_json())
        .execute(&mut **tx)
        .await
        .context("store a step")?;
    }
    Ok(id)
}

pub(super) async fn set_job_status(
    tx: &mut Transaction,
    job_id: i64,
    status: JobStatus,
) -> Result<(), StoreError> {
    query("UPDATE jobs SET status = $1 WHERE id = $2")
        .bind(status.as_str())
        .bind(job_id)
        .execute(&mut **tx)
        .await
        .context("store the status of a job")?;
    Ok(())
}

pub(super) async fn close_step(
    tx: &mut Transaction,
    step_id: &str,
    status: StepStatus,
    message: Option<&str>,
    has_changes: Option<bool>,
) -> Result<(), StoreError> {
    query("UPDATE steps SET status = $1, message = $2, has_changes = $3, ended_at = $4 WHERE id = $5")
        .bind(status.as_str())
        .bind(message)
        .bind(has_changes)
        .bind(now())
        .bind(step_id)
        .execute(&mut **tx)
        .await
        .context("end a step")?;
    Ok(())
}

pub(super) async fn close_job(
    tx: &mut Transaction,
    job: &Job,
    status: JobStatus,
    message: Option<&str>,
) -> Result<(), StoreError> {
    let ended = now();
    let message = message.filter(|message| message_of_steps(status, &job.steps) != Some(message));
    query("UPDATE jobs SET status = $1, message = $2, ended_at = $3 WHERE id = $4")
        .bind(status.as_str())
        .bind(message)
        .bind(&ended)
        .bind(job.id)
        .execute(&mut **tx)
        .await
        .context("end a job")?;
    query("UPDATE steps SET status = $1, ended_at = $2 WHERE job_id = $3 AND status IN ($4, $5)")
        .bind(StepStatus::NotExecuted.as_str())
        .bind(&ended)
        .bind(job.id)
        .bind(StepStatus::Pending.as_str())
        .bind(StepStatus::WaitingApproval.as_str())
        .execute(&mut **tx)
        .await
        .context("close the steps of a job")?;
    if status == JobStatus::Unknown {
        return Ok(());
    }
    query("UPDATE attempts SET live = FALSE WHERE job_id = $1")
        .bind(job.id)
        .execute(&mut **tx)
        .await
        .context("fence the attempts of a job")?;
    query("DELETE FROM state_locks WHERE attempt_id IN (SELECT id FROM attempts WHERE job_id = $1)")
        .bind(job.id)
        .execute(&mut **tx)
        .await
        .context("release the state locks of a job")?;
    query("UPDATE workspaces SET locked_by_job = NULL WHERE id = $1 AND locked_by_job = $2")
        .bind(&job.workspace_id)
        .bind(job.id)
        .execute(&mut **tx)
        .await
        .context("unlock a workspace")?;
    Ok(())
}
