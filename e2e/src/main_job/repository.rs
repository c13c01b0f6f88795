//! The example configuration as a Git repository, created for the run and served by `git upload-pack`.

use std::{
    fs,
    io::Read,
    net::TcpStream,
    os::fd::OwnedFd,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use anyhow::{Context as _, bail};
use tempfile::TempDir;

use crate::{registration::CONFIGURATION, session::Session};

/// The path in the URL of the repository.
pub(super) const PATH: &str = "/hello-terraform";
/// The default branch of workspaces.
const BRANCH: &str = "main";
/// For the request of a client; the protocol allows 65,520 bytes.
const MAX_REQUEST_BYTES: usize = 1024;

/// A bare repository; it is removed with this value.
#[derive(Debug)]
pub(super) struct Repository(TempDir);

impl Repository {
    /// Creates a repository with one commit: the example as it is on the disk.
    pub(super) fn create(session: &Session) -> anyhow::Result<Self> {
        let folder = tempfile::Builder::new().prefix("ephemeral-agents-e2e-").tempdir();
        let folder = folder.context("cannot create a temporary folder")?;
        let (work, bare) = (folder.path().join("work"), Self::bare(folder.path()));
        copy(&session.root.join(CONFIGURATION), &work)?;
        let (work, bare) = (text(&work)?, text(&bare)?);
        let author =
            ["-c", "user.name=e2e", "-c", "user.email=e2e@example.com", "-c", "commit.gpgsign=false"];
        git(&["init", "--quiet", "--initial-branch", BRANCH, work])?;
        git(&["-C", work, "add", "--all"])?;
        let commit = ["-C", work, "commit", "--quiet", "--no-verify", "-m", "the example"];
        git(&[&author[..], &commit].concat())?;
        git(&["clone", "--quiet", "--bare", work, bare])?;
        Ok(Self(folder))
    }

    /// Returns the path of the repository.
    pub(super) fn path(&self) -> PathBuf {
        Self::bare(self.0.path())
    }

    fn bare(folder: &Path) -> PathBuf {
        folder.join("hello-terraform.git")
    }
}

fn git(arguments: &[&str]) -> anyhow::Result<()> {
    let output = Command::new("git").args(arguments).output().context("cannot start git")?;
    if !output.status.success() {
        let errors = String::from_utf8_lossy(&output.stderr);
        bail!("`git {}` failed: {}", arguments.join(" "), errors.trim());
    }
    Ok(())
}

fn text(path: &Path) -> anyhow::Result<&str> {
    path.to_str().context("the path of the folder for temporary files is not UTF-8")
}

fn copy(from: &Path, to: &Path) -> anyhow::Result<()> {
    fs::create_dir_all(to).with_context(|| format!("cannot create {}", to.display()))?;
    for entry in fs::read_dir(from).with_context(|| format!("cannot list {}", from.display()))? {
        let entry = entry?;
        // Files of an earlier run of terraform.
        if entry.file_name().as_encoded_bytes().starts_with(b".terraform") {
            continue;
        }
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy(&entry.path(), &target)?;
        } else {
            fs::copy(entry.path(), &target)
                .with_context(|| format!("cannot copy {}", entry.path().display()))?;
        }
    }
    Ok(())
}

/// Serves one client of the Git protocol (<https://git-scm.com/docs/gitprotocol-pack>).
pub(super) fn serve(mut client: TcpStream, repository: &Path) -> anyhow::Result<()> {
    let request = read_request(&mut client)?;
    let protocol = parse_request(&request)?;
    let output = OwnedFd::from(client.try_clone().context("a connection cannot be shared")?);
    let mut command = Command::new("git");
    command.args(["upload-pack", "--strict"]).arg(repository);
    // The owner of the folder may differ from the user of this process.
    command
        .env("GIT_CONFIG_COUNT", "1")
        .env("GIT_CONFIG_KEY_0", "safe.directory")
        .env("GIT_CONFIG_VALUE_0", "*");
    if let Some(protocol) = protocol {
        command.env("GIT_PROTOCOL", protocol);
    }
    command.stdin(Stdio::from(OwnedFd::from(client))).stdout(Stdio::from(output)).stderr(Stdio::null());
    command.status().context("cannot run git")?;
    Ok(())
}

/// Reads the first line and no further byte: `git upload-pack` reads the rest.
fn read_request(client: &mut impl Read) -> anyhow::Result<Vec<u8>> {
    let mut length = [0; 4];
    client.read_exact(&mut length).context("the client sent no request")?;
    let length = std::str::from_utf8(&length).ok().and_then(|digits| usize::from_str_radix(digits, 16).ok());
    let length =
        length.and_then(|length| length.checked_sub(4)).filter(|length| *length <= MAX_REQUEST_BYTES);
    let mut request = vec![0; length.context("the client uses another protocol")?];
    client.read_exact(&mut request).context("the request of the client is incomplete")?;
    Ok(request)
}

/// Checks that a request is for the repository, and returns the requested version of the protocol.
fn parse_request(request: &[u8]) -> anyhow::Result<Option<String>> {
    let request = String::from_utf8_lossy(request);
    let mut parts = request.split('\0');
    let command = parts.next().unwrap_or_default().trim_end();
    if command != format!("git-upload-pack {PATH}") {
        bail!("a client requested {command:?}, expected a fetch from {PATH:?}");
    }
    let protocol = parts.find(|part| part.starts_with("version="));
    Ok(protocol.map(str::to_owned))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parses_the_request_with_its_protocol_version() {
        let mut sent: &[u8] = b"0039git-upload-pack /hello-terraform\0host=h:1\0\0version=2\0and more";
        let request = read_request(&mut sent).unwrap();
        assert_eq!(parse_request(&request).unwrap().as_deref(), Some("version=2"));
        assert_eq!(sent, b"and more");
        assert_eq!(parse_request(b"git-upload-pack /hello-terraform\0host=h\0").unwrap(), None);
    }

    #[test]
    fn rejects_other_requests() {
        for other in ["git-upload-pack /etc", "git-receive-pack /hello-terraform", "git-upload-pack"] {
            assert!(parse_request(other.as_bytes()).is_err(), "{other}");
        }
        for other in ["GET / HTTP/1.1", "0003", "ffffgit", "00"] {
            assert!(read_request(&mut other.as_bytes()).is_err(), "{other}");
        }
    }
}
