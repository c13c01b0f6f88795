//! The error of [`LocalBackend::open`](super::LocalBackend::open).

use std::{io, path::PathBuf};

/// The local backend could not be opened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// Another program, or another backend of this one, uses the directory.
    #[error("local backend directory {0:?} is in use by another program")]
    InUse(PathBuf),
    /// The folder of Secrets is the directory of the backend. The folders of Jobs would look like Secrets,
    /// and a Job would wait for its Secret without end.
    #[error(
        "folder of Secrets {0:?} is the directory of the local backend; \
         choose another folder, or none to use \".secrets\" in the directory"
    )]
    SecretsInDirectory(PathBuf),
    /// A file or folder cannot be used.
    #[error("local backend cannot use {path:?}")]
    Unusable {
        /// The file or folder.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
}
