//! Attempts: written before their Kubernetes Job exists, claimed once, fenced when they are over.

use jiff::Timestamp;
use job_spec::attempt_api::{ClaimRequest, StepResult};
use sqlx::{FromRow, Sqlite, Transaction};

use super::{Store, StoreError, Trying as _, now, parse_time, parse_time_opt};
use crate::{
    model::{Attempt, AttemptPhase, AttemptStatus, StepStatus},
    token::TokenHash,
};

/// What an attempt is made of.
#[derive(Debug)]
pub struct NewAttempt {
    /// Id (UUID), made by the caller because the Kubernetes Job holds it.
    pub id: String,
    /// The job.
    pub job_id: i64,
    /// The step.
    pub step_id: String,
    /// Counts from 1 within the step.
    pub number: u32,
    /// Name of the Kubernetes Job.
    pub kubernetes_job: String,
    /// Hash of the attempt's token.
    pub token_hash: TokenHash,
    /// The rendered `batch/v1` Job as JSON.
    pub job_object: Vec<u8>,
    /// The submit is not tried before this time.
    pub not_before: Option<Timestamp>,
}

/// An attempt whose token was checked.
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
    /// It may still write.
    pub live: bool,
    /// An executor has taken it.
    pub claimed: bool,
}

/// What became of a claim.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClaimOutcome {
    /// The executor has it (also when it asks again).
    Claimed,
    /// Another executor has it.
    Taken,
    /// The attempt is over.
    Over,
}

/// What became of a report.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReportOutcome {
    /// It is stored (also when it comes again).
    Stored,
    /// Another report is stored.
    Different,
    /// The attempt is over, or was never claimed.
    Over,
}

#[derive(FromRow)]
pub(super) struct AttemptRow {
    id: String,
    pub(super) step_id: String,
    number: u32,
    kubernetes_job: String,
    phase: String,
    live: bool,
    submit_failures: u32,
    retry_at: Option<String>,
    refusal: Option<String>,
    cancel_sent: bool,
    claimed_at: Option<String>,
    result: Option<String>,
    cause: Option<String>,
    status: String,
    message: Option<String>,
    created_at: String,
    ended_at: Option<String>,
}

impl AttemptRow {
    pub(super) async fn of_job(
        tx: &mut Transaction<'_, Sqlite>,
        job_id: i64,
    ) -> Result<Vec<Self>, StoreError> {
        sqlx::query_as(
            "SELECT id, step_id, number, kubernetes_job, phase, live, submit_failures, retry_at, refusal, cancel_sent,
                    claimed_at, result, cause, status, message, created_at, ended_at
             FROM attempts WHERE job_id = ? ORDER BY number",
        )
        .bind(job_id)
        .fetch_all(&mut **tx)
        .await
        .trying("read the attempts of a job")
    }
}

impl Store {
    /// Stores an attempt before its Kubernetes Job is made, and starts its step.
    ///
    /// # Errors
    /// What the database said.
    pub async fn create_attempt(&self, new: NewAttempt) -> Result<(), StoreError> {
        let NewAttempt { id, job_id, step_id, number, kubernetes_job, token_hash, job_object, not_before } =
            new;
        let mut tx = self.write().await?;
        sqlx::query(
            "INSERT INTO attempts (id, job_id, step_id, number, kubernetes_job, token_hash, job_object_sealed, phase,
                                   retry_at, status, created_at)
             VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        )
        .bind(&id)
        .bind(job_id)
        .bind(&step_id)
        .bind(number)
        .bind(&kubernetes_job)
        .bind(token_hash.0)
        .bind(self.secrets.seal(&job_context(&id), &job_object))
        .bind(AttemptPhase::Prepared.as_str())
        .bind(not_before.map(|time| time.to_string()))
        .bind(AttemptStatus::Pending.as_str())
        .bind(now())
        .execute(&mut *tx)
        .await
        .trying("store an attempt")?;
        sqlx::query("UPDATE steps SET status = ?, started_at = coalesce(started_at, ?) WHERE id = ?")
            .bind(StepStatus::Running.as_str())
            .bind(now())
            .bind(step_id)
            .execute(&mut *tx)
            .await
            .trying("start a step")?;
        tx.commit().await.trying("store an attempt")
    }

    /// Reads the Kubernetes Job of an attempt, as JSON.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] when there is no such attempt, [`StoreError::Sealed`] when it does not open.
    pub async fn job_object(&self, attempt_id: &str) -> Result<Vec<u8>, StoreError> {
        let sealed: Option<Vec<u8>> =
            sqlx::query_scalar("SELECT job_object_sealed FROM attempts WHERE id = ?")
                .bind(attempt_id)
                .fetch_optional(&self.pool)
                .await
                .trying("read a Kubernetes Job")?;
        let sealed = sealed.ok_or_else(|| not_found(attempt_id))?;
        Ok(self.secrets.open(&job_context(attempt_id), &sealed)?)
    }

    /// Notes that the backend has the Kubernetes Job.
    ///
    /// # Errors
    /// What the database said.
    pub async fn attempt_submitted(&self, attempt_id: &str) -> Result<(), StoreError> {
        self.change(
            "note a submit",
            sqlx::query("UPDATE attempts SET phase = 'submitted', retry_at = NULL WHERE id = ? AND phase = 'prepared'")
                .bind(attempt_id.to_owned()),
        )
        .await
    }

    /// Notes that the backend could not be reached, and when to try again.
    ///
    /// # Errors
    /// What the database said.
    pub async fn backend_away(&self, attempt_id: &str, retry_at: Timestamp) -> Result<(), StoreError> {
        self.change(
            "note a failed submit",
            sqlx::query(
                "UPDATE attempts SET submit_failures = submit_failures + 1, retry_at = ? WHERE id = ?",
            )
            .bind(retry_at.to_string())
            .bind(attempt_id.to_owned()),
        )
        .await
    }

    /// Notes that the backend will never take the Kubernetes Job.
    ///
    /// # Errors
    /// What the database said.
    pub async fn attempt_refused(&self, attempt_id: &str, refusal: &str) -> Result<(), StoreError> {
        self.change(
            "note a refusal",
            sqlx::query("UPDATE attempts SET refusal = ? WHERE id = ?")
                .bind(refusal.to_owned())
                .bind(attempt_id.to_owned()),
        )
        .await
    }

    /// Fences an attempt that nobody has claimed, so that nobody can.
    ///
    /// # Errors
    /// What the database said.
    pub async fn fence_unclaimed(&self, attempt_id: &str) -> Result<(), StoreError> {
        self.change(
            "fence an attempt",
            sqlx::query("UPDATE attempts SET live = FALSE WHERE id = ? AND claimed_at IS NULL")
                .bind(attempt_id.to_owned()),
        )
        .await
    }

    /// Notes that the backend was asked to end the Kubernetes Job.
    ///
    /// # Errors
    /// What the database said.
    pub async fn cancel_sent(&self, attempt_id: &str) -> Result<(), StoreError> {
        self.change(
            "note a cancel",
            sqlx::query("UPDATE attempts SET cancel_sent = TRUE, retry_at = NULL WHERE id = ?")
                .bind(attempt_id.to_owned()),
        )
        .await
    }

    /// Notes why the Kubernetes Job ended, as the backend saw it. The first word stands.
    ///
    /// # Errors
    /// What the database said.
    pub async fn record_cause(&self, attempt_id: &str, cause: &str) -> Result<(), StoreError> {
        self.change(
            "note the end of a Kubernetes Job",
            sqlx::query("UPDATE attempts SET cause = coalesce(cause, ?) WHERE id = ?")
                .bind(cause.to_owned())
                .bind(attempt_id.to_owned()),
        )
        .await
    }

    /// Closes an attempt as it was seen: if it was claimed or reported since, nothing happens.
    ///
    /// # Errors
    /// What the database said.
    pub async fn end_attempt(
        &self,
        seen: &Attempt,
        status: AttemptStatus,
        message: Option<&str>,
    ) -> Result<(), StoreError> {
        let mut tx = self.write().await?;
        let done = sqlx::query(
            "UPDATE attempts SET phase = 'ended', live = FALSE, status = ?, message = ?, ended_at = ?
             WHERE id = ? AND (claimed_at IS NOT NULL) = ? AND (result IS NOT NULL) = ?",
        )
        .bind(status.as_str())
        .bind(message)
        .bind(now())
        .bind(&seen.id)
        .bind(seen.claimed_at.is_some())
        .bind(seen.result.is_some())
        .execute(&mut *tx)
        .await
        .trying("end an attempt")?;
        // A lock of a run that reported, or that never was, protects nothing any more.
        if done.rows_affected() == 1 && status != AttemptStatus::Lost {
            sqlx::query("DELETE FROM state_locks WHERE attempt_id = ?")
                .bind(&seen.id)
                .execute(&mut *tx)
                .await
                .trying("release a state lock")?;
        }
        tx.commit().await.trying("end an attempt")
    }

    /// Checks the token of an attempt; `None` if it is not this attempt's.
    ///
    /// # Errors
    /// What the database said.
    pub async fn authenticate_attempt(
        &self,
        id: &str,
        token: &str,
    ) -> Result<Option<AttemptAuth>, StoreError> {
        #[derive(FromRow)]
        struct Row {
            job_id: i64,
            workspace_id: String,
            step_number: u32,
            kubernetes_job: String,
            token_hash: Vec<u8>,
            live: bool,
            claimed: bool,
        }
        let row = sqlx::query_as::<_, Row>(
            "SELECT a.job_id, j.workspace_id, s.number AS step_number, a.kubernetes_job, a.token_hash, a.live,
                    a.claimed_at IS NOT NULL AS claimed
             FROM attempts a JOIN jobs j ON j.id = a.job_id JOIN steps s ON s.id = a.step_id WHERE a.id = ?",
        )
        .bind(id)
        .fetch_optional(&self.pool)
        .await
        .trying("look up an attempt")?;
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

    /// Gives an attempt to the first executor that asks.
    ///
    /// # Errors
    /// What the database said.
    pub async fn claim(&self, attempt_id: &str, request: &ClaimRequest) -> Result<ClaimOutcome, StoreError> {
        let mut tx = self.write().await?;
        let (live, holder): (bool, Option<String>) =
            sqlx::query_as("SELECT live, claimed_by FROM attempts WHERE id = ?")
                .bind(attempt_id)
                .fetch_one(&mut *tx)
                .await
                .trying("read an attempt")?;
        match holder {
            _ if !live => return Ok(ClaimOutcome::Over),
            Some(holder) if holder == request.executor_id => return Ok(ClaimOutcome::Claimed),
            Some(_) => return Ok(ClaimOutcome::Taken),
            None => {}
        }
        sqlx::query(
            "UPDATE attempts SET claimed_by = ?, claimed_host = ?, claimed_at = ?, status = ? WHERE id = ?",
        )
        .bind(&request.executor_id)
        .bind(&request.host)
        .bind(now())
        .bind(AttemptStatus::Running.as_str())
        .bind(attempt_id)
        .execute(&mut *tx)
        .await
        .trying("claim an attempt")?;
        tx.commit().await.trying("claim an attempt")?;
        Ok(ClaimOutcome::Claimed)
    }

    /// Stores what an executor reports, once.
    ///
    /// # Errors
    /// What the database said.
    pub async fn report(&self, attempt_id: &str, result: &StepResult) -> Result<ReportOutcome, StoreError> {
        let text = serde_json::to_string(result).expect("a report is plain data");
        let mut tx = self.write().await?;
        let (live, claimed, stored): (bool, bool, Option<String>) =
            sqlx::query_as("SELECT live, claimed_at IS NOT NULL, result FROM attempts WHERE id = ?")
                .bind(attempt_id)
                .fetch_one(&mut *tx)
                .await
                .trying("read an attempt")?;
        match stored {
            Some(stored) if stored == text => return Ok(ReportOutcome::Stored),
            Some(_) => return Ok(ReportOutcome::Different),
            None if !live || !claimed => return Ok(ReportOutcome::Over),
            None => {}
        }
        sqlx::query("UPDATE attempts SET result = ? WHERE id = ?")
            .bind(text)
            .bind(attempt_id)
            .execute(&mut *tx)
            .await
            .trying("store a report")?;
        tx.commit().await.trying("store a report")?;
        Ok(ReportOutcome::Stored)
    }

    /// Notes that the attempt's plan file is stored; `false` if the attempt may not write any more.
    ///
    /// # Errors
    /// What the database said.
    pub async fn plan_stored(&self, attempt_id: &str) -> Result<bool, StoreError> {
        let done = sqlx::query(
            "UPDATE attempts SET has_plan = TRUE WHERE id = ? AND live AND claimed_at IS NOT NULL AND result IS NULL",
        )
        .bind(attempt_id)
        .execute(&self.pool)
        .await
        .trying("note a plan file")?;
        Ok(done.rows_affected() == 1)
    }

    /// Finds the attempt whose plan file an apply step of the job uses: that of the last completed plan step before it.
    ///
    /// # Errors
    /// What the database said.
    pub async fn plan_attempt(&self, job_id: i64, before_step: u32) -> Result<Option<String>, StoreError> {
        sqlx::query_scalar(
            "SELECT a.id FROM attempts a JOIN steps s ON s.id = a.step_id
             WHERE s.job_id = ? AND s.number < ? AND s.status = 'completed' AND a.has_plan AND a.status = 'completed'
             ORDER BY s.number DESC, a.number DESC LIMIT 1",
        )
        .bind(job_id)
        .bind(before_step)
        .fetch_optional(&self.pool)
        .await
        .trying("look for the plan of a job")
    }

    /// Finds the job of an attempt and the name of its Kubernetes Job, and whether it is over.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] when there is no such attempt.
    pub async fn attempt_log_state(&self, attempt_id: &str) -> Result<(String, bool), StoreError> {
        sqlx::query_as("SELECT kubernetes_job, phase = 'ended' FROM attempts WHERE id = ?")
            .bind(attempt_id)
            .fetch_optional(&self.pool)
            .await
            .trying("look up an attempt")?
            .ok_or_else(|| not_found(attempt_id))
    }

    async fn change(
        &self,
        action: &'static str,
        query: sqlx::query::Query<'_, Sqlite, sqlx::sqlite::SqliteArguments>,
    ) -> Result<(), StoreError> {
        query.execute(&self.pool).await.trying(action)?;
        Ok(())
    }
}

fn job_context(attempt_id: &str) -> String {
    format!("Kubernetes Job of attempt {attempt_id}")
}

fn not_found(attempt_id: &str) -> StoreError {
    StoreError::NotFound { kind: "attempt", id: attempt_id.to_owned() }
}

impl TryFrom<AttemptRow> for Attempt {
    type Error = StoreError;

    fn try_from(row: AttemptRow) -> Result<Self, StoreError> {
        let AttemptRow {
            id,
            step_id: _,
            number,
            kubernetes_job,
            phase,
            live,
            submit_failures,
            retry_at,
            refusal,
            cancel_sent,
            claimed_at,
            result,
            cause,
            status,
            message,
            created_at,
            ended_at,
        } = row;
        Ok(Self {
            number,
            kubernetes_job,
            phase: AttemptPhase::parse(&phase).map_err(StoreError::Corrupt)?,
            live,
            submit_failures,
            retry_at: parse_time_opt(retry_at.as_deref())?,
            refusal,
            cancel_sent,
            claimed_at: parse_time_opt(claimed_at.as_deref())?,
            result: result
                .map(|text| serde_json::from_str(&text))
                .transpose()
                .map_err(|_| StoreError::Corrupt(format!("report of attempt {id}")))?,
            cause,
            status: AttemptStatus::parse(&status).map_err(StoreError::Corrupt)?,
            message,
            created_at: parse_time(&created_at)?,
            ended_at: parse_time_opt(ended_at.as_deref())?,
            id,
        })
    }
}
