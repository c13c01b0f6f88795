//! Changes that executors make to their attempts: claim once, write while live, report once.

use jiff::{SignedDuration, Timestamp};
use job_spec::{
    StepType,
    attempt_api::{ClaimRequest, StepResult},
};
use secrecy::{ExposeSecret as _, SecretString};

use super::{
    ResultExt as _, Store, StoreError,
    db::{query, query_as, query_scalar},
    now, parse_time_opt, plans,
    rows::parse_step_type,
};
use crate::{
    model::{AttemptAccess, AttemptPhase, AttemptStatus},
    token::{TokenHash, digest_hex, session_token},
};

/// How exact the time of the last contact is: more would be a write for each request.
const CONTACT_INTERVAL: SignedDuration = SignedDuration::from_secs(1);

/// An attempt, as the credentials of its executor are checked against it.
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
    /// Type of its step.
    pub step_type: StepType,
    /// Name of its Kubernetes Job.
    pub kubernetes_job: String,
    /// What its executor may still do.
    pub access: AttemptAccess,
    claim_token: TokenHash,
    session_token: Option<TokenHash>,
    last_contact_at: Option<Timestamp>,
}

impl AttemptAuth {
    /// Returns whether this is the attempt's claim token.
    #[must_use]
    pub fn is_claim_token(&self, token: &str) -> bool {
        self.claim_token.is_of(token)
    }

    /// Returns whether this is the session token of the executor that claimed the attempt.
    #[must_use]
    pub fn is_session_token(&self, token: &str) -> bool {
        self.session_token.as_ref().is_some_and(|hash| hash.is_of(token))
    }
}

/// Outcome of a claim.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ClaimOutcome {
    /// The executor has claimed it, now or before.
    Claimed,
    /// Another executor has claimed it.
    Taken,
    /// The attempt has ended.
    Over,
    /// What it would apply may not be applied. The attempt is closed, and its step fails with this message.
    Refused(String),
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
    /// Reads what the credentials of an attempt's executor are checked against; `None` if there is no such
    /// attempt.
    ///
    /// # Errors
    /// The database failed.
    pub async fn attempt_auth(&self, id: &str) -> Result<Option<AttemptAuth>, StoreError> {
        let row = query_as::<AuthRow>(
            "SELECT a.job_id, j.workspace_id, s.number AS step_number, s.type AS step_type, a.kubernetes_job,
                    a.token_hash, a.session_hash, a.live, a.claimed_at IS NOT NULL AS claimed,
                    a.result IS NOT NULL AS reported, a.last_contact_at
             FROM attempts a JOIN jobs j ON j.id = a.job_id JOIN steps s ON s.id = a.step_id WHERE a.id = $1",
        )
        .bind(id)
        .fetch_optional(&self.pool)
        .await
        .context("look up an attempt")?;
        row.map(|row| row.into_auth(id)).transpose()
    }

    /// Records that the executor of an attempt was heard of, at most once a second.
    ///
    /// # Errors
    /// The database failed.
    pub async fn record_contact(&self, attempt: &AttemptAuth) -> Result<(), StoreError> {
        let now = Timestamp::now();
        if attempt.last_contact_at.is_some_and(|last| now.duration_since(last) < CONTACT_INTERVAL) {
            return Ok(());
        }
        self.change(
            "record the contact of an executor",
            query("UPDATE attempts SET last_contact_at = $1 WHERE id = $2 AND live")
                .bind(now.to_string())
                .bind(attempt.id.clone()),
        )
        .await
    }

    /// Claims an attempt for the first executor that requests it. An apply is refused if its plan is not the
    /// one that was approved, or if the state has changed since the plan.
    ///
    /// # Errors
    /// The database failed.
    pub async fn claim(&self, attempt_id: &str, request: &ClaimRequest) -> Result<ClaimOutcome, StoreError> {
        let executor = digest_hex(request.executor_id.as_bytes());
        let session = session_token(&self.secrets, attempt_id, &request.executor_id);
        let mut tx = self.write().await?;
        let (open, holder): (bool, Option<String>) =
            query_as("SELECT live AND result IS NULL, claimed_by FROM attempts WHERE id = $1")
                .bind(attempt_id)
                .fetch_one(&mut *tx)
                .await
                .context("read an attempt")?;
        match holder {
            _ if !open => return Ok(ClaimOutcome::Over),
            Some(holder) if holder == executor => return Ok(ClaimOutcome::Claimed),
            Some(_) => return Ok(ClaimOutcome::Taken),
            None => {}
        }
        if let Some(refusal) = plans::refusal(&mut tx, attempt_id).await? {
            query("UPDATE attempts SET refusal = $1, live = FALSE WHERE id = $2")
                .bind(&refusal)
                .bind(attempt_id)
                .execute(&mut *tx)
                .await
                .context("refuse an attempt")?;
            tx.commit().await.context("refuse an attempt")?;
            return Ok(ClaimOutcome::Refused(refusal));
        }
        query(
            // The claim proves that the Kubernetes Job exists, even if no server has recorded the submit: it
            // is watched from now on.
            "UPDATE attempts SET claimed_by = $1, claimed_host = $2, claimed_at = $3, last_contact_at = $3,
                                 session_hash = $4, status = $5, phase = $6
             WHERE id = $7",
        )
        .bind(executor)
        .bind(&request.host)
        .bind(now())
        .bind(TokenHash::of(session.expose_secret()).0)
        .bind(AttemptStatus::Running.as_str())
        .bind(AttemptPhase::Submitted.as_str())
        .bind(attempt_id)
        .execute(&mut *tx)
        .await
        .context("claim an attempt")?;
        tx.commit().await.context("claim an attempt")?;
        Ok(ClaimOutcome::Claimed)
    }

    /// Returns the session token of the executor with this id.
    #[must_use]
    pub fn session_token(&self, attempt_id: &str, executor_id: &str) -> SecretString {
        session_token(&self.secrets, attempt_id, executor_id)
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
        query("UPDATE attempts SET result = $1, reported_at = $2 WHERE id = $3")
            .bind(text)
            .bind(now())
            .bind(attempt_id)
            .execute(&mut *tx)
            .await
            .context("store a report")?;
        tx.commit().await.context("store a report")?;
        Ok(ReportOutcome::Stored)
    }

    /// Records that the executor has handed in a state that could not be stored as a version. Returns `false`
    /// if the attempt may not write any more.
    ///
    /// # Errors
    /// The database failed.
    pub async fn rescued_state_stored(&self, attempt_id: &str, blob: &str) -> Result<bool, StoreError> {
        let done = query(
            "UPDATE attempts SET rescued_state = $1
             WHERE id = $2 AND live AND claimed_at IS NOT NULL AND result IS NULL",
        )
        .bind(blob)
        .bind(attempt_id)
        .execute(&self.pool)
        .await
        .context("record a rescued state")?;
        Ok(done.rows_affected() == 1)
    }

    /// Returns the name of the blob with the rescued state of an attempt.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] when there is no such attempt, or when it has none.
    pub async fn rescued_state(&self, attempt_id: &str) -> Result<String, StoreError> {
        query_scalar("SELECT rescued_state FROM attempts WHERE id = $1 AND rescued_state IS NOT NULL")
            .bind(attempt_id)
            .fetch_optional(&self.pool)
            .await
            .context("look up a rescued state")?
            .ok_or_else(|| StoreError::NotFound {
                kind: "rescued state of attempt",
                id: attempt_id.to_owned(),
            })
    }
}

struct AuthRow {
    job_id: i64,
    workspace_id: String,
    step_number: u32,
    step_type: String,
    kubernetes_job: String,
    token_hash: Vec<u8>,
    session_hash: Option<Vec<u8>>,
    live: bool,
    claimed: bool,
    reported: bool,
    last_contact_at: Option<String>,
}
from_row!(AuthRow {
    job_id,
    workspace_id,
    step_number,
    step_type,
    kubernetes_job,
    token_hash,
    session_hash,
    live,
    claimed,
    reported,
    last_contact_at
});

impl AuthRow {
    fn into_auth(self, id: &str) -> Result<AttemptAuth, StoreError> {
        let access = match (self.reported, self.live, self.claimed) {
            (true, _, _) => AttemptAccess::Reported,
            (false, false, _) => AttemptAccess::Ended,
            (false, true, false) => AttemptAccess::Unclaimed,
            (false, true, true) => AttemptAccess::Live,
        };
        Ok(AttemptAuth {
            id: id.to_owned(),
            job_id: self.job_id,
            workspace_id: self.workspace_id,
            step_number: self.step_number,
            step_type: parse_step_type(&self.step_type)?,
            kubernetes_job: self.kubernetes_job,
            access,
            claim_token: TokenHash(self.token_hash),
            session_token: self.session_hash.map(TokenHash),
            last_contact_at: parse_time_opt(self.last_contact_at.as_deref())?,
        })
    }
}
