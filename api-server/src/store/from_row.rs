//! Reads a struct from a row of the database.

/// Implements `FromRow`: each field is read from the column of the same name.
macro_rules! from_row {
    ($row:ident { $($field:ident),+ $(,)? }) => {
        impl $crate::store::db::FromRow for $row {
            fn from_row(row: &$crate::store::db::Row) -> sqlx::Result<Self> {
                Ok(Self { $($field: row.get(stringify!($field))?,)+ })
            }
        }
    };
}
