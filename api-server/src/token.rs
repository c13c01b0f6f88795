//! Bearer tokens: made at random, shown once, kept only as a hash.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

use crate::encryption::random_bytes;

/// SHA-256 of a token. The tokens are random, so that a fast hash without salt is enough.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenHash(pub Vec<u8>);

impl TokenHash {
    /// Hashes a token.
    #[must_use]
    pub fn of(token: &str) -> Self {
        Self(Sha256::digest(token.as_bytes()).to_vec())
    }

    /// Tells whether this is the hash of the token, in a time that does not depend on the answer.
    #[must_use]
    pub fn is_of(&self, token: &str) -> bool {
        self.0.ct_eq(&Self::of(token).0).into()
    }
}

/// Makes a token of 256 random bits. The prefix tells people and secret scanners what it is.
#[must_use]
pub fn new_token(prefix: &str) -> String {
    format!("{prefix}_{}", URL_SAFE_NO_PAD.encode(random_bytes::<32>()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hash_knows_its_token_and_no_other() {
        let token = new_token("user");
        assert!(TokenHash::of(&token).is_of(&token));
        assert!(!TokenHash::of(&token).is_of(&new_token("user")));
        assert!(token.starts_with("user_"));
    }
}
