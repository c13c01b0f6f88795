//! Statements with their parameters, executed by the pool or in a transaction.

use std::marker::PhantomData;

use futures::TryStreamExt as _;
use sqlx::{
    Postgres, SqlSafeStr, SqlStr, Sqlite, postgres::PgArguments, query::Query as SqlxQuery,
    sqlite::SqliteArguments,
};

use super::{
    Connection, Driver, Pool, Transaction,
    value::{FromColumn, FromRow, Row, ToValue, Value},
};

/// Where a statement runs: alone, or in a transaction.
pub(in crate::store) enum Executor<'a> {
    Pool(&'a Pool),
    Connection(&'a mut Connection),
}

impl<'a> From<&'a Pool> for Executor<'a> {
    fn from(pool: &'a Pool) -> Self {
        Self::Pool(pool)
    }
}

impl<'a> From<&'a mut Connection> for Executor<'a> {
    fn from(connection: &'a mut Connection) -> Self {
        Self::Connection(connection)
    }
}

impl<'a> From<&'a mut Transaction> for Executor<'a> {
    fn from(transaction: &'a mut Transaction) -> Self {
        Self::Connection(transaction)
    }
}

/// What a statement has changed.
#[derive(Debug, Clone, Copy)]
pub(in crate::store) struct Changes(u64);

impl Changes {
    pub(in crate::store) fn rows_affected(self) -> u64 {
        self.0
    }
}

/// A statement without a result.
pub(in crate::store) fn query(sql: impl SqlSafeStr) -> Query {
    Query { sql: sql.into_sql_str(), values: Vec::new() }
}

/// A statement whose rows are read into `T`.
pub(in crate::store) fn query_as<T: FromRow>(sql: impl SqlSafeStr) -> QueryAs<T> {
    QueryAs { query: query(sql), row: PhantomData }
}

/// A statement whose rows have one column.
pub(in crate::store) fn query_scalar<T: FromColumn>(sql: impl SqlSafeStr) -> QueryScalar<T> {
    QueryScalar { query: query(sql), column: PhantomData }
}

/// A statement with its parameters.
pub(in crate::store) struct Query {
    sql: SqlStr,
    values: Vec<Value>,
}

impl Query {
    /// Adds the next parameter.
    pub(in crate::store) fn bind(mut self, value: impl ToValue) -> Self {
        self.values.push(ToValue::to_value(Some(value)));
        self
    }

    /// Executes a statement. Alone, it is a transaction that writes.
    pub(in crate::store) async fn execute(self, on: impl Into<Executor<'_>>) -> sqlx::Result<Changes> {
        match on.into() {
            Executor::Connection(connection) => self.execute_in(connection).await,
            Executor::Pool(pool) => {
                let mut transaction = pool.begin_write().await?;
                let changes = self.execute_in(&mut transaction).await?;
                transaction.commit().await?;
                Ok(changes)
            }
        }
    }

    async fn execute_in(self, connection: &mut Connection) -> sqlx::Result<Changes> {
        let changed = match connection {
            Connection::Sqlite(transaction) => {
                self.into_sqlite().execute(&mut **transaction).await?.rows_affected()
            }
            Connection::Postgres(transaction) => {
                self.into_postgres().execute(&mut **transaction).await?.rows_affected()
            }
        };
        Ok(Changes(changed))
    }

    /// Executes one statement that needs no order among the transactions that write.
    pub(in crate::store) async fn execute_unordered(self, pool: &Pool) -> sqlx::Result<Changes> {
        let changed = match &pool.driver {
            Driver::Sqlite(pool) => self.into_sqlite().execute(pool).await?.rows_affected(),
            Driver::Postgres(pool) => self.into_postgres().execute(pool).await?.rows_affected(),
        };
        Ok(Changes(changed))
    }

    /// Fetches all rows. Outside of a transaction it must be a statement that only reads.
    async fn rows(self, on: Executor<'_>) -> sqlx::Result<Vec<Row>> {
        match on {
            Executor::Pool(Pool { driver: Driver::Sqlite(pool), .. }) => {
                self.into_sqlite().fetch(pool).map_ok(Row::Sqlite).try_collect().await
            }
            Executor::Pool(Pool { driver: Driver::Postgres(pool), .. }) => {
                self.into_postgres().fetch(pool).map_ok(Row::Postgres).try_collect().await
            }
            Executor::Connection(Connection::Sqlite(transaction)) => {
                self.into_sqlite().fetch(&mut **transaction).map_ok(Row::Sqlite).try_collect().await
            }
            Executor::Connection(Connection::Postgres(transaction)) => {
                self.into_postgres().fetch(&mut **transaction).map_ok(Row::Postgres).try_collect().await
            }
        }
    }

    fn into_sqlite(self) -> SqlxQuery<'static, Sqlite, SqliteArguments> {
        let query = sqlx::query::<Sqlite>(self.sql);
        self.values.into_iter().fold(query, |query, value| match value {
            Value::Bool(value) => query.bind(value),
            Value::Int(value) => query.bind(value),
            Value::Text(value) => query.bind(value),
            Value::Bytes(value) => query.bind(value),
        })
    }

    fn into_postgres(self) -> SqlxQuery<'static, Postgres, PgArguments> {
        // A prepared `SELECT *` fails once the migration of a newer replica has added a column.
        let names_columns = !self.sql.as_str().contains('*');
        let query = sqlx::query::<Postgres>(self.sql).persistent(names_columns);
        self.values.into_iter().fold(query, |query, value| match value {
            Value::Bool(value) => query.bind(value),
            Value::Int(value) => query.bind(value),
            // PostgreSQL has no NUL in a text.
            Value::Text(value) => query.bind(value.map(|text| text.replace('\0', "\u{fffd}"))),
            Value::Bytes(value) => query.bind(value),
        })
    }
}

/// A statement whose rows are read into `T`.
pub(in crate::store) struct QueryAs<T> {
    query: Query,
    row: PhantomData<fn() -> T>,
}

/// A statement whose rows have one column of type `T`.
pub(in crate::store) struct QueryScalar<T> {
    query: Query,
    column: PhantomData<fn() -> T>,
}

macro_rules! fetch {
    ($name:ident<$type:ident: $bound:ident>, $field:ident, $read:expr) => {
        impl<$type: $bound> $name<$type> {
            /// Adds the next parameter.
            pub(in crate::store) fn bind(self, value: impl ToValue) -> Self {
                Self { query: self.query.bind(value), $field: PhantomData }
            }

            /// Fetches all rows.
            pub(in crate::store) async fn fetch_all(
                self,
                on: impl Into<Executor<'_>>,
            ) -> sqlx::Result<Vec<$type>> {
                self.query.rows(on.into()).await?.iter().map($read).collect()
            }

            /// Fetches the only row, if there is one.
            pub(in crate::store) async fn fetch_optional(
                self,
                on: impl Into<Executor<'_>>,
            ) -> sqlx::Result<Option<$type>> {
                self.query.rows(on.into()).await?.first().map($read).transpose()
            }

            /// Fetches the only row.
            pub(in crate::store) async fn fetch_one(
                self,
                on: impl Into<Executor<'_>>,
            ) -> sqlx::Result<$type> {
                self.fetch_optional(on).await?.ok_or(sqlx::Error::RowNotFound)
            }
        }
    };
}

fetch!(QueryAs<T: FromRow>, row, T::from_row);
fetch!(QueryScalar<T: FromColumn>, column, |row| T::from_column(row, 0));
