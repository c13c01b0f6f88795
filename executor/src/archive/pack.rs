//! Writes archives: the same files give the same bytes.

use std::{
    fs::{self, File},
    io::{self, BufWriter, Read as _, Write},
    os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
};

use flate2::{Compression, write::GzEncoder};
use sha2::{Digest as _, Sha256};
use tar::{Builder, EntryType, Header};

use crate::phase::fetch::plan::hex;

/// An archive in a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Packed {
    pub(crate) file: PathBuf,
    /// SHA-256 of the archive in hexadecimal digits.
    pub(crate) digest: String,
    pub(crate) size: u64,
}

/// Packs files, links and folders of `root`. `paths` are relative to it and in order.
pub(crate) fn pack<'p>(
    root: &Path,
    paths: impl IntoIterator<Item = &'p Path>,
    file: &Path,
) -> io::Result<Packed> {
    let target = fs::OpenOptions::new().create(true).write(true).truncate(true).mode(0o600).open(file)?;
    let hashing = Hashing { inner: BufWriter::new(target), digest: Sha256::new(), size: 0 };
    let mut builder = Builder::new(GzEncoder::new(hashing, Compression::fast()));
    for path in paths {
        append(&mut builder, root, path).map_err(|error| with_path(path, &error))?;
    }
    let Hashing { mut inner, digest, size } = builder.into_inner()?.finish()?;
    inner.flush()?;
    Ok(Packed { file: file.to_owned(), digest: hex(&digest.finalize()), size })
}

fn with_path(path: &Path, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("{path:?}: {error}"))
}

fn append<W: Write>(builder: &mut Builder<W>, root: &Path, path: &Path) -> io::Result<()> {
    let place = root.join(path);
    let found = fs::symlink_metadata(&place)?;
    let mut header = Header::new_gnu();
    header.set_mtime(0);
    header.set_uid(0);
    header.set_gid(0);
    header.set_size(0);
    if found.is_dir() {
        header.set_entry_type(EntryType::Directory);
        header.set_mode(0o755);
        builder.append_data(&mut header, path, io::empty())
    } else if found.is_symlink() {
        header.set_entry_type(EntryType::Symlink);
        header.set_mode(0o777);
        builder.append_link(&mut header, path, fs::read_link(&place)?)
    } else {
        let executable = found.permissions().mode() & 0o111 != 0;
        header.set_entry_type(EntryType::Regular);
        header.set_mode(if executable { 0o755 } else { 0o644 });
        header.set_size(found.len());
        // A file that grows or shrinks meanwhile would shift what comes after it.
        let mut content = File::open(&place)?.take(found.len());
        builder.append_data(&mut header, path, &mut content)?;
        if content.limit() > 0 {
            return Err(io::Error::other("the file became shorter while it was read"));
        }
        Ok(())
    }
}

struct Hashing<W> {
    inner: W,
    digest: Sha256,
    size: u64,
}

impl<W: Write> Write for Hashing<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.inner.write(bytes)?;
        self.digest.update(&bytes[..written]);
        self.size += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}
