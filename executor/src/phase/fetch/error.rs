//! Why the configuration could not be fetched.

use std::{io, path::PathBuf};

use super::git::Failure;
use crate::{archive::ArchiveError, authorities::AuthoritiesError, child::process::ProcessError};

/// The configuration could not be fetched.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FetchError {
    #[error(
        "source {found:?} is not an address, \
         expected an absolute path or a file, https, http, ssh or git address"
    )]
    Address { found: String },
    #[error("branch \"remote-content\" says that the source is an upload, expected an http or https address")]
    RemoteContent,
    #[error(
        "archive {path:?} does not exist on the machine of the executor; correct the source of the workspace"
    )]
    MissingArchive { path: PathBuf },
    #[error("could not download the archive {url}")]
    Download { url: String, source: reqwest::Error },
    #[error("could not download the archive {url}: the server answered {status}; {advice}")]
    DownloadStatus { url: String, status: reqwest::StatusCode, advice: &'static str },
    #[error("the archive {url} has more than {limit} bytes; remove what terraform does not need from it")]
    ArchiveTooLarge { url: String, limit: u64 },
    #[error("could not unpack the archive {name}")]
    Archive { name: String, source: ArchiveError },
    #[error("could not remove {path:?} of the source, which belongs to another run of terraform")]
    Clean { path: PathBuf, source: io::Error },
    #[error(
        "source folder {path:?} does not exist on the machine of the executor; correct the source of the \
         workspace, or mount the folder into the pods of executors"
    )]
    MissingSource { path: PathBuf },
    #[error(
        "source folder {path:?} contains the executor's own work directory; set TMPDIR to another folder"
    )]
    ContainsWorkDir { path: PathBuf },
    #[error("could not copy {path:?}")]
    Copy { path: PathBuf, source: io::Error },
    #[error("commit {found:?} is not a commit id, expected 4 to 64 hexadecimal digits")]
    Commit { found: String },
    #[error(
        "branch {found:?} of the workspace cannot be the name of a branch, a tag or a commit; \
         expected for example main, v1.2.0, refs/heads/main or a commit id"
    )]
    Reference { found: String },
    #[error("{name:?} is no branch, tag or commit of {url}; {exists}")]
    MissingReference { name: String, url: String, exists: String },
    #[error("several commits have ids that begin with {found:?}; give more digits")]
    AmbiguousCommit { found: String },
    #[error("git is not on PATH")]
    MissingGit,
    #[error("could not write the private key of the repository")]
    Key(#[source] io::Error),
    #[error("with the proxy {proxy}")]
    Proxy { proxy: String, source: Box<FetchError> },
    #[error(transparent)]
    Authorities(#[from] AuthoritiesError),
    #[error(transparent)]
    Process(#[from] ProcessError),
    #[error(transparent)]
    Git(Box<Failure>),
    #[error("git was still fetching from {url} after {minutes} minutes; check the server and the network")]
    GitTimeout { url: String, minutes: u64 },
    #[error("folder {folder:?} of the workspace is not in the source; {exists}")]
    MissingFolder { folder: String, exists: String },
    #[error("folder {folder:?} of the workspace is outside of the source")]
    Outside { folder: String },
    #[error(
        "folder {folder:?} of the workspace contains no terraform configuration, \
         expected a *.tf, *.tf.json, *.tofu or *.tofu.json file; {exists}"
    )]
    Empty { folder: String, exists: String },
}

impl From<Failure> for FetchError {
    fn from(failure: Failure) -> Self {
        Self::Git(Box::new(failure))
    }
}
