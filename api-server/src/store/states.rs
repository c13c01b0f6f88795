//! Writers and locks of Terraform states. Their versions are in [`super::state_versions`].

use super::{
    ResultExt as _, Store, StoreError,
    db::{Transaction, query, query_as, query_scalar},
    now,
};
use crate::model::AttemptPhase;

/// The writer of a state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StateWriter {
    /// The executor of this attempt; refused when the attempt has ended.
    Attempt(String),
    /// The user whose token has this name.
    User(String),
}

impl StateWriter {
    /// Returns the id of the attempt, if the writer is one.
    #[must_use]
    pub fn attempt(&self) -> Option<&str> {
        match self {
            Self::Attempt(id) => Some(id),
            Self::User(_) => None,
        }
    }

    /// Returns the name of the user's token, if the writer is a user.
    #[must_use]
    pub fn user(&self) -> Option<&str> {
        match self {
            Self::Attempt(_) => None,
            Self::User(name) => Some(name),
        }
    }
}

/// A lock on a state.
#[derive(Debug, Clone)]
pub struct StateLock {
    /// Terraform's lock id.
    pub lock_id: String,
    /// Terraform's lock info, as JSON.
    pub info: String,
    /// The attempt that holds it; `None` for a user.
    pub attempt_id: Option<String>,
}
from_row!(StateLock { lock_id, info, attempt_id });

impl StateLock {
    /// Returns whether a writer holds this lock: it knows the id, or it is the attempt that took the lock. An
    /// executor that saves a state in place of terraform does not know the id.
    pub(super) fn is_held_by(&self, writer: &StateWriter, lock_id: Option<&str>) -> bool {
        lock_id == Some(self.lock_id.as_str())
            || writer.attempt().is_some_and(|attempt| self.attempt_id.as_deref() == Some(attempt))
    }
}

/// Outcome of a request that needs the lock.
#[derive(Debug, Clone)]
pub enum LockOutcome {
    /// Done.
    Done,
    /// Another writer holds the lock.
    HeldBy(StateLock),
    /// The attempt has ended: nothing was stored.
    Fenced,
    /// The state is the current version already: nothing was stored.
    Unchanged,
    /// The state does not follow the current version, for this reason: nothing was stored.
    Conflict(String),
}

impl Store {
    /// Locks a state. The holder may repeat the request. An attempt with an unknown outcome may still store a
    /// state, but begins nothing any more.
    ///
    /// # Errors
    /// The database failed.
    pub async fn lock_state(
        &self,
        workspace_id: &str,
        lock: &StateLock,
        writer: &StateWriter,
    ) -> Result<LockOutcome, StoreError> {
        let mut tx = self.write().await?;
        if !may_write(&mut tx, writer).await? || has_ended(&mut tx, writer).await? {
            return Ok(LockOutcome::Fenced);
        }
        match read_lock(&mut tx, workspace_id).await? {
            Some(held) if held.lock_id == lock.lock_id => return Ok(LockOutcome::Done),
            Some(held) => return Ok(LockOutcome::HeldBy(held)),
            None => {}
        }
        query(
            "INSERT INTO state_locks (workspace_id, lock_id, info, attempt_id, created_at)
             VALUES ($1, $2, $3, $4, $5)",
        )
        .bind(workspace_id)
        .bind(&lock.lock_id)
        .bind(&lock.info)
        .bind(&lock.attempt_id)
        .bind(now())
        .execute(&mut *tx)
        .await
        .context("lock a state")?;
        tx.commit().await.context("lock a state")?;
        Ok(LockOutcome::Done)
    }

    /// Unlocks a state. Without an id (`terraform force-unlock` of some versions) any lock is released; only
    /// a user may do that.
    ///
    /// # Errors
    /// The database failed.
    pub async fn unlock_state(
        &self,
        workspace_id: &str,
        lock_id: Option<&str>,
        writer: &StateWriter,
    ) -> Result<LockOutcome, StoreError> {
        let mut tx = self.write().await?;
        if !may_write(&mut tx, writer).await? {
            return Ok(LockOutcome::Fenced);
        }
        let Some(held) = read_lock(&mut tx, workspace_id).await? else {
            return Ok(LockOutcome::Done);
        };
        let allowed = match lock_id {
            Some(id) => id == held.lock_id,
            None => writer.user().is_some(),
        };
        if !allowed {
            return Ok(LockOutcome::HeldBy(held));
        }
        query("DELETE FROM state_locks WHERE workspace_id = $1")
            .bind(workspace_id)
            .execute(&mut *tx)
            .await
            .context("unlock a state")?;
        tx.commit().await.context("unlock a state")?;
        Ok(LockOutcome::Done)
    }
}

pub(super) async fn read_lock(
    tx: &mut Transaction,
    workspace_id: &str,
) -> Result<Option<StateLock>, StoreError> {
    query_as("SELECT lock_id, info, attempt_id FROM state_locks WHERE workspace_id = $1")
        .bind(workspace_id)
        .fetch_optional(&mut **tx)
        .await
        .context("read the lock of a state")
}

/// Returns whether an attempt has ended, whether or not its executor may still write.
async fn has_ended(tx: &mut Transaction, writer: &StateWriter) -> Result<bool, StoreError> {
    let Some(attempt) = writer.attempt() else { return Ok(false) };
    query_scalar("SELECT phase = $1 FROM attempts WHERE id = $2")
        .bind(AttemptPhase::Ended.as_str())
        .bind(attempt)
        .fetch_optional(&mut **tx)
        .await
        .map(|ended: Option<bool>| ended.unwrap_or(true))
        .context("check an attempt")
}

/// The fence: an attempt writes only while it is live and claimed, and has not reported.
pub(super) async fn may_write(tx: &mut Transaction, writer: &StateWriter) -> Result<bool, StoreError> {
    let Some(attempt) = writer.attempt() else { return Ok(true) };
    query_scalar("SELECT live AND claimed_at IS NOT NULL AND result IS NULL FROM attempts WHERE id = $1")
        .bind(attempt)
        .fetch_optional(&mut **tx)
        .await
        .map(|live: Option<bool>| live.unwrap_or(false))
        .context("check an attempt")
}
