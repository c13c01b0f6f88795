//! Tokens of users and programs, stored as hashes.

use super::{
    ResultExt as _, Store, StoreError,
    db::{query, query_scalar},
    new_id, now,
};
use crate::token::TokenHash;

impl Store {
    /// Stores the hash of a token under a name and replaces an earlier one with that name.
    ///
    /// # Errors
    /// The database failed.
    pub async fn put_token(&self, name: &str, hash: &TokenHash) -> Result<(), StoreError> {
        query(
            "INSERT INTO tokens (id, name, hash, created_at) VALUES ($1, $2, $3, $4)
             ON CONFLICT (name) DO UPDATE SET hash = excluded.hash",
        )
        .bind(new_id())
        .bind(name)
        .bind(&hash.0)
        .bind(now())
        .execute(&self.pool)
        .await
        .context("store a token")?;
        Ok(())
    }

    /// Returns the name of a token; `None` if it is unknown.
    ///
    /// The query is by hash, so its duration reveals nothing about stored tokens.
    ///
    /// # Errors
    /// The database failed.
    pub async fn token_name(&self, hash: &TokenHash) -> Result<Option<String>, StoreError> {
        query_scalar("SELECT name FROM tokens WHERE hash = $1")
            .bind(&hash.0)
            .fetch_optional(&self.pool)
            .await
            .context("look up a token")
    }
}
