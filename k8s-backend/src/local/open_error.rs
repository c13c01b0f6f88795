//! The error of [`LocalBackend::open`](super::LocalBackend::open).

use std::{io, path::PathBuf};

/// The local backend could not be opened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// Another program, or another backend of this one, uses the directory.
    #[error("local backend directory {0:?} is in use by another program")]
    InUse(PathBuf),
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
