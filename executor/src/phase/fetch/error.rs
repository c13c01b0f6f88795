//! Why the configuration could not be fetched.

use std::{io, path::PathBuf};

use crate::child::process::ProcessError;

/// The configuration could not be fetched.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FetchError {
    #[error(
        "source {found:?} is not an address, \
         expected an absolute path or a file, https, http, ssh or git address"
    )]
    Address { found: String },
    #[error(
        "the source is a tar.gz upload (branch \"remote-content\"), which this executor does not support yet"
    )]
    RemoteContent,
    #[error("source folder {path:?} does not exist")]
    MissingSource { path: PathBuf },
    #[error(
        "source folder {path:?} contains the executor's own work directory; set TMPDIR to another folder"
    )]
    ContainsWorkDir { path: PathBuf },
    #[error("could not copy {path:?}")]
    Copy { path: PathBuf, source: io::Error },
    #[error("commit {found:?} is not a commit id, expected 7 to 64 hexadecimal digits")]
    Commit { found: String },
    #[error("git is not on PATH")]
    MissingGit,
    #[error("could not write the private key of the repository")]
    Key(#[source] io::Error),
    #[error(transparent)]
    Process(#[from] ProcessError),
    #[error("git could not {action}; see its error message in the log")]
    Git { action: &'static str },
    #[error("folder {folder:?} of the workspace is not in the source")]
    MissingFolder { folder: String },
    #[error("folder {folder:?} of the workspace is outside of the source")]
    Outside { folder: String },
    #[error(
        "folder {folder:?} of the workspace contains no terraform configuration, \
         expected a *.tf, *.tf.json, *.tofu or *.tofu.json file"
    )]
    Empty { folder: String },
}
