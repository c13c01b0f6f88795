//! The configuration of a workspace: a folder, or a repository where executors are pods.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, ensure};

/// Where the configuration is.
#[derive(Debug)]
pub(super) enum Source {
    Folder(PathBuf),
    /// The folder is the work tree of a repository at this address.
    Repository {
        folder: PathBuf,
        address: String,
    },
}

impl Source {
    /// Creates an empty folder.
    pub(super) fn folder(folder: PathBuf) -> anyhow::Result<Self> {
        fs::create_dir_all(&folder).context("cannot create the folder of the configuration")?;
        Ok(Self::Folder(folder))
    }

    /// Creates an empty repository, which is served at an address.
    pub(super) fn repository(folder: PathBuf, address: String) -> anyhow::Result<Self> {
        fs::create_dir_all(&folder).context("cannot create the folder of the configuration")?;
        git(&folder, &["init", "--quiet", "--initial-branch=main"])?;
        Ok(Self::Repository { folder, address })
    }

    /// Returns what the workspace is registered with.
    pub(super) fn address(&self) -> String {
        match self {
            Self::Folder(folder) => folder.display().to_string(),
            Self::Repository { address, .. } => address.clone(),
        }
    }

    /// Writes the configuration with its import blocks.
    pub(super) fn publish(&self, configuration: &str, imports: &str) -> anyhow::Result<()> {
        let (Self::Folder(folder) | Self::Repository { folder, .. }) = self;
        fs::write(folder.join("main.tf"), configuration).context("cannot write the configuration")?;
        fs::write(folder.join("imports.tf"), imports).context("cannot write the import blocks")?;
        if let Self::Repository { .. } = self {
            git(folder, &["add", "--all"])?;
            let author = ["-c", "user.name=chaos", "-c", "user.email=chaos@example.com"];
            let commit = ["-c", "commit.gpgsign=false", "commit", "--quiet", "--no-verify", "--allow-empty"];
            git(folder, &[&author[..], &commit, &["-m", "the next round"]].concat())?;
        }
        Ok(())
    }
}

fn git(folder: &Path, arguments: &[&str]) -> anyhow::Result<()> {
    let output =
        Command::new("git").arg("-C").arg(folder).args(arguments).output().context("cannot start git")?;
    let errors = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "git {}: {}", arguments.join(" "), errors.trim());
    Ok(())
}
