//! Bearer tokens: random, shown once, stored as a hash only.

use std::fmt::Write as _;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use secrecy::SecretString;
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

use crate::encryption::{EncryptionKey, random_bytes};

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

/// Returns the session token of the executor with this secret id. It is derived, so that a repeated claim
/// gets the same token in whatever order its requests arrive.
#[must_use]
pub fn session_token(key: &EncryptionKey, attempt_id: &str, executor_id: &str) -> SecretString {
    let derived = key.derive("session token of an executor", &[attempt_id, executor_id]);
    format!("session_{}", URL_SAFE_NO_PAD.encode(derived)).into()
}

/// Returns the SHA-256 of bytes in hexadecimal digits.
#[must_use]
pub fn digest_hex(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

/// Returns bytes in hexadecimal digits.
#[must_use]
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(2 * bytes.len()), |mut text, byte| {
        // Writing to a string cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
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
