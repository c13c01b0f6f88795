//! Values of parameters and columns. Integers are `i64` in both databases, times are text.

use sqlx::{Row as _, TypeInfo as _, ValueRef as _, postgres::PgRow, sqlite::SqliteRow};

/// A parameter. `None` is NULL; PostgreSQL needs its type even then.
#[derive(Debug, Clone)]
pub(in crate::store) enum Value {
    Bool(Option<bool>),
    Int(Option<i64>),
    Text(Option<String>),
    Bytes(Option<Vec<u8>>),
}

/// A type of Rust that can be a parameter.
pub(in crate::store) trait ToValue: Sized {
    fn to_value(value: Option<Self>) -> Value;
}

macro_rules! to_value {
    ($($from:ty => $variant:ident),+ $(,)?) => {
        $(impl ToValue for $from {
            fn to_value(value: Option<Self>) -> Value {
                Value::$variant(value.map(Into::into))
            }
        })+
    };
}

to_value! {
    bool => Bool,
    i32 => Int,
    i64 => Int,
    u32 => Int,
    &str => Text,
    String => Text,
    &String => Text,
    &[u8] => Bytes,
    Vec<u8> => Bytes,
}

impl ToValue for &Vec<u8> {
    fn to_value(value: Option<Self>) -> Value {
        Value::Bytes(value.cloned())
    }
}

impl ToValue for &i64 {
    fn to_value(value: Option<Self>) -> Value {
        Value::Int(value.copied())
    }
}

impl ToValue for &u32 {
    fn to_value(value: Option<Self>) -> Value {
        Value::Int(value.copied().map(i64::from))
    }
}

impl<'a, T> ToValue for &'a Option<T>
where
    &'a T: ToValue,
{
    fn to_value(value: Option<Self>) -> Value {
        ToValue::to_value(value.and_then(Option::as_ref))
    }
}

impl<T: ToValue> ToValue for Option<T> {
    fn to_value(value: Option<Self>) -> Value {
        T::to_value(value.flatten())
    }
}

/// A row of a result.
pub(in crate::store) enum Row {
    Sqlite(SqliteRow),
    Postgres(PgRow),
}

impl Row {
    /// Reads a column by its name.
    pub(in crate::store) fn get<T: FromColumn>(&self, name: &str) -> sqlx::Result<T> {
        let index = match self {
            Self::Sqlite(row) => row.try_column(name).map(sqlx::Column::ordinal),
            Self::Postgres(row) => row.try_column(name).map(sqlx::Column::ordinal),
        };
        T::from_column(self, index?)
    }
}

/// A type of Rust that a column can be read into.
pub(in crate::store) trait FromColumn: Sized {
    fn from_column(row: &Row, index: usize) -> sqlx::Result<Self>;
}

macro_rules! from_column {
    ($($type:ty),+) => {
        $(impl FromColumn for $type {
            fn from_column(row: &Row, index: usize) -> sqlx::Result<Self> {
                match row {
                    Row::Sqlite(row) => row.try_get(index),
                    Row::Postgres(row) => row.try_get(index),
                }
            }
        })+
    };
}

from_column!(bool, String, Vec<u8>);

impl FromColumn for i64 {
    fn from_column(row: &Row, index: usize) -> sqlx::Result<Self> {
        match row {
            Row::Sqlite(row) => row.try_get(index),
            // A literal is an INT4, and so is a column of that type in a migration for both databases.
            Row::Postgres(row) => match row.try_get_raw(index)?.type_info().name() {
                "INT4" => row.try_get::<i32, _>(index).map(i64::from),
                _ => row.try_get(index),
            },
        }
    }
}

macro_rules! from_integer {
    ($($type:ty),+) => {
        $(impl FromColumn for $type {
            fn from_column(row: &Row, index: usize) -> sqlx::Result<Self> {
                let value = i64::from_column(row, index)?;
                value.try_into().map_err(|source| sqlx::Error::ColumnDecode {
                    index: index.to_string(),
                    source: Box::new(source),
                })
            }
        })+
    };
}

from_integer!(u32, i32);

impl<T: FromColumn> FromColumn for Option<T> {
    fn from_column(row: &Row, index: usize) -> sqlx::Result<Self> {
        let is_null = match row {
            Row::Sqlite(row) => row.try_get_raw(index)?.is_null(),
            Row::Postgres(row) => row.try_get_raw(index)?.is_null(),
        };
        if is_null { Ok(None) } else { T::from_column(row, index).map(Some) }
    }
}

/// A type of Rust that a row can be read into: a struct by names ([`from_row!`]), a tuple by position.
pub(in crate::store) trait FromRow: Sized {
    fn from_row(row: &Row) -> sqlx::Result<Self>;
}

macro_rules! from_row_of_columns {
    ($($type:ident $index:literal),+) => {
        impl<$($type: FromColumn),+> FromRow for ($($type,)+) {
            fn from_row(row: &Row) -> sqlx::Result<Self> {
                Ok(($($type::from_column(row, $index)?,)+))
            }
        }
    };
}

from_row_of_columns!(A 0);
from_row_of_columns!(A 0, B 1);
from_row_of_columns!(A 0, B 1, C 2);
from_row_of_columns!(A 0, B 1, C 2, D 3);
from_row_of_columns!(A 0, B 1, C 2, D 3, E 4);
from_row_of_columns!(A 0, B 1, C 2, D 3, E 4, F 5);
