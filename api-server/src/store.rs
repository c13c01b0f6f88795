//! The store: organizations, workspaces, variables, templates, jobs, steps, attempts and states in one SQLite file.
//!
//! It keeps records and guards their transitions; it decides nothing about jobs and talks to no backend. Every change is one
//! transaction. Large bytes (logs, plans, states) live beside it, in [`crate::blobs`] and [`crate::logs`].

use std::{path::Path, time::Duration};

use sqlx::{
    Sqlite, SqlitePool, Transaction,
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous},
};

use crate::encryption::{EncryptionKey, OpenError};

#[macro_use]
mod from_row;

mod attempts;
mod catalog;
mod decisions;
mod executors;
mod jobs;
mod migrations;
mod prepared;
mod rows;
mod states;
mod tokens;
mod variables;

pub use attempts::NewAttempt;
pub use catalog::NewWorkspace;
pub use executors::{AttemptAuth, ClaimOutcome, ReportOutcome};
pub use prepared::Prepared;
pub use states::{LockOutcome, StateLock, StateRecord, StateWriter};

const KEY_CHECK: &str = "key check";

/// What the store cannot do.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The database refused or is away.
    #[error("could not {action}")]
    Database {
        /// What was tried.
        action: &'static str,
        /// What the database said.
        #[source]
        source: sqlx::Error,
    },
    /// A stored value does not open.
    #[error(transparent)]
    Sealed(#[from] OpenError),
    /// The store was made with another key.
    #[error("the encryption key is not the one this store was made with")]
    WrongKey,
    /// There is no such thing.
    #[error("there is no {kind} {id:?}")]
    NotFound {
        /// What was looked for.
        kind: &'static str,
        /// Its id, as it was given.
        id: String,
    },
    /// The name is taken.
    #[error("{kind} {name:?} exists already")]
    Exists {
        /// What was to be made.
        kind: &'static str,
        /// Its name.
        name: String,
    },
    /// The state of things does not allow it.
    #[error("{0}")]
    Conflict(String),
    /// A stored value has no meaning: the file was made by a newer version or was damaged.
    #[error("the store holds a value that has no meaning here: {0}")]
    Corrupt(String),
}

/// Says what was tried when the database fails.
trait Trying<T> {
    fn trying(self, action: &'static str) -> Result<T, StoreError>;
}

impl<T> Trying<T> for Result<T, sqlx::Error> {
    fn trying(self, action: &'static str) -> Result<T, StoreError> {
        self.map_err(|source| StoreError::Database { action, source })
    }
}

/// Handle to the store; clones share one pool.
#[derive(Debug, Clone)]
pub struct Store {
    pool: SqlitePool,
    secrets: EncryptionKey,
}

impl Store {
    /// Opens the file, makes it if there is none, and brings its tables to the current version.
    ///
    /// # Errors
    /// [`StoreError::WrongKey`] when the key is not the one the store was made with; otherwise what the database said.
    pub async fn open(path: &Path, secrets: EncryptionKey) -> Result<Self, StoreError> {
        let options = SqliteConnectOptions::new()
            .filename(path)
            .create_if_missing(true)
            .foreign_keys(true)
            .journal_mode(SqliteJournalMode::Wal)
            // FULL: what was acknowledged survives a power failure too.
            .synchronous(SqliteSynchronous::Full)
            .busy_timeout(Duration::from_secs(30));
        let pool = SqlitePoolOptions::new()
            .max_connections(8)
            .connect_with(options)
            .await
            .trying("open the store")?;
        migrations::migrator()
            .run(&pool)
            .await
            .map_err(sqlx::Error::from)
            .trying("bring the store to the current version")?;
        let store = Self { pool, secrets };
        store.check_key().await?;
        Ok(store)
    }

    /// Tells whether the database answers.
    ///
    /// # Errors
    /// What the database said.
    pub async fn ping(&self) -> Result<(), StoreError> {
        sqlx::query("SELECT 1").execute(&self.pool).await.trying("reach the store")?;
        Ok(())
    }

    /// Waits until all connections are closed.
    pub async fn close(&self) {
        self.pool.close().await;
    }

    /// Begins a transaction that will write. Taking the write lock at once avoids a failure when a read would be
    /// upgraded later.
    async fn write(&self) -> Result<Transaction<'static, Sqlite>, StoreError> {
        self.pool.begin_with("BEGIN IMMEDIATE").await.trying("begin a transaction")
    }

    async fn check_key(&self) -> Result<(), StoreError> {
        let stored: Option<Vec<u8>> = sqlx::query_scalar("SELECT value FROM meta WHERE key = ?")
            .bind(KEY_CHECK)
            .fetch_optional(&self.pool)
            .await
            .trying("read the key check")?;
        if let Some(sealed) = stored {
            return self.secrets.open(KEY_CHECK, &sealed).map(|_| ()).map_err(|_| StoreError::WrongKey);
        }
        sqlx::query("INSERT INTO meta (key, value) VALUES (?, ?)")
            .bind(KEY_CHECK)
            .bind(self.secrets.seal(KEY_CHECK, b"ok"))
            .execute(&self.pool)
            .await
            .trying("store the key check")?;
        Ok(())
    }
}

/// Makes the id of a new record; ids sort by the time they were made.
fn new_id() -> String {
    uuid::Uuid::now_v7().to_string()
}

/// The current time, as it is stored.
fn now() -> String {
    jiff::Timestamp::now().to_string()
}

fn parse_time(text: &str) -> Result<jiff::Timestamp, StoreError> {
    text.parse().map_err(|_| StoreError::Corrupt(format!("time {text:?}")))
}

fn parse_time_opt(text: Option<&str>) -> Result<Option<jiff::Timestamp>, StoreError> {
    text.map(parse_time).transpose()
}

fn is_unique_violation(error: &sqlx::Error) -> bool {
    error.as_database_error().is_some_and(sqlx::error::DatabaseError::is_unique_violation)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_store_opens_again_with_its_own_key_only() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("store.sqlite");
        let store = Store::open(&path, EncryptionKey::new([1; 32])).await.unwrap();
        let organization = store.create_organization("acme").await.unwrap();
        store.close().await;
        let error = Store::open(&path, EncryptionKey::new([2; 32])).await.unwrap_err();
        assert!(matches!(error, StoreError::WrongKey), "{error}");
        let store = Store::open(&path, EncryptionKey::new([1; 32])).await.unwrap();
        assert_eq!(store.organization(&organization.id).await.unwrap().name, "acme");
    }

    #[tokio::test]
    async fn a_store_of_a_newer_version_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("store.sqlite");
        let store = Store::open(&path, EncryptionKey::new([1; 32])).await.unwrap();
        sqlx::query(
            "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time)
             VALUES (9999, 'from the future', TRUE, x'00', 0)",
        )
        .execute(&store.pool)
        .await
        .unwrap();
        store.close().await;
        let error = Store::open(&path, EncryptionKey::new([1; 32])).await.unwrap_err();
        assert!(matches!(error, StoreError::Database { .. }), "{error}");
    }
}
