//! The signature of a checksum file, verified by `gpgv`.
//!
//! An implementation of `OpenPGP` as a library would triple the dependencies of this program; `gpgv` is a
//! part of every Debian and is small. It runs only where a key is configured, and then it must be there.

use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
};

use base64::{Engine as _, engine::general_purpose::STANDARD};

use crate::{
    child::{
        process::{Invocation, ProcessError, output},
        search_path::find_program,
    },
    log::Log,
    stop::Stop,
};

/// The signature is not verified.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SignatureError {
    #[error("{setting} is neither an OpenPGP public key nor the absolute path of a file with one")]
    Key { setting: &'static str },
    #[error("could not read the key file {path:?}, which {setting} names")]
    KeyFile { setting: &'static str, path: String, source: io::Error },
    #[error(
        "{setting} is set, but gpgv, which verifies signatures, is not on PATH; install it (Debian: gpgv)"
    )]
    MissingProgram { setting: &'static str },
    #[error("could not prepare the verification of the signature")]
    Prepare(#[source] io::Error),
    #[error(transparent)]
    Process(#[from] ProcessError),
    #[error("the key of {setting} has not signed {file}; see the error message of gpgv in the log")]
    Wrong { setting: &'static str, file: String },
}

/// The public key of those who sign releases.
#[derive(Debug)]
pub(super) struct Key<'a> {
    pub(super) setting: &'static str,
    /// The value of the setting: an armored key, or the path of a file with one.
    pub(super) value: &'a str,
}

impl Key<'_> {
    /// Returns the key in binary form.
    fn read(&self) -> Result<Vec<u8>, SignatureError> {
        let setting = self.setting;
        let value = self.value.trim();
        let bytes = if value.starts_with('/') {
            fs::read(value).map_err(|source| SignatureError::KeyFile {
                setting,
                path: value.to_owned(),
                source,
            })?
        } else {
            value.as_bytes().to_vec()
        };
        // The first bit of a packet is set; armor is ASCII.
        if bytes.first().is_some_and(|first| first & 0x80 != 0) {
            return Ok(bytes);
        }
        dearmor(&String::from_utf8_lossy(&bytes)).ok_or(SignatureError::Key { setting })
    }

    /// Verifies the detached signature of a file. `folder` is for temporary files.
    pub(super) async fn verify(
        &self,
        folder: &Path,
        (file, signature): (&Path, &Path),
        path: &str,
        log: &Log,
        stop: &Stop,
    ) -> Result<(), SignatureError> {
        let setting = self.setting;
        let gpgv: PathBuf = find_program("gpgv", path).ok_or(SignatureError::MissingProgram { setting })?;
        let keyring = folder.join("keyring.gpg");
        fs::write(&keyring, self.read()?).map_err(SignatureError::Prepare)?;
        let args = vec![
            "--homedir".into(),
            folder.into(),
            "--keyring".into(),
            keyring.into(),
            signature.into(),
            file.into(),
        ];
        let env = BTreeMap::from([("LC_ALL".to_owned(), "C.UTF-8".to_owned())]);
        let call = Invocation { program: &gpgv, args, dir: folder, env: &env };
        if output(&call, log, stop).await?.is_some() || stop.is_requested() {
            return Ok(());
        }
        let file = file.file_name().unwrap_or_default().to_string_lossy().into_owned();
        Err(SignatureError::Wrong { setting, file })
    }
}

/// Decodes the blocks of an armored key (RFC 9580, 6.2).
fn dearmor(text: &str) -> Option<Vec<u8>> {
    const BEGIN: &str = "-----BEGIN PGP PUBLIC KEY BLOCK-----";
    const END: &str = "-----END PGP PUBLIC KEY BLOCK-----";
    let mut bytes = Vec::new();
    for block in text.split(BEGIN).skip(1) {
        let block = block.split_once(END)?.0;
        let lines = block.lines().map(str::trim);
        // Headers contain a colon; a line with `=` at its start is the checksum.
        let base64: String = lines.filter(|line| !line.contains(':') && !line.starts_with('=')).collect();
        bytes.extend(STANDARD.decode(base64).ok()?);
    }
    (!bytes.is_empty()).then_some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decodes_armored_keys() {
        let block = |body: &str| {
            format!(
                "-----BEGIN PGP PUBLIC KEY BLOCK-----\nVersion: \
                 x\n\n{body}\n=AbCd\n-----END PGP PUBLIC KEY BLOCK-----\n"
            )
        };
        assert_eq!(dearmor(&block("mQEN\nBFY=")).unwrap(), [0x99, 1, 13, 4, 86]);
        assert_eq!(dearmor(&[block("mQEN"), block("BFY=")].concat()).unwrap(), [0x99, 1, 13, 4, 86]);
        for wrong in ["", "mQEN", &block("!"), "-----BEGIN PGP PUBLIC KEY BLOCK-----\nmQEN"] {
            assert_eq!(dearmor(wrong), None, "{wrong}");
        }
    }
}
