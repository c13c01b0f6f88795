//! Debian's packages as the files of an image: apt chooses and fetches them, dpkg-deb opens them, no script of theirs runs.
//!
//! apt brings what this machine's sources and keys allow, with the checks of every installation. It is told that nothing
//! is installed yet, apart from a few packages that an image does not need, so that it finds what the rest depends on.

use std::{
    fs,
    io::Read,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    str::FromStr,
};

use anyhow::{Context as _, bail, ensure};
use tar::EntryType;
use tempfile::TempDir;

use crate::{cmd::Cmd, environment::Environment};

use super::{
    architecture::Architecture,
    tree::{Content, Kind, Node, Tree},
};

/// Packages that others depend on for their scripts, or for parts that an image does not need. git's commands in Perl are
/// those for mail, Subversion and interactive adding; nobody types in an executor.
const LEFT_OUT: &[&str] = &[
    "adduser",
    "debconf",
    "debianutils",
    "dpkg",
    "init-system-helpers",
    "liberror-perl",
    "openssl",
    "passwd",
    "perl",
    "perl-base",
];

/// Files and folders that only people read. What the licences demand stays: `/usr/share/doc/*/copyright`.
const FOR_PEOPLE: &[&str] = &[
    "usr/share/bash-completion/",
    "usr/share/bug/",
    "usr/share/gitweb/",
    "usr/share/info/",
    "usr/share/lintian/",
    "usr/share/locale/",
    "usr/share/man/",
    "usr/share/perl5/",
];

/// Programs that serve, or that send mail: nothing for a client.
const OF_GIT_SERVERS: &[&str] = &[
    "usr/bin/git-shell",
    "usr/bin/scalar",
    "usr/lib/git-core/git-daemon",
    "usr/lib/git-core/git-http-backend",
    "usr/lib/git-core/git-http-push",
    "usr/lib/git-core/git-imap-send",
    "usr/lib/git-core/git-shell",
    "usr/lib/git-core/scalar",
];

/// The name of a package.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct PackageName(String);

impl FromStr for PackageName {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> anyhow::Result<Self> {
        let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
        ensure!(
            text.starts_with(plain) && text.chars().all(|c| plain(c) || "+.-".contains(c)),
            "expected the name of a Debian package: lower case letters, digits and + . -"
        );
        Ok(Self(text.to_owned()))
    }
}

impl PackageName {
    /// The name.
    pub(super) fn as_str(&self) -> &str {
        &self.0
    }
}

/// Packages that were fetched, sorted by file name.
#[derive(Debug)]
pub(super) struct Packages {
    /// Removed with this.
    _folder: TempDir,
    files: Vec<PathBuf>,
}

/// Fetches packages and all they depend on.
///
/// # Errors
/// This machine has no apt, or apt does not know a package or cannot fetch it.
pub(super) fn fetch(
    environment: &Environment,
    architecture: Architecture,
    names: &[&str],
) -> anyhow::Result<Packages> {
    for program in ["apt-get", "dpkg-deb"] {
        ensure!(
            environment.find_program(program).is_some(),
            "{program} is not on your PATH: the images are put together from Debian's packages; \
             run this on Debian or Ubuntu, or in a container of one of them"
        );
    }
    let folder = tempfile::tempdir().context("could not make a folder for packages")?;
    let archives = folder.path().join("archives");
    fs::create_dir_all(archives.join("partial")).context("could not make a folder for packages")?;
    fs::write(folder.path().join("status"), pretended_status(architecture))
        .context("could not write a list of packages")?;
    Cmd::new("apt-get", apt_options(folder.path(), architecture).iter().map(String::as_str))
        .args(names.iter().copied())
        .run(environment)
        .with_context(|| {
            format!(
                "apt could not fetch packages for {architecture}; if its lists are old or missing, \
                 run `apt-get update` (for another architecture after `dpkg --add-architecture {architecture}`)"
            )
        })?;
    let mut files = Vec::new();
    for entry in fs::read_dir(&archives).context("could not list packages")? {
        let path = entry.context("could not list packages")?.path();
        if path.extension().is_some_and(|extension| extension == "deb") {
            files.push(path);
        }
    }
    files.sort();
    Ok(Packages { _folder: folder, files })
}

fn apt_options(folder: &Path, architecture: Architecture) -> Vec<String> {
    let folder = folder.display();
    let settings = [
        format!("Dir::State::status={folder}/status"),
        format!("Dir::Cache={folder}"),
        "Dir::Cache::archives=archives/".to_owned(),
        format!("APT::Architecture={architecture}"),
        format!("APT::Architectures={architecture}"),
        // Nothing is installed, so there is nothing to guard from other installations, or to ask.
        "Debug::NoLocking=1".to_owned(),
        "APT::Sandbox::User=".to_owned(),
    ];
    let flags = ["-qq", "--no-install-recommends", "--download-only", "--assume-yes"];
    flags
        .into_iter()
        .map(str::to_owned)
        .chain(settings.into_iter().map(|setting| format!("-o={setting}")))
        .chain(["install".to_owned()])
        .collect()
}

/// What dpkg would write if exactly the left out packages were installed.
fn pretended_status(architecture: Architecture) -> String {
    let entry = |name: &&str| {
        format!(
            "Package: {name}\nStatus: install ok installed\nVersion: 9999\nArchitecture: {architecture}\n\
             Multi-Arch: foreign\nProvides: awk, debconf-2.0\nMaintainer: none\nDescription: left out\n\n"
        )
    };
    LEFT_OUT.iter().map(entry).collect()
}

impl Packages {
    /// Adds the files of all packages to a layer, and for scanners the list of what is in it.
    ///
    /// # Errors
    /// A package cannot be read.
    pub(super) fn unpack(&self, tree: &mut Tree) -> anyhow::Result<()> {
        for file in &self.files {
            unpack_one(file, tree).with_context(|| format!("could not unpack package {file:?}"))?;
        }
        tree.link_merged_folders();
        Ok(())
    }

    /// How many packages there are.
    pub(super) fn len(&self) -> usize {
        self.files.len()
    }
}

fn unpack_one(file: &Path, tree: &mut Tree) -> anyhow::Result<()> {
    let fields = dpkg_deb("--field", file, |output| Ok(std::io::read_to_string(output)?))?;
    let name = fields.lines().find_map(|line| line.strip_prefix("Package: ")).context("it has no name")?;
    // A file per package is what images without dpkg have in place of dpkg's list; scanners look here.
    let list = format!("var/lib/dpkg/status.d/{name}");
    tree.file(&list, 0o644, format!("{}\nStatus: install ok installed\n", fields.trim_end()))?;
    dpkg_deb("--fsys-tarfile", file, |output| add_files(output, tree))
}

fn dpkg_deb<T>(
    action: &str,
    file: &Path,
    read: impl FnOnce(&mut dyn Read) -> anyhow::Result<T>,
) -> anyhow::Result<T> {
    let mut child = Command::new("dpkg-deb")
        .arg(action)
        .arg(file)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .context("could not start dpkg-deb")?;
    let mut output = child.stdout.take().context("a piped output is there")?;
    let result = read(&mut output);
    // Whatever was not read, so that dpkg-deb can end.
    let rest = std::io::copy(&mut output, &mut std::io::sink());
    let status = child.wait().context("could not wait for dpkg-deb")?;
    let value = result?;
    rest.context("could not read the output of dpkg-deb")?;
    if !status.success() {
        bail!("`dpkg-deb {action}` ended with {status}");
    }
    Ok(value)
}

/// Adds the files of a package's archive. All belong to root, and none gives anybody more rights than he has.
pub(super) fn add_files(archive: impl Read, tree: &mut Tree) -> anyhow::Result<()> {
    let mut archive = tar::Archive::new(archive);
    for entry in archive.entries()? {
        let mut entry = entry?;
        let path = entry.path()?.into_owned();
        if is_left_out(&path) {
            continue;
        }
        let header = entry.header();
        let (kind, mode) = (header.entry_type(), header.mode()?);
        let target = entry.link_name()?.map(std::borrow::Cow::into_owned);
        match (kind, target) {
            (EntryType::Directory, _) => tree.put(&path, Node::of_root(Kind::Folder, safe_mode(mode)))?,
            (EntryType::Regular | EntryType::Continuous, _) => {
                let mut bytes = Vec::new();
                entry.read_to_end(&mut bytes)?;
                let file = Kind::File(Content::Bytes(bytes));
                tree.put(&path, Node::of_root(file, safe_mode(mode)))?;
            }
            (EntryType::Symlink, Some(target)) => {
                let target = target.to_str().context("a link to a path that is not UTF-8")?.to_owned();
                tree.put(&path, Node::of_root(Kind::Symlink(target), 0o777))?;
            }
            (EntryType::Link, Some(target)) => tree.hard_link(&path, &target)?,
            (other, _) => {
                bail!("{path:?} is an entry of kind {other:?}, expected a file, a folder or a link")
            }
        }
    }
    Ok(())
}

/// No other user's or group's rights for whoever runs the file, and only the owner writes.
fn safe_mode(mode: u32) -> u32 {
    mode & 0o755
}

fn is_left_out(path: &Path) -> bool {
    let path = path.strip_prefix(".").unwrap_or(path);
    let in_docs = path.starts_with("usr/share/doc");
    let is_copyright = path.file_name().is_some_and(|name| name == "copyright");
    // Character sets other than UTF-8, for the C library: 8 MiB that nobody asks for.
    let is_character_set =
        path.starts_with("usr/lib") && path.components().any(|part| part.as_os_str() == "gconv");
    let is_listed = FOR_PEOPLE.iter().chain(OF_GIT_SERVERS).any(|listed| path.starts_with(listed));
    (in_docs && !is_copyright) || is_character_set || is_listed
}

#[cfg(test)]
mod tests;
