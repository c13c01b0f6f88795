//! Terraform states: versions and locks. The bytes live in [`crate::blobs`].

use super::{
    ResultExt as _, Store, StoreError,
    db::{Transaction, query, query_as, query_scalar},
    now,
};

/// The writer of a state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StateWriter {
    /// The executor of this attempt; refused when the attempt has ended.
    Attempt(String),
    /// A user with a token.
    User,
}

impl StateWriter {
    /// Returns the id of the attempt, if the writer is one.
    #[must_use]
    pub fn attempt(&self) -> Option<&str> {
        match self {
            Self::Attempt(id) => Some(id),
            Self::User => None,
        }
    }
}

/// A stored version of a state.
#[derive(Debug, Clone)]
pub struct StateRecord {
    /// Terraform's serial number.
    pub serial: i64,
    /// Terraform's lineage.
    pub lineage: String,
    /// Name of the blob with its bytes.
    pub blob: String,
}
from_row!(StateRecord { serial, lineage, blob });

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
    fn is_held_by(&self, writer: &StateWriter, lock_id: Option<&str>) -> bool {
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
}

impl Store {
    /// Reads the latest state of a workspace.
    ///
    /// # Errors
    /// The database failed.
    pub async fn latest_state(&self, workspace_id: &str) -> Result<Option<StateRecord>, StoreError> {
        query_as("SELECT serial, lineage, blob FROM states WHERE workspace_id = $1 ORDER BY id DESC LIMIT 1")
            .bind(workspace_id)
            .fetch_optional(&self.pool)
            .await
            .context("look up a state")
    }

    /// Reads the latest state for an attempt, and records which version the attempt has read: none counts as
    /// serial 0 without lineage.
    ///
    /// # Errors
    /// The database failed.
    pub async fn read_state(
        &self,
        workspace_id: &str,
        attempt_id: &str,
    ) -> Result<Option<StateRecord>, StoreError> {
        let mut tx = self.write().await?;
        let record: Option<StateRecord> = query_as(
            "SELECT serial, lineage, blob FROM states WHERE workspace_id = $1 ORDER BY id DESC LIMIT 1",
        )
        .bind(workspace_id)
        .fetch_optional(&mut *tx)
        .await
        .context("look up a state")?;
        let (serial, lineage) =
            record.as_ref().map_or((0, ""), |record| (record.serial, record.lineage.as_str()));
        // A plan that is stored was made from what was read before.
        query(
            "UPDATE attempts SET read_serial = $1, read_lineage = $2 WHERE id = $3 AND live AND NOT has_plan",
        )
        .bind(serial)
        .bind(lineage)
        .bind(attempt_id)
        .execute(&mut *tx)
        .await
        .context("record which state was read")?;
        tx.commit().await.context("record which state was read")?;
        Ok(record)
    }

    /// Stores a new version of a state. `lock_id` is the lock that the writer claims to hold.
    ///
    /// # Errors
    /// The database failed.
    pub async fn put_state(
        &self,
        workspace_id: &str,
        record: &StateRecord,
        writer: &StateWriter,
        lock_id: Option<&str>,
    ) -> Result<LockOutcome, StoreError> {
        let mut tx = self.write().await?;
        if !may_write(&mut tx, writer).await? {
            return Ok(LockOutcome::Fenced);
        }
        if let Some(lock) = read_lock(&mut tx, workspace_id).await?
            && !lock.is_held_by(writer, lock_id)
        {
            return Ok(LockOutcome::HeldBy(lock));
        }
        query(
            "INSERT INTO states (workspace_id, serial, lineage, attempt_id, blob, created_at)
             VALUES ($1, $2, $3, $4, $5, $6)",
        )
        .bind(workspace_id)
        .bind(record.serial)
        .bind(&record.lineage)
        .bind(writer.attempt())
        .bind(&record.blob)
        .bind(now())
        .execute(&mut *tx)
        .await
        .context("store a state")?;
        tx.commit().await.context("store a state")?;
        Ok(LockOutcome::Done)
    }

    /// Locks a state. The holder may repeat the request.
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
        if !may_write(&mut tx, writer).await? {
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
            None => *writer == StateWriter::User,
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

async fn read_lock(tx: &mut Transaction, workspace_id: &str) -> Result<Option<StateLock>, StoreError> {
    query_as("SELECT lock_id, info, attempt_id FROM state_locks WHERE workspace_id = $1")
        .bind(workspace_id)
        .fetch_optional(&mut **tx)
        .await
        .context("read the lock of a state")
}

/// The fence: an attempt writes only while it is live and claimed, and has not reported.
async fn may_write(tx: &mut Transaction, writer: &StateWriter) -> Result<bool, StoreError> {
    let Some(attempt) = writer.attempt() else { return Ok(true) };
    query_scalar("SELECT live AND claimed_at IS NOT NULL AND result IS NULL FROM attempts WHERE id = $1")
        .bind(attempt)
        .fetch_optional(&mut **tx)
        .await
        .map(|live: Option<bool>| live.unwrap_or(false))
        .context("check an attempt")
}
