//! One way to query SQLite and PostgreSQL: every text of SQL in the store is valid in both.
//!
//! Parameters are `$1`, `$2`…, which both accept. The `Any` driver of sqlx is no alternative: it cannot read
//! a `BOOLEAN` column of SQLite. Transactions that write exclude each other, in all replicas: in SQLite by
//! `BEGIN IMMEDIATE`, in PostgreSQL by an advisory lock. So a transaction may decide on what it has read.

use std::sync::Arc;

use sqlx::{PgPool, Postgres, Sqlite, SqlitePool};
use tokio::sync::{Mutex, OwnedMutexGuard};

mod query;
mod value;

pub(super) use query::{Query, query, query_as, query_scalar};
pub(super) use value::{FromRow, Row};

/// Begins a transaction that writes. SQLite takes its write lock at once, because upgrading a read lock can
/// fail.
const BEGIN_WRITE_SQLITE: &str = "BEGIN IMMEDIATE";

/// The same in PostgreSQL, in one round trip. The number is that of our lock; it means nothing else.
const BEGIN_WRITE_POSTGRES: &str = "BEGIN; SELECT pg_advisory_xact_lock(7246105)";

/// Begins a transaction whose reads see one version of all tables. SQLite has no other ones.
const BEGIN_READ_POSTGRES: &str = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY";

/// The connections to a database; clones share them.
#[derive(Debug, Clone)]
pub(super) struct Pool {
    driver: Driver,
    /// Writers of this program queue here, in order, and hold one connection at a time.
    writer: Arc<Mutex<()>>,
    /// Every transaction that writes first checks that it is valid.
    lease: Option<Lease>,
}

/// The right to decide about a job, as long as its generation is this one.
#[derive(Debug, Clone, Copy)]
pub(super) struct Lease {
    pub(super) job_id: i64,
    pub(super) generation: i64,
}

/// Another replica has taken the job.
#[derive(Debug, thiserror::Error)]
#[error("another replica has taken job {0}")]
pub(super) struct LeaseLost(pub(super) i64);

#[derive(Debug, Clone)]
enum Driver {
    Sqlite(SqlitePool),
    Postgres(PgPool),
}

/// A connection in a transaction.
#[derive(Debug)]
pub(super) enum Connection {
    Sqlite(sqlx::Transaction<'static, Sqlite>),
    Postgres(sqlx::Transaction<'static, Postgres>),
}

/// A transaction. Dropping it discards its changes.
#[derive(Debug)]
pub(super) struct Transaction {
    connection: Connection,
    _writer: Option<OwnedMutexGuard<()>>,
}

impl Pool {
    pub(super) fn sqlite(pool: SqlitePool) -> Self {
        Self { driver: Driver::Sqlite(pool), writer: Arc::default(), lease: None }
    }

    pub(super) fn postgres(pool: PgPool) -> Self {
        Self { driver: Driver::Postgres(pool), writer: Arc::default(), lease: None }
    }

    /// Returns a handle whose writes need this lease.
    pub(super) fn fenced(&self, lease: Lease) -> Self {
        Self { lease: Some(lease), ..self.clone() }
    }

    /// Returns the pool of PostgreSQL, for what only that database has.
    pub(super) fn postgres_pool(&self) -> Option<&PgPool> {
        match &self.driver {
            Driver::Sqlite(_) => None,
            Driver::Postgres(pool) => Some(pool),
        }
    }

    /// Returns SQL for the time of the database in milliseconds since 1970.
    pub(super) fn now_millis(&self) -> &'static str {
        match &self.driver {
            Driver::Sqlite(_) => "CAST((julianday('now') - 2440587.5) * 86400000 AS INTEGER)",
            Driver::Postgres(_) => "CAST(extract(epoch FROM clock_timestamp()) * 1000 AS BIGINT)",
        }
    }

    /// Begins a transaction that reads: it sees the database as it is at its first query.
    pub(super) async fn begin(&self) -> sqlx::Result<Transaction> {
        let connection = match &self.driver {
            Driver::Sqlite(pool) => Connection::Sqlite(pool.begin().await?),
            Driver::Postgres(pool) => Connection::Postgres(pool.begin_with(BEGIN_READ_POSTGRES).await?),
        };
        Ok(Transaction { connection, _writer: None })
    }

    /// Begins a transaction that writes. No other one writes until it ends.
    pub(super) async fn begin_write(&self) -> sqlx::Result<Transaction> {
        let writer = Arc::clone(&self.writer).lock_owned().await;
        let connection = match &self.driver {
            Driver::Sqlite(pool) => Connection::Sqlite(pool.begin_with(BEGIN_WRITE_SQLITE).await?),
            Driver::Postgres(pool) => Connection::Postgres(pool.begin_with(BEGIN_WRITE_POSTGRES).await?),
        };
        let mut transaction = Transaction { connection, _writer: Some(writer) };
        if let Some(lease) = self.lease {
            lease.check(&mut transaction).await?;
        }
        Ok(transaction)
    }

    /// Waits until all connections are closed.
    pub(super) async fn close(&self) {
        match &self.driver {
            Driver::Sqlite(pool) => pool.close().await,
            Driver::Postgres(pool) => pool.close().await,
        }
    }
}

impl Lease {
    /// Checks that no other replica has taken the job. Nothing can change that until the transaction ends.
    async fn check(self, transaction: &mut Transaction) -> sqlx::Result<()> {
        let generation = query_scalar::<i64>("SELECT generation FROM jobs WHERE id = $1")
            .bind(self.job_id)
            .fetch_optional(&mut **transaction)
            .await?;
        if generation == Some(self.generation) {
            return Ok(());
        }
        Err(sqlx::Error::AnyDriverError(Box::new(LeaseLost(self.job_id))))
    }
}

impl Transaction {
    /// Makes the changes permanent.
    pub(super) async fn commit(self) -> sqlx::Result<()> {
        match self.connection {
            Connection::Sqlite(transaction) => transaction.commit().await,
            Connection::Postgres(transaction) => transaction.commit().await,
        }
    }
}

impl std::ops::Deref for Transaction {
    type Target = Connection;

    fn deref(&self) -> &Connection {
        &self.connection
    }
}

impl std::ops::DerefMut for Transaction {
    fn deref_mut(&mut self) -> &mut Connection {
        &mut self.connection
    }
}
