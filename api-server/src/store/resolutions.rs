//! What users decide about jobs whose outcome is unknown, and what they decide it from.

use jiff::Timestamp;
use job_spec::StepType;
use serde::Serialize;

use super::{
    ResultExt as _, Store, StoreError,
    cause_record::CauseRecord,
    db::{Transaction, query, query_as, query_scalar},
    jobs::{close_job, insert_job},
    new_id, now,
    rows::read_job,
};
use crate::model::{AttemptPhase, Job, JobStatus, NewStep, StepSettings, StepStatus};

/// What a user does about a job with an unknown outcome.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum ResolutionAction {
    /// A plan compares the state with what exists, while the workspace stays locked.
    Recheck,
    /// What exists is as it should be: the job counts as completed.
    Accept,
    /// The job counts as failed.
    Abandon,
}

impl ResolutionAction {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Recheck => "recheck",
            Self::Accept => "accept",
            Self::Abandon => "abandon",
        }
    }
}

/// A decision to record.
#[derive(Debug)]
pub struct NewResolution<'a> {
    /// What is done.
    pub action: ResolutionAction,
    /// Name of the user's token.
    pub by: &'a str,
    /// What the user says about it.
    pub note: Option<&'a str>,
    /// The evidence at that time (JSON).
    pub evidence: &'a str,
}

/// A recorded decision.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
#[expect(missing_docs, reason = "the fields are those of the API")]
pub struct Resolution {
    pub action: String,
    pub decided_by: String,
    pub decided_at: String,
    pub note: Option<String>,
    pub recheck_job: Option<i64>,
}
from_row!(Resolution { action, decided_by, decided_at, note, recheck_job });

/// A version of a state, as evidence.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct StateVersion {
    pub serial: i64,
    pub lineage: String,
    pub created_at: String,
}
from_row!(StateVersion { serial, lineage, created_at });

/// The versions of a state around an attempt.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct StateVersions {
    /// The last one when the attempt was claimed.
    pub before: Option<StateVersion>,
    /// The last one that the attempt has written.
    pub after: Option<StateVersion>,
}

impl Store {
    /// Reads the versions of a state around an attempt.
    ///
    /// # Errors
    /// The database failed.
    pub async fn state_around(
        &self,
        workspace_id: &str,
        attempt_id: &str,
        claimed_at: Timestamp,
    ) -> Result<StateVersions, StoreError> {
        let before = query_as(
            "SELECT serial, lineage, created_at FROM states
             WHERE workspace_id = $1 AND (attempt_id IS NULL OR attempt_id <> $2) AND created_at <= $3
             ORDER BY id DESC LIMIT 1",
        )
        .bind(workspace_id)
        .bind(attempt_id)
        .bind(claimed_at.to_string())
        .fetch_optional(&self.pool)
        .await
        .context("look up a state")?;
        let after = query_as(
            "SELECT serial, lineage, created_at FROM states WHERE attempt_id = $1 ORDER BY id DESC LIMIT 1",
        )
        .bind(attempt_id)
        .fetch_optional(&self.pool)
        .await
        .context("look up a state")?;
        Ok(StateVersions { before, after })
    }

    /// Returns Terraform's information about the lock that an attempt holds (JSON).
    ///
    /// # Errors
    /// The database failed.
    pub async fn lock_of_attempt(&self, attempt_id: &str) -> Result<Option<String>, StoreError> {
        query_scalar("SELECT info FROM state_locks WHERE attempt_id = $1")
            .bind(attempt_id)
            .fetch_optional(&self.pool)
            .await
            .context("read the lock of a state")
    }

    /// Returns the machine or pod that claimed an attempt.
    ///
    /// # Errors
    /// The database failed.
    pub async fn claimed_host(&self, attempt_id: &str) -> Result<Option<String>, StoreError> {
        let host: Option<Option<String>> = query_scalar("SELECT claimed_host FROM attempts WHERE id = $1")
            .bind(attempt_id)
            .fetch_optional(&self.pool)
            .await
            .context("read the host of an attempt")?;
        Ok(host.flatten())
    }

    /// Lists what users decided about a job, in order.
    ///
    /// # Errors
    /// The database failed.
    pub async fn resolutions(&self, job_id: i64) -> Result<Vec<Resolution>, StoreError> {
        query_as(
            "SELECT action, decided_by, decided_at, note, recheck_job FROM resolutions WHERE job_id = $1
             ORDER BY id",
        )
        .bind(job_id)
        .fetch_all(&self.pool)
        .await
        .context("list decisions about a job")
    }

    /// Records what a user decides about a job with an unknown outcome, and does it. Accepting and abandoning
    /// close the job, which unlocks its workspace. A recheck creates a job that plans beside it, and releases
    /// the lock of the state, which only a process held that is known to be gone.
    ///
    /// Returns the job, or the one that rechecks it.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] when the outcome of the job is not unknown.
    pub async fn resolve(&self, job_id: i64, new: &NewResolution<'_>) -> Result<Job, StoreError> {
        let mut tx = self.write().await?;
        let job = read_job(&mut tx, job_id).await?;
        if job.status != JobStatus::Unknown {
            let message = format!("the outcome of job {job_id} is not unknown, it is {}", job.status);
            return Err(StoreError::Conflict(message));
        }
        let changed = match new.action {
            ResolutionAction::Recheck => create_recheck(&mut tx, &job).await?,
            ResolutionAction::Accept => close(&mut tx, &job, JobStatus::Completed, "accepted", new).await?,
            ResolutionAction::Abandon => close(&mut tx, &job, JobStatus::Failed, "abandoned", new).await?,
        };
        let recheck = (new.action == ResolutionAction::Recheck).then_some(changed);
        query(
            "INSERT INTO resolutions (id, job_id, action, decided_by, decided_at, note, evidence, recheck_job)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
        )
        .bind(new_id())
        .bind(job_id)
        .bind(new.action.as_str())
        .bind(new.by)
        .bind(now())
        .bind(new.note)
        .bind(new.evidence)
        .bind(recheck)
        .execute(&mut *tx)
        .await
        .context("record a decision")?;
        tx.commit().await.context("record a decision")?;
        self.job(changed).await
    }

    /// Records that a user confirms that nothing of a claimed attempt runs any more, as the cause of its end.
    /// Returns its job.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] when it is not claimed, has reported, or has ended.
    pub async fn confirm_end(&self, attempt_id: &str, by: &str) -> Result<i64, StoreError> {
        let mut tx = self.write().await?;
        let found: Option<(i64, bool)> = query_as(
            "SELECT job_id, claimed_at IS NOT NULL AND result IS NULL AND cause_kind IS NULL AND phase <> $1
             FROM attempts WHERE id = $2",
        )
        .bind(AttemptPhase::Ended.as_str())
        .bind(attempt_id)
        .fetch_optional(&mut *tx)
        .await
        .context("read an attempt")?;
        let (job_id, runs) = found.ok_or_else(|| StoreError::no_attempt(attempt_id))?;
        if !runs {
            let message = format!("attempt {attempt_id:?} does not wait for the end of an executor");
            return Err(StoreError::Conflict(message));
        }
        let message = format!("user {by:?} has confirmed that nothing of it runs any more");
        let (kind, detail) = CauseRecord::Lost { message }.to_columns();
        query("UPDATE attempts SET cause_kind = $1, cause_detail = $2 WHERE id = $3")
            .bind(kind)
            .bind(detail)
            .bind(attempt_id)
            .execute(&mut *tx)
            .await
            .context("confirm the end of an attempt")?;
        tx.commit().await.context("confirm the end of an attempt")?;
        Ok(job_id)
    }
}

async fn close(
    tx: &mut Transaction,
    job: &Job,
    status: JobStatus,
    verb: &str,
    new: &NewResolution<'_>,
) -> Result<i64, StoreError> {
    let outcome = job.message.as_deref().unwrap_or("the outcome was unknown");
    let message = format!("{verb} by {:?} after an unknown outcome: {outcome}", new.by);
    close_job(tx, job, status, Some(&message)).await?;
    Ok(job.id)
}

/// Creates the job that plans beside a job with an unknown outcome.
async fn create_recheck(tx: &mut Transaction, job: &Job) -> Result<i64, StoreError> {
    let destroys = |step: &crate::model::Step| {
        step.status == StepStatus::Unknown && step.step_type == StepType::TerraformDestroy
    };
    let step_type =
        if job.steps.iter().any(destroys) { StepType::TerraformPlanDestroy } else { StepType::TerraformPlan };
    let step = NewStep {
        number: 100,
        name: format!("Recheck of job {}", job.id),
        step_type,
        settings: StepSettings::default(),
    };
    let id =
        insert_job(tx, (&job.organization_id, &job.workspace_id, &job.template_id), &[step], Some(job.id))
            .await?;
    query("DELETE FROM state_locks WHERE attempt_id IN (SELECT id FROM attempts WHERE job_id = $1)")
        .bind(job.id)
        .execute(&mut **tx)
        .await
        .context("release the state locks of a job")?;
    Ok(id)
}
