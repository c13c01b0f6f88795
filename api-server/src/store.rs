//! The store: organizations, workspaces, variables, templates, jobs, steps, attempts and states in one SQLite
//! file.
//!
//! It stores records and guards their transitions. It makes no decision about jobs and uses no backend. Every
//! change is one transaction. Large data (logs, plans, states) is in [`crate::blobs`] and [`crate::logs`].

use std::{path::Path, time::Duration};

use sqlx::{
    postgres::PgPoolOptions,
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous},
};

use self::db::{LeaseLost, Pool, Transaction, query, query_scalar};
use crate::encryption::{EncryptionKey, OpenError};

mod db;
#[macro_use]
mod from_row;

mod address;
mod attempts;
mod bundles;
mod catalog;
mod cause_record;
mod collections;
mod decisions;
mod executors;
mod jobs;
mod migrations;
mod observations;
mod plans;
mod prepared;
mod progress;
mod replicas;
mod resolutions;
mod rows;
mod schedule;
mod state_versions;
mod states;
mod stored_messages;
mod tokens;
mod upgrade;
mod variables;

pub use address::{AddressError, PostgresAddress};
pub use attempts::{DeliveredLog, LogState, NewAttempt};
pub use catalog::NewWorkspace;
pub use cause_record::{CauseRecord, ConfigProblemRecord, ImageProblemRecord, RefuserRecord, WaitingRecord};
pub use executors::{AttemptAuth, ClaimOutcome, ReportOutcome};
pub use plans::StoredPlan;
pub use prepared::{ClaimData, Prepared};
pub use replicas::{Wake, Wakes};
pub use resolutions::{NewResolution, Resolution, ResolutionAction, StateVersions};
pub use state_versions::StateVersion;
pub use states::{LockOutcome, StateLock, StateWriter};
pub use variables::{NewVariable, VariableChange, VariableView};

const KEY_CHECK: &str = "key check";

/// A replica uses at most this many connections to PostgreSQL.
const POSTGRES_CONNECTIONS: u32 = 16;

/// An error of the store.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The database failed or is unavailable.
    #[error("could not {action}")]
    Database {
        /// What failed.
        action: &'static str,
        /// The error of the database.
        #[source]
        source: sqlx::Error,
    },
    /// A stored value cannot be decrypted.
    #[error(transparent)]
    Sealed(#[from] OpenError),
    /// The store was created with another key.
    #[error("this store was created with another encryption key; all replicas must use the same key file")]
    WrongKey,
    /// Another replica decides about the job: what this one decided is not stored.
    #[error("another replica has taken job {job}")]
    LeaseLost {
        /// The job.
        job: i64,
    },
    /// The record does not exist.
    #[error("there is no {kind} {id:?}")]
    NotFound {
        /// The kind of record.
        kind: &'static str,
        /// Its id, as the caller gave it.
        id: String,
    },
    /// The name exists.
    #[error("{kind} {name:?} exists already")]
    Exists {
        /// The kind of record.
        kind: &'static str,
        /// Its name.
        name: String,
    },
    /// The state of the record does not allow it.
    #[error("{0}")]
    Conflict(String),
    /// A stored value is invalid: a newer version wrote it, or the file is damaged.
    #[error("the store holds an invalid value: {0}")]
    Corrupt(String),
}

impl StoreError {
    fn no_attempt(id: &str) -> Self {
        Self::NotFound { kind: "attempt", id: id.to_owned() }
    }
}

/// Adds what failed to an error of the database.
trait ResultExt<T> {
    fn context(self, action: &'static str) -> Result<T, StoreError>;
}

impl<T> ResultExt<T> for Result<T, sqlx::Error> {
    fn context(self, action: &'static str) -> Result<T, StoreError> {
        self.map_err(|source| match &source {
            sqlx::Error::AnyDriverError(error) => match error.downcast_ref::<LeaseLost>() {
                Some(lost) => StoreError::LeaseLost { job: lost.0 },
                None => StoreError::Database { action, source },
            },
            _ => StoreError::Database { action, source },
        })
    }
}

/// Handle to the store; clones share one pool.
#[derive(Debug, Clone)]
pub struct Store {
    pool: Pool,
    secrets: EncryptionKey,
}

impl Store {
    /// Opens the file or creates it, and migrates it to the current version.
    ///
    /// # Errors
    /// [`StoreError::WrongKey`] when the store was created with another key; otherwise the database failed.
    pub async fn open(path: &Path, secrets: EncryptionKey) -> Result<Self, StoreError> {
        let options = SqliteConnectOptions::new()
            .filename(path)
            .create_if_missing(true)
            .foreign_keys(true)
            .journal_mode(SqliteJournalMode::Wal)
            // FULL: acknowledged writes survive a power failure.
            .synchronous(SqliteSynchronous::Full)
            .busy_timeout(Duration::from_secs(30));
        let pool = SqlitePoolOptions::new()
            .max_connections(8)
            .connect_with(options)
            .await
            .context("open the store")?;
        migrations::sqlite().run(&pool).await.map_err(sqlx::Error::from).context("migrate the store")?;
        let store = Self::checked(Pool::sqlite(pool), secrets).await?;
        store.remove_all_replicas().await?;
        Ok(store)
    }

    /// Connects to a PostgreSQL database, and migrates it to the current version.
    ///
    /// # Errors
    /// [`StoreError::WrongKey`] when the store was created with another key; otherwise the database failed.
    pub async fn connect(address: PostgresAddress, secrets: EncryptionKey) -> Result<Self, StoreError> {
        let pool = PgPoolOptions::new()
            .max_connections(POSTGRES_CONNECTIONS)
            .connect_with(address.into_options())
            .await
            .context("connect to the database")?;
        migrations::postgres().run(&pool).await.map_err(sqlx::Error::from).context("migrate the store")?;
        Self::checked(Pool::postgres(pool), secrets).await
    }

    async fn checked(pool: Pool, secrets: EncryptionKey) -> Result<Self, StoreError> {
        let store = Self { pool, secrets };
        store.check_key().await?;
        store.separate_claim_data().await?;
        Ok(store)
    }

    /// Checks that the database is available.
    ///
    /// # Errors
    /// The database failed.
    pub async fn ping(&self) -> Result<(), StoreError> {
        query_scalar::<i64>("SELECT 1").fetch_one(&self.pool).await.context("reach the store")?;
        Ok(())
    }

    /// Waits until all connections are closed.
    pub async fn close(&self) {
        self.pool.close().await;
    }

    /// Begins a transaction that will write.
    async fn write(&self) -> Result<Transaction, StoreError> {
        self.pool.begin_write().await.context("begin a transaction")
    }

    async fn check_key(&self) -> Result<(), StoreError> {
        let mut tx = self.write().await?;
        let stored: Option<Vec<u8>> = query_scalar("SELECT value FROM meta WHERE key = $1")
            .bind(KEY_CHECK)
            .fetch_optional(&mut *tx)
            .await
            .context("read the key check")?;
        if let Some(sealed) = stored {
            return self.secrets.open(KEY_CHECK, &sealed).map(|_| ()).map_err(|_| StoreError::WrongKey);
        }
        query("INSERT INTO meta (key, value) VALUES ($1, $2)")
            .bind(KEY_CHECK)
            .bind(self.secrets.seal(KEY_CHECK, b"ok"))
            .execute(&mut *tx)
            .await
            .context("store the key check")?;
        tx.commit().await.context("store the key check")
    }
}

/// Returns the id of a new record; ids sort by creation time.
fn new_id() -> String {
    uuid::Uuid::now_v7().to_string()
}

/// Returns the current time in the format of the store.
fn now() -> String {
    jiff::Timestamp::now().to_string()
}

fn parse_time(text: &str) -> Result<jiff::Timestamp, StoreError> {
    text.parse().map_err(|_| StoreError::Corrupt(format!("time {text:?}")))
}

fn parse_time_opt(text: Option<&str>) -> Result<Option<jiff::Timestamp>, StoreError> {
    text.map(parse_time).transpose()
}

/// Turns the violation of a unique index into [`StoreError::Exists`].
fn created<T>(result: Result<T, sqlx::Error>, kind: &'static str, name: &str) -> Result<T, StoreError> {
    result.map_err(|source| {
        if is_unique_violation(&source) {
            StoreError::Exists { kind, name: name.to_owned() }
        } else {
            StoreError::Database { action: "store a new record", source }
        }
    })
}

fn is_unique_violation(error: &sqlx::Error) -> bool {
    error.as_database_error().is_some_and(sqlx::error::DatabaseError::is_unique_violation)
}

#[cfg(test)]
#[path = "../tests/support/postgres.rs"]
mod postgres_server;
#[cfg(test)]
mod tests;
