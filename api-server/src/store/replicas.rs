//! Several programs on one database: which of them decides about a job, and how they wake each other.
//!
//! A replica keeps a lease. A job is taken by one replica, and given to another one when that lease has
//! expired. Each time the job's generation grows, and a store that was made for an older generation writes
//! nothing any more: so a replica that was stopped in the middle of a decision cannot act on it later. Times
//! are those of the database, because the clocks of replicas differ.

use std::time::Duration;

use sqlx::{AssertSqlSafe, postgres::PgListener};

use super::{
    ResultExt as _, Store, StoreError,
    db::{Lease, query, query_scalar},
    rows::open_statuses,
};

/// The channel of wake-ups in PostgreSQL; a message is the id of a job.
const CHANNEL: &str = "ephemeral_agents_jobs";

/// Key of the id of the data folder.
const DATA_FOLDER: &str = "data folder";

/// A wake-up of another replica.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wake {
    /// Something about this job was stored.
    Job(i64),
    /// Wake-ups may have been lost.
    Missed,
}

/// The wake-ups of other replicas, from now on.
#[derive(Debug)]
pub struct Wakes(Option<PgListener>);

impl Wakes {
    /// Waits for the next one. Without other replicas there is none.
    ///
    /// # Errors
    /// The database failed; the next call connects again.
    pub async fn next(&mut self) -> Result<Wake, StoreError> {
        let Some(listener) = &mut self.0 else { return std::future::pending().await };
        let notification = listener.try_recv().await.context("wait for other replicas")?;
        let job = notification.and_then(|notification| notification.payload().parse().ok());
        Ok(job.map_or(Wake::Missed, Wake::Job))
    }
}

impl Store {
    /// Returns whether other programs may use the database at the same time.
    #[must_use]
    pub fn is_shared(&self) -> bool {
        self.pool.postgres_pool().is_some()
    }

    /// Extends the lease of a replica, from now on.
    ///
    /// # Errors
    /// The database failed.
    pub async fn renew_replica(&self, id: &str, lease: Duration) -> Result<(), StoreError> {
        let sql = format!(
            "INSERT INTO replicas (id, expires_at) VALUES ($1, {now} + $2)
             ON CONFLICT (id) DO UPDATE SET expires_at = excluded.expires_at",
            now = self.pool.now_millis()
        );
        query(AssertSqlSafe(sql))
            .bind(id)
            .bind(i64::try_from(lease.as_millis()).unwrap_or(i64::MAX))
            // It must not wait for writers: the lease would expire meanwhile.
            .execute_unordered(&self.pool)
            .await
            .context("renew the lease of a replica")?;
        Ok(())
    }

    /// Ends the lease of a replica; others may take its jobs at once.
    ///
    /// # Errors
    /// The database failed.
    pub async fn remove_replica(&self, id: &str) -> Result<(), StoreError> {
        query("DELETE FROM replicas WHERE id = $1")
            .bind(id)
            .execute(&self.pool)
            .await
            .context("end the lease of a replica")?;
        Ok(())
    }

    /// Removes all replicas: a file has one program at a time, and this is it.
    pub(super) async fn remove_all_replicas(&self) -> Result<(), StoreError> {
        query("DELETE FROM replicas").execute(&self.pool).await.context("end the leases of replicas")?;
        Ok(())
    }

    /// Lists the open jobs about which no replica with a lease decides, oldest first.
    ///
    /// # Errors
    /// The database failed.
    pub async fn jobs_without_replica(&self) -> Result<Vec<i64>, StoreError> {
        query_scalar(AssertSqlSafe(format!(
            "SELECT id FROM jobs WHERE status IN {} AND NOT {} ORDER BY id",
            open_statuses(),
            self.has_driver()
        )))
        .fetch_all(&self.pool)
        .await
        .context("list jobs without a replica")
    }

    /// Makes a replica the one that decides about a job. Returns the store for its decisions: all that it
    /// writes fails with [`StoreError::LeaseLost`] once another replica has taken the job. Returns `None`
    /// if another one with a lease decides, or if this one has no lease.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] when there is no such job.
    pub async fn take_job(&self, job_id: i64, replica: &str) -> Result<Option<Self>, StoreError> {
        // Most wake-ups are for the job of another replica; finding that out takes no lock.
        let sql = format!(
            "SELECT (driver = $2 OR NOT {})
                    AND EXISTS (SELECT 1 FROM replicas WHERE id = $2 AND expires_at > {})
             FROM jobs WHERE id = $1",
            self.has_driver(),
            self.pool.now_millis()
        );
        let may_take = || query_scalar::<Option<bool>>(AssertSqlSafe(sql.clone())).bind(job_id).bind(replica);
        let missing = || StoreError::NotFound { kind: "job", id: job_id.to_string() };
        let found = may_take().fetch_optional(&self.pool).await.context("look for the replica of a job")?;
        if found.ok_or_else(missing)? != Some(true) {
            return Ok(None);
        }
        let mut tx = self.write().await?;
        let found = may_take().fetch_optional(&mut *tx).await.context("look for the replica of a job")?;
        if found.ok_or_else(missing)? != Some(true) {
            return Ok(None);
        }
        let generation = query_scalar(
            "UPDATE jobs SET driver = $1, generation = generation + 1 WHERE id = $2 RETURNING generation",
        )
        .bind(replica)
        .bind(job_id)
        .fetch_one(&mut *tx)
        .await
        .context("take a job")?;
        tx.commit().await.context("take a job")?;
        let pool = self.pool.fenced(Lease { job_id, generation });
        Ok(Some(Self { pool, secrets: self.secrets.clone() }))
    }

    /// The condition that a replica with a lease decides about the job of a row.
    fn has_driver(&self) -> String {
        format!(
            "EXISTS (SELECT 1 FROM replicas r WHERE r.id = jobs.driver AND r.expires_at > {})",
            self.pool.now_millis()
        )
    }

    /// Wakes the other replicas: something about this job was stored.
    ///
    /// # Errors
    /// The database failed.
    pub async fn wake_replicas(&self, job_id: i64) -> Result<(), StoreError> {
        if let Some(pool) = self.pool.postgres_pool() {
            sqlx::query("SELECT pg_notify($1, $2)")
                .bind(CHANNEL)
                .bind(job_id.to_string())
                .execute(pool)
                .await
                .context("wake other replicas")?;
        }
        Ok(())
    }

    /// Listens to the wake-ups of other replicas.
    ///
    /// # Errors
    /// The database failed.
    pub async fn wakes(&self) -> Result<Wakes, StoreError> {
        let Some(pool) = self.pool.postgres_pool() else { return Ok(Wakes(None)) };
        let mut listener = PgListener::connect_with(pool).await.context("listen to other replicas")?;
        listener.listen(CHANNEL).await.context("listen to other replicas")?;
        Ok(Wakes(Some(listener)))
    }

    /// Binds the database to a data folder, once. Replicas with different folders would not find the logs,
    /// plans and states of each other.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] when it is bound to another folder.
    pub async fn bind_data_folder(&self, id: &str) -> Result<(), StoreError> {
        let mut tx = self.write().await?;
        let bound: Option<Vec<u8>> = query_scalar("SELECT value FROM meta WHERE key = $1")
            .bind(DATA_FOLDER)
            .fetch_optional(&mut *tx)
            .await
            .context("read the id of the data folder")?;
        match bound {
            Some(bound) if bound == id.as_bytes() => return Ok(()),
            Some(bound) => {
                return Err(StoreError::Conflict(format!(
                    "the database belongs to the data folder with id {:?}, this one has id {id:?}; \
                     all replicas must use one shared folder",
                    String::from_utf8_lossy(&bound)
                )));
            }
            None => {}
        }
        query("INSERT INTO meta (key, value) VALUES ($1, $2)")
            .bind(DATA_FOLDER)
            .bind(id.as_bytes())
            .execute(&mut *tx)
            .await
            .context("store the id of the data folder")?;
        tx.commit().await.context("store the id of the data folder")
    }
}

#[cfg(test)]
mod tests;
