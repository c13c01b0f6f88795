//! The example configuration as a Git repository that is made for the run and read by `git upload-pack`.

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

use crate::{cmd::Cmd, environment::Environment, product::register::CONFIGURATION};

/// What stands behind the host in the address of the repository.
pub(super) const PATH: &str = "/hello-terraform";
/// The branch that workspaces run unless they name another one.
const BRANCH: &str = "main";
/// No request for one repository is longer; the format allows 65,520 bytes.
const LONGEST_REQUEST: usize = 1024;

/// A bare repository; it is removed with this value.
#[derive(Debug)]
pub(super) struct Repository(TempDir);

impl Repository {
    /// Makes a repository of one commit out of the example as it lies here.
    pub(super) fn make(environment: &Environment) -> anyhow::Result<Self> {
        let folder = tempfile::Builder::new().prefix("ephemeral-agents-e2e-").tempdir();
        let folder = folder.context("could not make a temporary folder")?;
        let (work, bare) = (folder.path().join("work"), Self::bare(folder.path()));
        copy(&environment.root.join(CONFIGURATION), &work)?;
        let (work, bare) = (text(&work)?, text(&bare)?);
        let nobody =
            ["-c", "user.name=e2e", "-c", "user.email=e2e@example.com", "-c", "commit.gpgsign=false"];
        git(environment, &["init", "--quiet", "--initial-branch", BRANCH, work])?;
        git(environment, &["-C", work, "add", "--all"])?;
        let commit = ["-C", work, "commit", "--quiet", "--no-verify", "-m", "the example"];
        git(environment, &[&nobody[..], &commit].concat())?;
        git(environment, &["clone", "--quiet", "--bare", work, bare])?;
        Ok(Self(folder))
    }

    /// Where it lies.
    pub(super) fn path(&self) -> PathBuf {
        Self::bare(self.0.path())
    }

    fn bare(folder: &Path) -> PathBuf {
        folder.join("hello-terraform.git")
    }
}

fn git(environment: &Environment, arguments: &[&str]) -> anyhow::Result<()> {
    let answer = Cmd::new("git", arguments.iter().copied()).ask(environment)?;
    if !answer.status.success() {
        bail!("`git {}` failed: {}", arguments.join(" "), answer.errors.trim());
    }
    Ok(())
}

fn text(path: &Path) -> anyhow::Result<&str> {
    path.to_str().context("the path of the folder for temporary files is not UTF-8")
}

fn copy(from: &Path, to: &Path) -> anyhow::Result<()> {
    fs::create_dir_all(to).with_context(|| format!("could not make {}", to.display()))?;
    for entry in fs::read_dir(from).with_context(|| format!("could not list {}", from.display()))? {
        let entry = entry?;
        // What an earlier terraform has left there belongs to nobody's repository.
        if entry.file_name().as_encoded_bytes().starts_with(b".terraform") {
            continue;
        }
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy(&entry.path(), &target)?;
        } else {
            fs::copy(entry.path(), &target)
                .with_context(|| format!("could not copy {}", entry.path().display()))?;
        }
    }
    Ok(())
}

/// Answers one client of the Git protocol (<https://git-scm.com/docs/gitprotocol-pack>), and returns when it is done.
pub(super) fn serve(mut client: TcpStream, repository: &Path) -> anyhow::Result<()> {
    let request = read_request(&mut client)?;
    let protocol = understand(&request)?;
    let output = OwnedFd::from(client.try_clone().context("a connection cannot be shared")?);
    let mut command = Command::new("git");
    command.args(["upload-pack", "--strict"]).arg(repository);
    // The folder is ours, whoever this process runs as.
    command
        .env("GIT_CONFIG_COUNT", "1")
        .env("GIT_CONFIG_KEY_0", "safe.directory")
        .env("GIT_CONFIG_VALUE_0", "*");
    if let Some(protocol) = protocol {
        command.env("GIT_PROTOCOL", protocol);
    }
    command.stdin(Stdio::from(OwnedFd::from(client))).stdout(Stdio::from(output)).stderr(Stdio::null());
    command.status().context("could not run git")?;
    Ok(())
}

/// Reads the first line, and not a byte more: what follows is for `git upload-pack`.
fn read_request(client: &mut impl Read) -> anyhow::Result<Vec<u8>> {
    let mut length = [0; 4];
    client.read_exact(&mut length).context("the client sent no request")?;
    let length = std::str::from_utf8(&length).ok().and_then(|digits| usize::from_str_radix(digits, 16).ok());
    let length = length.and_then(|length| length.checked_sub(4)).filter(|length| *length <= LONGEST_REQUEST);
    let mut request = vec![0; length.context("the client speaks another protocol")?];
    client.read_exact(&mut request).context("the request of the client breaks off")?;
    Ok(request)
}

/// Checks that a request is for our repository, and returns the version of the protocol that it asks for.
fn understand(request: &[u8]) -> anyhow::Result<Option<String>> {
    let request = String::from_utf8_lossy(request);
    let mut parts = request.split('\0');
    let command = parts.next().unwrap_or_default().trim_end();
    if command != format!("git-upload-pack {PATH}") {
        bail!("a client asked for {command:?}, expected a fetch from {PATH:?}");
    }
    let protocol = parts.find(|part| part.starts_with("version="));
    Ok(protocol.map(str::to_owned))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_understood_with_the_version_it_asks_for() {
        let mut sent: &[u8] = b"0039git-upload-pack /hello-terraform\0host=h:1\0\0version=2\0and more";
        let request = read_request(&mut sent).unwrap();
        assert_eq!(understand(&request).unwrap().as_deref(), Some("version=2"));
        assert_eq!(sent, b"and more");
        assert_eq!(understand(b"git-upload-pack /hello-terraform\0host=h\0").unwrap(), None);
    }

    #[test]
    fn nothing_else_is_served() {
        for other in ["git-upload-pack /etc", "git-receive-pack /hello-terraform", "git-upload-pack"] {
            assert!(understand(other.as_bytes()).is_err(), "{other}");
        }
        for other in ["GET / HTTP/1.1", "0003", "ffffgit", "00"] {
            assert!(read_request(&mut other.as_bytes()).is_err(), "{other}");
        }
    }
}
