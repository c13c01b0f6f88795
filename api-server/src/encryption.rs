//! Encryption at rest: seals variables, Kubernetes Jobs, plan files and states with the server's key.
//!
//! XChaCha20-Poly1305 with a random nonce. Every sealed value is bound to its record (the *context*), so that
//! a sealed value that is copied to another record cannot be opened there. Keys are not rotated.

use std::{
    fmt, fs,
    io::{self, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use chacha20poly1305::{
    Key, XChaCha20Poly1305, XNonce,
    aead::{Aead as _, Payload},
};
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;

pub mod chunks;

const NONCE_BYTES: usize = 24;
const KEY_BYTES: usize = 32;

/// The key; seals and opens values, and derives credentials. `Debug` does not show it.
#[derive(Clone)]
pub struct EncryptionKey {
    cipher: XChaCha20Poly1305,
    mac: Hmac<Sha256>,
}

/// An error of the key file.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// The file cannot be read or created.
    #[error("cannot use encryption key file {path:?}")]
    File {
        /// The file.
        path: PathBuf,
        /// The error of the system.
        #[source]
        source: io::Error,
    },
    /// The file does not hold a key.
    #[error(
        "encryption key file {path:?} holds no key, expected 32 bytes in base64 \
         (such as `openssl rand -base64 32` prints)"
    )]
    Malformed {
        /// The file.
        path: PathBuf,
    },
}

/// A sealed value cannot be opened: it is damaged, belongs to another record, or was sealed with another key.
#[derive(Debug, thiserror::Error)]
#[error("cannot decrypt {context}: it is damaged or was encrypted with another key")]
pub struct OpenError {
    /// The record that the value belongs to.
    pub context: String,
}

impl EncryptionKey {
    /// Uses this key.
    #[must_use]
    pub fn new(key: [u8; KEY_BYTES]) -> Self {
        Self {
            cipher: XChaCha20Poly1305::new(&Key::from(key)),
            mac: Hmac::new_from_slice(&key).expect("HMAC takes keys of any length"),
        }
    }

    /// Reads the key from a file.
    ///
    /// # Errors
    /// [`KeyError`] when the file cannot be read or holds no key.
    pub fn read(path: &Path) -> Result<Self, KeyError> {
        let text = fs::read_to_string(path).map_err(|source| KeyError::File { path: path.into(), source })?;
        let malformed = || KeyError::Malformed { path: path.into() };
        let bytes = STANDARD.decode(text.trim()).map_err(|_| malformed())?;
        Ok(Self::new(bytes.try_into().map_err(|_| malformed())?))
    }

    /// Reads the key from a file, or creates the file with a new key if it does not exist.
    ///
    /// # Errors
    /// [`KeyError`] when the file cannot be read or created, or holds no key.
    pub fn read_or_create(path: &Path) -> Result<Self, KeyError> {
        if !path.exists() {
            create_private_file(path, STANDARD.encode(random_bytes::<KEY_BYTES>()).as_bytes())
                .map_err(|source| KeyError::File { path: path.into(), source })?;
        }
        Self::read(path)
    }

    /// Derives 256 bits from the key: always the same for the same purpose and parts, and unpredictable
    /// without the key.
    #[must_use]
    pub fn derive(&self, purpose: &str, parts: &[&str]) -> [u8; 32] {
        let mut mac = self.mac.clone();
        for part in std::iter::once(&purpose).chain(parts) {
            // With their lengths, no two lists of parts are the same bytes.
            mac.update(&(part.len() as u64).to_be_bytes());
            mac.update(part.as_bytes());
        }
        mac.finalize().into_bytes().into()
    }

    /// Encrypts a value for a context.
    #[must_use]
    pub fn seal(&self, context: &str, value: &[u8]) -> Vec<u8> {
        let nonce = random_bytes::<NONCE_BYTES>();
        let sealed = self
            .cipher
            .encrypt(&XNonce::from(nonce), Payload { msg: value, aad: context.as_bytes() })
            .expect("a value in memory is shorter than the cipher's limit of 256 GiB");
        [nonce.as_slice(), &sealed].concat()
    }

    /// Decrypts a value that was sealed for the same context.
    ///
    /// # Errors
    /// [`OpenError`] when it cannot be decrypted.
    pub fn open(&self, context: &str, sealed: &[u8]) -> Result<Vec<u8>, OpenError> {
        let error = || OpenError { context: context.to_owned() };
        let (nonce, text) = sealed.split_first_chunk::<NONCE_BYTES>().ok_or_else(error)?;
        self.cipher
            .decrypt(&XNonce::from(*nonce), Payload { msg: text, aad: context.as_bytes() })
            .map_err(|_| error())
    }
}

impl fmt::Debug for EncryptionKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("EncryptionKey(…)")
    }
}

/// Returns random bytes of the operating system.
#[must_use]
pub fn random_bytes<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).expect("the operating system has a random source");
    bytes
}

/// Creates a file that only its owner can read, unless it exists. Of several programs that do this at the
/// same time, one creates the file, and all find its content. Returns whether this one has created it.
///
/// # Errors
/// The error of the system.
pub fn create_private_file(path: &Path, content: &[u8]) -> io::Result<bool> {
    let temporary = path.with_extension(format!("{}.new", uuid::Uuid::new_v4()));
    write_private_file(&temporary, content)?;
    // Unlike a rename, a link fails if there is a file.
    let linked = fs::hard_link(&temporary, path);
    fs::remove_file(&temporary)?;
    match linked {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(false),
        Err(error) => Err(error),
    }
}

/// Creates or replaces a file that only its owner can read, atomically.
///
/// # Errors
/// The error of the system.
pub fn write_private_file(path: &Path, content: &[u8]) -> io::Result<()> {
    let temporary = path.with_extension("new");
    let mut file =
        fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&temporary)?;
    file.write_all(content)?;
    file.sync_all()?;
    fs::rename(&temporary, path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn derives_the_same_value_for_the_same_parts_only() {
        let (key, other) = (EncryptionKey::new([7; KEY_BYTES]), EncryptionKey::new([8; KEY_BYTES]));
        let derived = key.derive("session", &["attempt", "executor"]);
        assert_eq!(derived, key.derive("session", &["attempt", "executor"]));
        assert_ne!(derived, key.derive("session", &["attempt", "executo", "r"]));
        assert_ne!(derived, key.derive("other", &["attempt", "executor"]));
        assert_ne!(derived, other.derive("session", &["attempt", "executor"]));
    }

    #[test]
    fn opens_sealed_value_in_its_own_context_only() {
        let secrets = EncryptionKey::new([7; KEY_BYTES]);
        let sealed = secrets.seal("variable a", b"hunter2");
        assert_eq!(secrets.open("variable a", &sealed).unwrap(), b"hunter2");
        assert!(secrets.open("variable b", &sealed).is_err());
        assert!(EncryptionKey::new([8; KEY_BYTES]).open("variable a", &sealed).is_err());
        assert!(!sealed.windows(7).any(|window| window == b"hunter2"));
    }

    #[test]
    fn rejects_damaged_and_short_values() {
        let secrets = EncryptionKey::new([7; KEY_BYTES]);
        let mut sealed = secrets.seal("x", b"value");
        *sealed.last_mut().unwrap() ^= 1;
        assert!(secrets.open("x", &sealed).is_err());
        assert!(secrets.open("x", b"short").is_err());
    }

    #[test]
    fn creates_private_key_file_once() {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key");
        let sealed = EncryptionKey::read_or_create(&path).unwrap().seal("x", b"value");
        assert_eq!(EncryptionKey::read_or_create(&path).unwrap().open("x", &sealed).unwrap(), b"value");
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    }

    #[test]
    fn programs_that_create_a_file_at_the_same_time_find_one_content() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key");
        let created: Vec<bool> = std::thread::scope(|scope| {
            let create = |text: u8| create_private_file(&path, &[text; 32]).unwrap();
            let threads: Vec<_> = (0..8).map(|text| scope.spawn(move || create(text))).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        let creator = created.iter().position(|created| *created).unwrap();
        assert_eq!(created.iter().filter(|created| **created).count(), 1, "{created:?}");
        assert_eq!(usize::from(fs::read(&path).unwrap()[0]), creator);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "nothing else is left behind");
    }

    #[test]
    fn rejects_file_without_a_key_by_name() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key");
        fs::write(&path, "c2hvcnQ=").unwrap();
        let error = EncryptionKey::read(&path).unwrap_err().to_string();
        assert!(error.contains("key") && error.contains("32 bytes"), "{error}");
    }
}
