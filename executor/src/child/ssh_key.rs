//! Private keys for git over ssh.

use std::{io, path::Path};

use secrecy::{ExposeSecret as _, SecretString};

use super::shell_quote::quote;
use crate::work_paths::write_private;

/// No prompt, and no endless wait for a server that is gone.
pub(crate) const SSH_OPTIONS: &str = "-o BatchMode=yes -o StrictHostKeyChecking=accept-new \
                                      -o ConnectTimeout=30 -o ServerAliveInterval=15";

/// Writes a private key and returns the `GIT_SSH_COMMAND` that uses it alone, without any prompt.
pub(crate) fn write_key(file: &Path, key: &SecretString) -> io::Result<String> {
    // OpenSSH expects exactly one newline at the end and no carriage returns.
    let text = format!("{}\n", key.expose_secret().replace("\r\n", "\n").trim_end());
    write_private(file, text.as_bytes())?;
    // New host keys go into the first file, which ends with the work directory.
    let known_hosts = file.with_extension("known_hosts");
    let known_hosts = format!("UserKnownHostsFile=\"{}\" ~/.ssh/known_hosts", known_hosts.display());
    Ok(format!(
        "ssh -i {} -o {} -o IdentitiesOnly=yes {SSH_OPTIONS}",
        quote(&file.to_string_lossy()),
        quote(&known_hosts)
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
        assert!(command.contains(r"it'\''s a key' -o 'UserKnownHostsFile="), "{command}");
        assert!(command.contains("known_hosts' -o IdentitiesOnly=yes -o BatchMode=yes"), "{command}");
    }
}
