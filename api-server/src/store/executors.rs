//! Changes that executors make to their attempts: claim once, write while live, report once.

use job_spec::{
    StepType,
    attempt_api::{ClaimRequest, StepResult},
};

use sqlx::AssertSqlSafe;

use super::{
    ResultExt as _, Store, StoreError,
    db::{query, query_as, query_scalar},
    now,
    rows::sql_list,
};
use crate::{
    model::{AttemptStatus, StepStatus},
    token::TokenHash,
};

/// An attempt whose token is valid.
#[derive(Debug, Clone)]
pub struct AttemptAuth {
    /// Id of the attempt.
    pub id: String,
    /// Its job.
    pub job_id: i64,
    /// The workspace of that job.
    pub workspace_id: String,
    /// Number of its step.
    pub step_number: u32,
    /// Name of its Kubernetes Job.
    pub kubernetes_job: String,
    /// Whether it may still write.
    pub live: bool,
    /// Whether an executor has claimed it.
    pub claimed: bool,
}

/// Outcome of a claim.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClaimOutcome {
    /// The executor has claimed it, now or before.
    Claimed,
    /// Another executor has claimed it.
    Taken,
    /// The attempt has ended.
    Over,
}

/// Outcome of a report.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReportOutcome {
    /// It is stored, now or before.
    Stored,
    /// Another report is stored.
    Different,
    /// The attempt has ended or was never claimed.
    Over,
}

impl Store {
    /// Reads an attempt if this is its token.
    ///
    /// # Errors
    /// The database failed.
    pub async fn authenticate_attempt(
        &self,
        id: &str,
        token: &str,
    ) -> Result<Option<AttemptAuth>, StoreError> {
        struct Row {
            job_id: i64,
            workspace_id: String,
            step_number: u32,
            kubernetes_job: String,
            token_hash: Vec<u8>,
            live: bool,
            claimed: bool,
        }
        from_row!(Row { job_id, workspace_id, step_number, kubernetes_job, token_hash, live, claimed });
        let row = query_as::<Row>(
            "SELECT a.job_id, j.workspace_id, s.number AS step_number, a.kubernetes_job, a.token_hash, a.live,
                    a.claimed_at IS NOT NULL AS claimed
             FROM attempts a JOIN jobs j ON j.id = a.job_id JOIN steps s ON s.id = a.step_id WHERE a.id = $1",
        )
        .bind(id)
        .fetch_optional(&self.pool)
        .await
        .context("look up an attempt")?;
        Ok(row.filter(|row| TokenHash(row.token_hash.clone()).is_of(token)).map(|row| {
            let Row { job_id, workspace_id, step_number, kubernetes_job, token_hash: _, live, claimed } = row;
            AttemptAuth {
                id: id.to_owned(),
                job_id,
                workspace_id,
                step_number,
                kubernetes_job,
                live,
                claimed,
            }
        }))
    }

    /// Claims an attempt for the first executor that requests it.
    ///
    /// # Errors
    /// The database failed.
    pub async fn claim(&self, attempt_id: &str, request: &ClaimRequest) -> Result<ClaimOutcome, StoreError> {
        let mut tx = self.write().await?;
        let (live, holder): (bool, Option<String>) =
            query_as("SELECT live, claimed_by FROM attempts WHERE id = $1")
                .bind(attempt_id)
                .fetch_one(&mut *tx)
                .await
                .context("read an attempt")?;
        match holder {
            _ if !live => return Ok(ClaimOutcome::Over),
            Some(holder) if holder == request.executor_id => return Ok(ClaimOutcome::Claimed),
            Some(_) => return Ok(ClaimOutcome::Taken),
            None => {}
        }
        query(
            "UPDATE attempts SET claimed_by = $1, claimed_host = $2, claimed_at = $3, status = $4 WHERE id = $5",
        )
        .bind(&request.executor_id)
        .bind(&request.host)
        .bind(now())
        .bind(AttemptStatus::Running.as_str())
        .bind(attempt_id)
        .execute(&mut *tx)
        .await
        .context("claim an attempt")?;
        tx.commit().await.context("claim an attempt")?;
        Ok(ClaimOutcome::Claimed)
    }

    /// Stores the report of an executor, once.
    ///
    /// # Errors
    /// The database failed.
    pub async fn report(&self, attempt_id: &str, result: &StepResult) -> Result<ReportOutcome, StoreError> {
        let text = serde_json::to_string(result).expect("a report is plain data");
        let mut tx = self.write().await?;
        let (live, claimed, stored): (bool, bool, Option<String>) =
            query_as("SELECT live, claimed_at IS NOT NULL, result FROM attempts WHERE id = $1")
                .bind(attempt_id)
                .fetch_one(&mut *tx)
                .await
                .context("read an attempt")?;
        match stored {
            Some(stored) if stored == text => return Ok(ReportOutcome::Stored),
            Some(_) => return Ok(ReportOutcome::Different),
            None if !live || !claimed => return Ok(ReportOutcome::Over),
            None => {}
        }
        query("UPDATE attempts SET result = $1 WHERE id = $2")
            .bind(text)
            .bind(attempt_id)
            .execute(&mut *tx)
            .await
            .context("store a report")?;
        tx.commit().await.context("store a report")?;
        Ok(ReportOutcome::Stored)
    }

    /// Records that the attempt's plan file is stored. Returns `false` if the attempt may not write any more.
    ///
    /// # Errors
    /// The database failed.
    pub async fn plan_stored(&self, attempt_id: &str) -> Result<bool, StoreError> {
        let done = query(
            "UPDATE attempts SET has_plan = TRUE
             WHERE id = $1 AND live AND claimed_at IS NOT NULL AND result IS NULL",
        )
        .bind(attempt_id)
        .execute(&self.pool)
        .await
        .context("record a plan file")?;
        Ok(done.rows_affected() == 1)
    }

    /// Returns whether a job has a plan step before the step with this number.
    ///
    /// # Errors
    /// The database failed.
    pub async fn has_plan_step(&self, job_id: i64, before_step: u32) -> Result<bool, StoreError> {
        let plans = StepType::ALL.into_iter().filter(|step_type| step_type.is_plan()).map(StepType::as_str);
        query_scalar(AssertSqlSafe(format!(
            "SELECT EXISTS (SELECT 1 FROM steps WHERE job_id = $1 AND number < $2 AND type IN {})",
            sql_list(plans)
        )))
        .bind(job_id)
        .bind(before_step)
        .fetch_one(&self.pool)
        .await
        .context("look for the plan step of a job")
    }

    /// Returns the id of the attempt whose plan file an apply step uses: that of the last completed plan step
    /// before it.
    ///
    /// # Errors
    /// The database failed.
    pub async fn plan_attempt(&self, job_id: i64, before_step: u32) -> Result<Option<String>, StoreError> {
        query_scalar(
            "SELECT a.id FROM attempts a JOIN steps s ON s.id = a.step_id
             WHERE s.job_id = $1 AND s.number < $2 AND s.status = $3 AND a.has_plan AND a.status = $4
             ORDER BY s.number DESC, a.number DESC LIMIT 1",
        )
        .bind(job_id)
        .bind(before_step)
        .bind(StepStatus::Completed.as_str())
        .bind(AttemptStatus::Completed.as_str())
        .fetch_optional(&self.pool)
        .await
        .context("look for the plan of a job")
    }
}
