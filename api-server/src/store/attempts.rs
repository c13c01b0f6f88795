//! What the orchestrator does to attempts: written before their Kubernetes Job exists, fenced when they are over.

use jiff::Timestamp;
use k8s_backend::{Cause, Waiting};
use sqlx::Sqlite;

use super::{
    ClaimData, Prepared, ResultExt as _, Store, StoreError,
    cause_record::{CauseRecord, WaitingRecord},
    now,
    rows::{reported_message, waiting_of},
};
use crate::{
    model::{Attempt, AttemptPhase, AttemptStatus, StepStatus, WaitingSince},
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
    /// Its Kubernetes objects.
    pub prepared: Prepared,
    /// What its executor gets with the claim.
    pub claim: ClaimData,
    /// The submit is not tried before this time.
    pub not_before: Option<Timestamp>,
}

impl Store {
    /// Stores an attempt before its Kubernetes Job is made, and starts its step.
    ///
    /// # Errors
    /// What the database said.
    pub async fn create_attempt(&self, new: NewAttempt) -> Result<(), StoreError> {
        let NewAttempt {
            id,
            job_id,
            step_id,
            number,
            kubernetes_job,
            token_hash,
            prepared,
            claim,
            not_before,
        } = new;
        let prepared = serde_json::to_vec(&prepared).expect("Kubernetes objects are plain data");
        let mut tx = self.write().await?;
        sqlx::query(
            "INSERT INTO attempts (id, job_id, step_id, number, kubernetes_job, token_hash, job_object_sealed,
                                   claim_sealed, phase, retry_at, status, created_at)
             VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        )
        .bind(&id)
        .bind(job_id)
        .bind(&step_id)
        .bind(number)
        .bind(&kubernetes_job)
        .bind(token_hash.0)
        .bind(self.secrets.seal(&job_context(&id), &prepared))
        .bind(self.seal_claim(&id, &claim))
        .bind(AttemptPhase::Prepared.as_str())
        .bind(not_before.map(|time| time.to_string()))
        .bind(AttemptStatus::Pending.as_str())
        .bind(now())
        .execute(&mut *tx)
        .await
        .context("store an attempt")?;
        sqlx::query("UPDATE steps SET status = ?, started_at = coalesce(started_at, ?) WHERE id = ?")
            .bind(StepStatus::Running.as_str())
            .bind(now())
            .bind(step_id)
            .execute(&mut *tx)
            .await
            .context("start a step")?;
        tx.commit().await.context("store an attempt")
    }

    /// Reads what was made of an attempt.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] when there is no such attempt, [`StoreError::Sealed`] when it does not open,
    /// [`StoreError::Corrupt`] when it cannot be read.
    pub async fn prepared(&self, attempt_id: &str) -> Result<Prepared, StoreError> {
        let sealed: Option<Vec<u8>> =
            sqlx::query_scalar("SELECT job_object_sealed FROM attempts WHERE id = ?")
                .bind(attempt_id)
                .fetch_optional(&self.pool)
                .await
                .context("read a Kubernetes Job")?;
        let sealed = sealed.ok_or_else(|| not_found(attempt_id))?;
        let prepared = self.secrets.open(&job_context(attempt_id), &sealed)?;
        serde_json::from_slice(&prepared)
            .map_err(|_| StoreError::Corrupt(format!("Kubernetes Job of attempt {attempt_id}")))
    }

    /// Reads what the response to a claim of an attempt needs.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] when there is no such attempt, [`StoreError::Sealed`] when it cannot be decrypted,
    /// [`StoreError::Corrupt`] when it is missing or cannot be parsed.
    pub async fn claim_data(&self, attempt_id: &str) -> Result<ClaimData, StoreError> {
        let sealed: Option<Option<Vec<u8>>> =
            sqlx::query_scalar("SELECT claim_sealed FROM attempts WHERE id = ?")
                .bind(attempt_id)
                .fetch_optional(&self.pool)
                .await
                .context("read the claim data of an attempt")?;
        let corrupt = || StoreError::Corrupt(format!("claim data of attempt {attempt_id}"));
        let sealed = sealed.ok_or_else(|| not_found(attempt_id))?.ok_or_else(corrupt)?;
        let data = self.secrets.open(&claim_context(attempt_id), &sealed)?;
        serde_json::from_slice(&data).map_err(|_| corrupt())
    }

    pub(super) fn seal_claim(&self, attempt_id: &str, claim: &ClaimData) -> Vec<u8> {
        let data = serde_json::to_vec(claim).expect("claim data is plain data");
        self.secrets.seal(&claim_context(attempt_id), &data)
    }

    /// Notes that the backend has the Kubernetes Job.
    ///
    /// # Errors
    /// What the database said.
    pub async fn attempt_submitted(&self, attempt_id: &str) -> Result<(), StoreError> {
        self.change(
            "note a submit",
            sqlx::query("UPDATE attempts SET phase = ?, retry_at = NULL WHERE id = ? AND phase = ?")
                .bind(AttemptPhase::Submitted.as_str())
                .bind(attempt_id.to_owned())
                .bind(AttemptPhase::Prepared.as_str()),
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
    pub async fn record_cause(&self, attempt_id: &str, cause: &Cause) -> Result<(), StoreError> {
        let (kind, detail) = CauseRecord::from(cause).to_columns();
        self.change(
            "note the end of a Kubernetes Job",
            sqlx::query(
                "UPDATE attempts SET cause_kind = ?, cause_detail = ? WHERE id = ? AND cause_kind IS NULL",
            )
            .bind(kind)
            .bind(detail)
            .bind(attempt_id.to_owned()),
        )
        .await
    }

    /// Notes what the Kubernetes Job waits for, or that it waits no more. As long as it is a thing of one kind, the time stands
    /// at which that was first seen.
    ///
    /// # Errors
    /// What the database said.
    pub async fn record_waiting(
        &self,
        attempt_id: &str,
        waiting: Option<&Waiting>,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let mut tx = self.write().await?;
        let before: Option<(Option<String>, Option<String>)> =
            sqlx::query_as("SELECT waiting, waiting_since FROM attempts WHERE id = ?")
                .bind(attempt_id)
                .fetch_optional(&mut *tx)
                .await
                .context("read what an attempt waits for")?;
        let (text, since) = before.ok_or_else(|| not_found(attempt_id))?;
        let before = waiting_of(text.as_deref(), since.as_deref())?;
        let next = waiting.map(|waiting| WaitingSince::after(before.as_ref(), waiting, now));
        sqlx::query("UPDATE attempts SET waiting = ?, waiting_since = ? WHERE id = ?")
            .bind(next.as_ref().map(|next| WaitingRecord::from(&next.waiting).to_column()))
            .bind(next.as_ref().map(|next| next.since.to_string()))
            .bind(attempt_id)
            .execute(&mut *tx)
            .await
            .context("note what an attempt waits for")?;
        tx.commit().await.context("note what an attempt waits for")
    }

    /// Gives an attempt up that nobody has claimed: from now on nobody can, and this is why it ends.
    ///
    /// # Errors
    /// What the database said.
    pub async fn give_up(&self, attempt_id: &str, cause: &Cause) -> Result<(), StoreError> {
        let (kind, detail) = CauseRecord::from(cause).to_columns();
        self.change(
            "give an attempt up",
            sqlx::query(
                // What is right of a SET reads the old row: a cause that is there stays as it is.
                "UPDATE attempts SET live = FALSE, cause_kind = coalesce(cause_kind, ?),
                        cause_detail = CASE WHEN cause_kind IS NULL THEN ? ELSE cause_detail END
                 WHERE id = ? AND claimed_at IS NULL",
            )
            .bind(kind)
            .bind(detail)
            .bind(attempt_id.to_owned()),
        )
        .await
    }

    /// Closes an attempt as it was seen: if it was claimed or reported since, nothing happens. With `fence` its executor cannot
    /// write any more.
    ///
    /// # Errors
    /// What the database said.
    pub async fn end_attempt(
        &self,
        seen: &Attempt,
        status: AttemptStatus,
        message: Option<&str>,
        fence: bool,
    ) -> Result<(), StoreError> {
        let reported = reported_message(seen.result.as_ref(), seen.refusal.as_deref());
        let message = message.filter(|message| reported != Some(message));
        let mut tx = self.write().await?;
        let done = sqlx::query(
            "UPDATE attempts SET phase = ?, live = live AND NOT ?, status = ?, message = ?, ended_at = ?
             WHERE id = ? AND (claimed_at IS NOT NULL) = ? AND (result IS NOT NULL) = ?",
        )
        .bind(AttemptPhase::Ended.as_str())
        .bind(fence)
        .bind(status.as_str())
        .bind(message)
        .bind(now())
        .bind(&seen.id)
        .bind(seen.claimed_at.is_some())
        .bind(seen.result.is_some())
        .execute(&mut *tx)
        .await
        .context("end an attempt")?;
        // A lock of a run that reported, or that never was, protects nothing any more.
        if done.rows_affected() == 1 && status != AttemptStatus::Lost {
            sqlx::query("DELETE FROM state_locks WHERE attempt_id = ?")
                .bind(&seen.id)
                .execute(&mut *tx)
                .await
                .context("release a state lock")?;
        }
        tx.commit().await.context("end an attempt")
    }

    /// Finds the job of an attempt and the name of its Kubernetes Job, and whether it is over.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] when there is no such attempt.
    pub async fn attempt_log_state(&self, attempt_id: &str) -> Result<(String, bool), StoreError> {
        sqlx::query_as("SELECT kubernetes_job, phase = ? FROM attempts WHERE id = ?")
            .bind(AttemptPhase::Ended.as_str())
            .bind(attempt_id)
            .fetch_optional(&self.pool)
            .await
            .context("look up an attempt")?
            .ok_or_else(|| not_found(attempt_id))
    }

    async fn change(
        &self,
        action: &'static str,
        query: sqlx::query::Query<'_, Sqlite, sqlx::sqlite::SqliteArguments>,
    ) -> Result<(), StoreError> {
        query.execute(&self.pool).await.context(action)?;
        Ok(())
    }
}

pub(super) fn job_context(attempt_id: &str) -> String {
    format!("Kubernetes Job of attempt {attempt_id}")
}

fn claim_context(attempt_id: &str) -> String {
    format!("claim data of attempt {attempt_id}")
}

fn not_found(attempt_id: &str) -> StoreError {
    StoreError::NotFound { kind: "attempt", id: attempt_id.to_owned() }
}
