//! tar.gz archives: sources that a server offers, and what a plan leaves behind.
//!
//! An archive is input of a stranger. [`read`] checks every entry before anything is written, with
//! [`Limits`]; `unpack` writes into a folder of this attempt and never through a link; `pack` writes the
//! same bytes for the same files.

mod entries;
mod links;
pub(crate) mod pack;
pub(crate) mod unpack;

use std::{io, path::Path};

pub use entries::read;

/// What an archive may hold.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Files, folders and links together.
    pub entries: usize,
    /// Bytes after decompression, headers included.
    pub unpacked_bytes: u64,
    /// Bytes of one file.
    pub file_bytes: u64,
    /// Whether symbolic links may lead out of the archive. Nothing is ever written through a link.
    pub links_outside: bool,
}

/// Limits of sources.
pub const SOURCE_LIMITS: Limits = Limits {
    entries: 200_000,
    unpacked_bytes: 2 * 1024 * 1024 * 1024,
    file_bytes: 1024 * 1024 * 1024,
    links_outside: false,
};

/// The longest path of an entry, in bytes.
pub const MAX_PATH_BYTES: usize = 4096;

/// What receives the entries of an archive. Paths are relative, without `.` and `..`, and never below a link
/// or a file.
pub trait Sink {
    /// A folder, which may exist.
    ///
    /// # Errors
    /// The folder cannot be created.
    fn folder(&mut self, path: &Path) -> io::Result<()>;

    /// A file, in place of an earlier file or link.
    ///
    /// # Errors
    /// The content cannot be read or written.
    fn file(&mut self, path: &Path, executable: bool, content: &mut dyn io::Read) -> io::Result<()>;

    /// A copy of an earlier file.
    ///
    /// # Errors
    /// The copy cannot be written.
    fn copy(&mut self, path: &Path, original: &Path) -> io::Result<()>;

    /// A symbolic link, in place of an earlier file or link.
    ///
    /// # Errors
    /// The link cannot be created.
    fn link(&mut self, path: &Path, target: &Path) -> io::Result<()>;
}

/// Why an archive is refused.
#[derive(Debug, thiserror::Error)]
pub enum ArchiveError {
    /// It is no gzip file.
    #[error("it is not a gzip file, it begins with {found:?}")]
    NotGzip {
        /// Its first bytes.
        found: String,
    },
    /// It is damaged or cut off.
    #[error("it is damaged or incomplete")]
    Damaged(#[source] io::Error),
    /// It holds more than the limits allow.
    #[error("it holds more than {limit} {what}")]
    TooLarge {
        /// What there is too much of.
        what: &'static str,
        /// How much is allowed.
        limit: u64,
    },
    /// A file is too large.
    #[error("file {path:?} has {bytes} bytes, expected at most {limit}")]
    FileTooLarge {
        /// The file.
        path: String,
        /// Its size.
        bytes: u64,
        /// How much is allowed.
        limit: u64,
    },
    /// A path leads out of the archive.
    #[error("entry {path:?} is outside of the folder of the archive")]
    Outside {
        /// The path.
        path: String,
    },
    /// A path is below a link or a file.
    #[error("entry {path:?} is below {parent:?}, which is no folder")]
    NoFolder {
        /// The path.
        path: String,
        /// The link or file.
        parent: String,
    },
    /// A link leads out of the archive.
    #[error("link {path:?} to {target:?} leads out of the archive")]
    LinkOutside {
        /// The link.
        path: String,
        /// Its target.
        target: String,
    },
    /// A hard link to something that is no earlier file.
    #[error("hard link {path:?} to {target:?} does not name an earlier file of the archive")]
    HardLink {
        /// The link.
        path: String,
        /// Its target.
        target: String,
    },
    /// An entry of another kind.
    #[error("entry {path:?} is {kind}, expected files, folders and links only")]
    Kind {
        /// The entry.
        path: String,
        /// What it is.
        kind: &'static str,
    },
    /// A path cannot be the name of a file.
    #[error("an entry has the path {path:?}, which cannot be that of a file")]
    Path {
        /// The path.
        path: String,
    },
    /// An entry could not be written.
    #[error("could not write {path:?}")]
    Write {
        /// The entry.
        path: String,
        /// Why not.
        source: io::Error,
    },
}
