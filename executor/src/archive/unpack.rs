//! Writes an archive into a folder.

use std::{
    fs::{self, DirBuilder, OpenOptions},
    io::{self, Read},
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, symlink},
    path::{Path, PathBuf},
};

use super::{ArchiveError, Limits, Sink, read};

/// Unpacks a tar.gz archive into an existing folder.
pub(crate) fn unpack(stream: impl Read, folder: &Path, limits: &Limits) -> Result<(), ArchiveError> {
    read(stream, limits, &mut FolderSink { root: folder.to_owned(), checked: None })
}

/// A folder that nothing else writes to.
struct FolderSink {
    root: PathBuf,
    /// The last folder that is known to be one, with all folders above it.
    checked: Option<PathBuf>,
}

impl FolderSink {
    /// Makes the folders above a path. What was there before the archive may be a link: it is refused.
    fn parents(&mut self, path: &Path) -> io::Result<()> {
        let parent = path.parent().unwrap_or(Path::new(""));
        if self.checked.as_deref() == Some(parent) {
            return Ok(());
        }
        let mut at = self.root.clone();
        for part in parent.components() {
            at.push(part);
            make_folder(&at)?;
        }
        self.checked = Some(parent.to_owned());
        Ok(())
    }

    /// Returns the place of an entry, which is empty.
    fn place(&mut self, path: &Path) -> io::Result<PathBuf> {
        self.parents(path)?;
        let place = self.root.join(path);
        match fs::remove_file(&place) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(place),
        }
    }
}

fn make_folder(path: &Path) -> io::Result<()> {
    match DirBuilder::new().mode(0o755).create(path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            if fs::symlink_metadata(path)?.is_dir() {
                Ok(())
            } else {
                Err(io::ErrorKind::NotADirectory.into())
            }
        }
        made => made,
    }
}

impl Sink for FolderSink {
    fn folder(&mut self, path: &Path) -> io::Result<()> {
        self.parents(path)?;
        make_folder(&self.root.join(path))
    }

    fn file(&mut self, path: &Path, executable: bool, content: &mut dyn Read) -> io::Result<()> {
        let place = self.place(path)?;
        let mode = if executable { 0o755 } else { 0o644 };
        let mut file = OpenOptions::new().create_new(true).write(true).mode(mode).open(place)?;
        io::copy(content, &mut file).map(drop)
    }

    fn copy(&mut self, path: &Path, original: &Path) -> io::Result<()> {
        let place = self.place(path)?;
        fs::copy(self.root.join(original), place).map(drop)
    }

    fn link(&mut self, path: &Path, target: &Path) -> io::Result<()> {
        symlink(target, self.place(path)?)
    }
}

#[cfg(test)]
mod tests;
