//! Bearer tokens: random, shown once, stored as a hash only.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use secrecy::SecretString;
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

use crate::encryption::random_bytes;

/// SHA-256 of a token. Tokens are random, so a fast hash without salt is enough.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenHash(pub Vec<u8>);

impl TokenHash {
    /// Computes the hash of a token.
    #[must_use]
    pub fn of(token: &str) -> Self {
        Self(Sha256::digest(token.as_bytes()).to_vec())
    }

    /// Returns whether this is the hash of the token, in constant time.
    #[must_use]
    pub fn is_of(&self, token: &str) -> bool {
        self.0.ct_eq(&Self::of(token).0).into()
    }
}

/// Creates a token of 256 random bits. Users and secret scanners recognize it by its prefix.
#[must_use]
pub fn new_token(prefix: &str) -> SecretString {
    format!("{prefix}_{}", URL_SAFE_NO_PAD.encode(random_bytes::<32>())).into()
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret as _;

    use super::*;

    #[test]
    fn hash_matches_its_token_only() {
        let (token, other) = (new_token("user"), new_token("user"));
        let token = token.expose_secret();
        assert!(TokenHash::of(token).is_of(token));
        assert!(!TokenHash::of(token).is_of(other.expose_secret()));
        assert!(token.starts_with("user_") && !format!("{other:?}").contains("user_"));
    }
}
