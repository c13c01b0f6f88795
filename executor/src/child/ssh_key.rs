//! Private keys for git over ssh.

use std::{io, path::Path};

use secrecy::{ExposeSecret as _, SecretString};

use super::shell_quote::quote;
use crate::work_paths::write_private;

/// Writes a private key and returns the `GIT_SSH_COMMAND` that uses it alone, without any prompt.
pub(crate) fn write_key(file: &Path, key: &SecretString) -> io::Result<String> {
    // OpenSSH expects exactly one newline at the end and no carriage returns.
    let text = format!("{}\n", key.expose_secret().replace("\r\n", "\n").trim_end());
    write_private(file, text.as_bytes())?;
    Ok(format!(
        "ssh -i {} -o IdentitiesOnly=yes -o BatchMode=yes \
         -o StrictHostKeyChecking=accept-new -o ConnectTimeout=30",
        quote(&file.to_string_lossy())
    ))
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::MetadataExt as _};

    use super::*;

    #[test]
    fn private_key_is_readable_by_its_owner_alone() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("it's a key");
        let command = write_key(&file, &"-----BEGIN\r\nx\r\n-----END\r\n\r\n".into()).unwrap();
        assert_eq!(fs::read_to_string(&file).unwrap(), "-----BEGIN\nx\n-----END\n");
        assert_eq!(fs::metadata(&file).unwrap().mode() & 0o777, 0o600);
        assert!(command.contains(r"it'\''s a key' -o IdentitiesOnly=yes"), "{command}");
    }
}
