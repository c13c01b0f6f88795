//! Reads a struct from a row of the database.
//!
//! `#[derive(sqlx::FromRow)]` does the same, but its crate needs a second build of sqlx and SQLite, for the
//! compiler alone.

/// Implements [`sqlx::FromRow`]: each field is read from the column of the same name.
macro_rules! from_row {
    ($row:ident { $($field:ident),+ $(,)? }) => {
        impl sqlx::FromRow<'_, sqlx::sqlite::SqliteRow> for $row {
            fn from_row(row: &sqlx::sqlite::SqliteRow) -> sqlx::Result<Self> {
                Ok(Self { $($field: sqlx::Row::try_get(row, stringify!($field))?,)+ })
            }
        }
    };
}
