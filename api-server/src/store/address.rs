//! The address of a PostgreSQL database. It may hold a password, which is never shown.

use std::fmt;

use secrecy::{ExposeSecret as _, SecretString};
use sqlx::postgres::PgConnectOptions;

/// Settings of our sessions. A transaction that does nothing belongs to a program that was stopped in the
/// middle of it; it must not keep the lock of writers from the others.
const SETTINGS: [(&str, &str); 2] = [("idle_in_transaction_session_timeout", "5s"), ("lock_timeout", "30s")];

/// The address of a database, with user and password. `Debug` and `Display` show host and database.
#[derive(Clone)]
pub struct PostgresAddress {
    options: PgConnectOptions,
    has_password: bool,
}

/// A text is not the address of a database. The text is not part of the message: it may hold a password.
#[derive(Debug, thiserror::Error)]
#[error("the address of the database is invalid: {0}; expected postgres://USER@HOST:PORT/DATABASE")]
pub struct AddressError(String);

impl PostgresAddress {
    /// Parses `postgres://USER:PASSWORD@HOST:PORT/DATABASE?OPTIONS`. What is missing is taken from the
    /// environment as `psql` does (`PGPASSWORD`, `PGPASSFILE`…).
    ///
    /// # Errors
    /// [`AddressError`] when it is not such an address.
    pub fn parse(text: &str) -> Result<Self, AddressError> {
        let url = url::Url::parse(text).map_err(|error| AddressError(error.to_string()))?;
        if !matches!(url.scheme(), "postgres" | "postgresql") {
            return Err(AddressError(format!("its scheme is {:?}", url.scheme())));
        }
        if url.path().len() < 2 {
            return Err(AddressError("it names no database".to_owned()));
        }
        let has_password = url.password().is_some() || url.query_pairs().any(|(key, _)| key == "password");
        let options: PgConnectOptions =
            text.parse().map_err(|error: sqlx::Error| AddressError(error.to_string()))?;
        Ok(Self { options: options.application_name("api-server").options(SETTINGS), has_password })
    }

    /// Returns whether the text of the address has a password.
    #[must_use]
    pub fn has_password(&self) -> bool {
        self.has_password
    }

    /// Uses this password.
    #[must_use]
    pub fn with_password(mut self, password: &SecretString) -> Self {
        self.options = self.options.password(password.expose_secret());
        self
    }

    pub(super) fn into_options(self) -> PgConnectOptions {
        self.options
    }
}

impl fmt::Display for PostgresAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let options = &self.options;
        let database = options.get_database().unwrap_or_default();
        write!(f, "database {database:?} on {:?} port {}", options.get_host(), options.get_port())
    }
}

impl fmt::Debug for PostgresAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PostgresAddress({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shows_no_password() {
        let address = PostgresAddress::parse("postgres://agents:hunter2@db.example.com:5433/agents").unwrap();
        assert_eq!(address.to_string(), "database \"agents\" on \"db.example.com\" port 5433");
        assert!(!format!("{address:?}").contains("hunter2") && address.has_password());
        let address = address.with_password(&"hunter3".into());
        assert!(!format!("{address:?}").contains("hunter3"));
        assert!(
            !PostgresAddress::parse("postgresql://agents@db/agents?sslmode=require").unwrap().has_password()
        );
        assert!(PostgresAddress::parse("postgresql://agents@db/agents?password=x").unwrap().has_password());
    }

    #[test]
    fn rejects_other_addresses_without_their_text() {
        for text in
            ["mysql://u:hunter2@h/d", "hunter2", "postgres://u:hunter2@h", "postgres://u:hunter2@h:port/d"]
        {
            let error = PostgresAddress::parse(text).unwrap_err().to_string();
            assert!(error.contains("expected postgres://") && !error.contains("hunter2"), "{text}: {error}");
        }
    }
}
