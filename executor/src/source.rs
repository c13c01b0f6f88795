//! Brings the configuration of a workspace into the work directory.
//!
//! A folder of this machine is copied ([`folder`]), a repository is cloned ([`git`]). Whatever goes wrong ends the step:
//! terraform in an empty folder would plan to destroy everything.

pub(crate) mod address;
pub(crate) mod folder;
pub(crate) mod git;

use std::{
    fs, io,
    path::{Component, Path, PathBuf},
};

use crate::process::ProcessError;

/// The configuration could not be fetched.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FetchError {
    #[error(
        "source {found:?} is no address, expected an absolute path or a file, https, http, ssh or git address"
    )]
    Address { found: String },
    #[error(
        "the source is a tar.gz upload (branch \"remote-content\"), which this executor does not support yet"
    )]
    RemoteContent,
    #[error("source folder {path:?} does not exist")]
    NoSource { path: PathBuf },
    #[error(
        "source folder {path:?} contains the executor's own work directory; set TMPDIR to another folder"
    )]
    AroundWork { path: PathBuf },
    #[error("could not copy {path:?}")]
    Copy { path: PathBuf, source: io::Error },
    #[error("commit {found:?} is no commit id, expected 7 to 64 hexadecimal digits")]
    Commit { found: String },
    #[error("git is not on PATH")]
    NoGit,
    #[error("could not write the private key of the repository")]
    Key(#[source] io::Error),
    #[error(transparent)]
    Process(#[from] ProcessError),
    #[error("git could not {action}; its own words are in the log")]
    Git { action: &'static str },
    #[error("folder {folder:?} of the workspace is not in the source")]
    NoFolder { folder: String },
    #[error("folder {folder:?} of the workspace leads out of the source")]
    Outside { folder: String },
    #[error("folder {folder:?} of the workspace holds no terraform configuration")]
    Empty { folder: String },
}

/// Finds the working directory inside a fetched source.
///
/// It must exist and hold a configuration: our backend file alone would be one that wants everything destroyed.
pub(crate) fn working_directory(root: &Path, folder: &str) -> Result<PathBuf, FetchError> {
    // The rest after a comma is a list of further folders that only triggers use.
    let folder = folder.split(',').next().unwrap_or_default().trim();
    let inside = Path::new(folder.trim_start_matches('/'));
    let named = || if folder.is_empty() { "/".to_owned() } else { folder.to_owned() };
    let plain = |part: Component<'_>| matches!(part, Component::Normal(_) | Component::CurDir);
    if !inside.components().all(plain) {
        return Err(FetchError::Outside { folder: named() });
    }
    let path = root.join(inside);
    let (Ok(real), Ok(real_root)) = (path.canonicalize(), root.canonicalize()) else {
        return Err(FetchError::NoFolder { folder: named() });
    };
    if !real.starts_with(&real_root) {
        return Err(FetchError::Outside { folder: named() });
    }
    if !real.is_dir() {
        return Err(FetchError::NoFolder { folder: named() });
    }
    let is_configuration =
        |name: &str| [".tf", ".tf.json", ".tofu", ".tofu.json"].iter().any(|ending| name.ends_with(ending));
    let mut files = fs::read_dir(&real).map_err(|source| FetchError::Copy { path: real.clone(), source })?;
    if !files.any(|file| file.is_ok_and(|file| is_configuration(&file.file_name().to_string_lossy()))) {
        return Err(FetchError::Empty { folder: named() });
    }
    Ok(real)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_working_directory_must_exist_inside_the_source_and_hold_a_configuration() {
        let outside = tempfile::tempdir().unwrap();
        fs::write(outside.path().join("main.tf"), "").unwrap();
        let root = tempfile::tempdir().unwrap();
        let root = root.path().canonicalize().unwrap();
        for folder in ["live/dev", "json", "tofu", "empty"] {
            fs::create_dir_all(root.join(folder)).unwrap();
        }
        for file in ["main.tf", "live/dev/main.tf", "json/a.tf.json", "tofu/a.tofu", "empty/readme.md"] {
            fs::write(root.join(file), "").unwrap();
        }
        std::os::unix::fs::symlink(outside.path(), root.join("link")).unwrap();
        let good = [
            ("", ""),
            ("/", ""),
            ("/live/dev", "live/dev"),
            ("live/dev/", "live/dev"),
            ("/live/dev,/modules", "live/dev"),
            ("./json", "json"),
            ("tofu", "tofu"),
        ];
        for (folder, expected) in good {
            assert_eq!(working_directory(&root, folder).unwrap(), root.join(expected), "{folder}");
        }
        let bad = [
            ("/nowhere", "folder \"/nowhere\" of the workspace is not in the source"),
            ("main.tf", "folder \"main.tf\" of the workspace is not in the source"),
            ("/../x", "folder \"/../x\" of the workspace leads out of the source"),
            ("link", "folder \"link\" of the workspace leads out of the source"),
            ("/empty", "folder \"/empty\" of the workspace holds no terraform configuration"),
        ];
        for (folder, expected) in bad {
            assert_eq!(working_directory(&root, folder).unwrap_err().to_string(), expected);
        }
    }
}
