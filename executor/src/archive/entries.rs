//! Reads an archive entry by entry and checks each one.

use std::{
    collections::BTreeMap,
    ffi::OsStr,
    io::{self, BufReader, Read},
    os::unix::ffi::OsStrExt as _,
    path::{Component, Path, PathBuf},
};

use flate2::bufread::MultiGzDecoder;
use tar::{Archive, Entry, EntryType, PaxExtensions};

use super::{ArchiveError, Limits, MAX_PATH_BYTES, Sink, links::leads_outside};

/// The longest extension header. It is read into memory.
const MAX_EXTENSION_BYTES: u64 = 64 * 1024;

/// The longest name of a file that Linux has.
const MAX_NAME_BYTES: usize = 255;

const GZIP: [u8; 2] = [0x1f, 0x8b];

/// Reads a tar.gz archive into `sink`.
///
/// # Errors
/// [`ArchiveError`] says which entry is refused, and why. Then a part of the archive may be in `sink`.
pub fn read(stream: impl Read, limits: &Limits, sink: &mut impl Sink) -> Result<(), ArchiveError> {
    let mut stream = BufReader::with_capacity(64 * 1024, stream);
    check_magic(&mut stream)?;
    let mut unpacked = Bounded { inner: MultiGzDecoder::new(stream), left: limits.unpacked_bytes };
    let mut reader =
        EntryReader { limits, sink, seen: BTreeMap::new(), links: BTreeMap::new(), count: 0, bytes: 0 };
    {
        let mut archive = Archive::new(&mut unpacked);
        let entries = archive.entries().map_err(|error| stream_error(error, limits))?;
        let mut extensions = Extensions::default();
        // Raw: the library would read long names of any length into memory.
        for entry in entries.raw(true) {
            let entry = entry.map_err(|error| stream_error(error, limits))?;
            if !extensions.take(entry, limits, &mut reader)? {
                extensions = Extensions::default();
            }
        }
    }
    // To the end: only there the checksum shows that nothing is missing.
    io::copy(&mut unpacked, &mut io::sink()).map_err(|error| stream_error(error, limits))?;
    reader.check_links()
}

fn check_magic(stream: &mut impl io::BufRead) -> Result<(), ArchiveError> {
    let start = stream.fill_buf().map_err(ArchiveError::Damaged)?;
    if start.starts_with(&GZIP) {
        return Ok(());
    }
    let found = String::from_utf8_lossy(&start[..start.len().min(16)]).into_owned();
    Err(ArchiveError::NotGzip { found })
}

/// Ends with an error after this many bytes, whatever they are: headers, padding, holes.
struct Bounded<R> {
    inner: R,
    left: u64,
}

/// What [`Bounded`] fails with, inside of an error of the stream.
#[derive(Debug, thiserror::Error)]
#[error("too many bytes")]
struct TooManyBytes;

impl<R: Read> Read for Bounded<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let length = self.inner.read(buffer)?;
        match self.left.checked_sub(length as u64) {
            Some(left) => self.left = left,
            None => return Err(io::Error::other(TooManyBytes)),
        }
        Ok(length)
    }
}

fn stream_error(error: io::Error, limits: &Limits) -> ArchiveError {
    let mut cause: Option<&(dyn std::error::Error + 'static)> =
        error.get_ref().map(|inner| inner as &(dyn std::error::Error + 'static));
    while let Some(found) = cause {
        if found.is::<TooManyBytes>() {
            return ArchiveError::TooLarge {
                what: "bytes after decompression",
                limit: limits.unpacked_bytes,
            };
        }
        // The library wraps the error of the stream.
        let wrapped = found.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        cause = found.source().or_else(|| wrapped.map(|inner| inner as &(dyn std::error::Error + 'static)));
    }
    ArchiveError::Damaged(error)
}

/// What headers before an entry say about it.
#[derive(Debug, Default)]
struct Extensions {
    path: Option<Vec<u8>>,
    target: Option<Vec<u8>>,
}

impl Extensions {
    /// Handles an entry; returns whether it only describes the next one.
    fn take<S: Sink>(
        &mut self,
        mut entry: Entry<'_, impl Read>,
        limits: &Limits,
        reader: &mut EntryReader<'_, S>,
    ) -> Result<bool, ArchiveError> {
        let kind = entry.header().entry_type();
        match kind {
            EntryType::GNULongName => self.path = Some(Self::name(&mut entry, limits)?),
            EntryType::GNULongLink => self.target = Some(Self::name(&mut entry, limits)?),
            EntryType::XHeader => self.pax(&mut entry, limits)?,
            EntryType::XGlobalHeader => {}
            _ => {
                let path = self.path.take().unwrap_or_else(|| entry.path_bytes().into_owned());
                let own_target = || entry.link_name_bytes().map(std::borrow::Cow::into_owned);
                let target = self.target.take().or_else(own_target);
                reader.entry(kind, &path, target.as_deref(), &mut entry)?;
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Reads a long name, which ends with a zero byte.
    fn name(entry: &mut Entry<'_, impl Read>, limits: &Limits) -> Result<Vec<u8>, ArchiveError> {
        let mut name = bounded_content(entry, limits)?;
        if name.last() == Some(&0) {
            name.pop();
        }
        Ok(name)
    }

    fn pax(&mut self, entry: &mut Entry<'_, impl Read>, limits: &Limits) -> Result<(), ArchiveError> {
        let content = bounded_content(entry, limits)?;
        for extension in PaxExtensions::new(&content) {
            let extension = extension.map_err(ArchiveError::Damaged)?;
            let value = extension.value_bytes().to_vec();
            match extension.key_bytes() {
                b"path" => self.path = Some(value),
                b"linkpath" => self.target = Some(value),
                // A second size would hide entries from a reader that takes the first one.
                b"size" => return Err(kind_error(&value, "an entry with a second size")),
                key if key.starts_with(b"GNU.sparse.") => {
                    return Err(kind_error(self.path.as_deref().unwrap_or_default(), "a sparse file"));
                }
                _ => {}
            }
        }
        Ok(())
    }
}

fn bounded_content(entry: &mut Entry<'_, impl Read>, limits: &Limits) -> Result<Vec<u8>, ArchiveError> {
    if entry.size() > MAX_EXTENSION_BYTES {
        return Err(ArchiveError::TooLarge {
            what: "bytes in the name of an entry",
            limit: MAX_EXTENSION_BYTES,
        });
    }
    let mut content = Vec::new();
    entry.read_to_end(&mut content).map_err(|error| stream_error(error, limits))?;
    Ok(content)
}

fn kind_error(path: &[u8], kind: &'static str) -> ArchiveError {
    ArchiveError::Kind { path: String::from_utf8_lossy(path).into_owned(), kind }
}

/// What is at a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Seen {
    Folder,
    File(u64),
    Link,
}

struct EntryReader<'a, S> {
    limits: &'a Limits,
    sink: &'a mut S,
    seen: BTreeMap<PathBuf, Seen>,
    links: BTreeMap<PathBuf, PathBuf>,
    /// Number of entries.
    count: usize,
    /// Bytes of files, those that hard links copy included.
    bytes: u64,
}

impl<S: Sink> EntryReader<'_, S> {
    fn entry(
        &mut self,
        kind: EntryType,
        path: &[u8],
        target: Option<&[u8]>,
        content: &mut Entry<'_, impl Read>,
    ) -> Result<(), ArchiveError> {
        // Old archives mark a folder by the end of its name.
        let is_folder = kind.is_dir() || (kind.is_file() && path.ends_with(b"/"));
        let path = clean_path(path)?;
        if path.as_os_str().is_empty() {
            // The folder of the archive itself.
            return if is_folder { Ok(()) } else { Err(path_error(b".")) };
        }
        self.check_place(&path, is_folder)?;
        let (seen, written) = match kind {
            _ if is_folder => (Seen::Folder, self.sink.folder(&path)),
            EntryType::Regular | EntryType::Continuous => {
                let bytes = content.size();
                self.check_size(&path, bytes)?;
                let executable = content.header().mode().unwrap_or_default() & 0o111 != 0;
                (Seen::File(bytes), self.sink.file(&path, executable, content))
            }
            EntryType::Symlink => {
                let target = target_path(target)?;
                let written = self.sink.link(&path, &target);
                self.links.insert(path.clone(), target);
                (Seen::Link, written)
            }
            EntryType::Link => self.hard_link(&path, target)?,
            kind => return Err(ArchiveError::Kind { path: shown(&path), kind: name_of(kind) }),
        };
        written.map_err(|source| self.write_error(&path, source))?;
        if seen != Seen::Link {
            self.links.remove(&path);
        }
        self.seen.insert(path, seen);
        Ok(())
    }

    /// A hard link is a copy of an earlier file; its bytes count again.
    fn hard_link(
        &mut self,
        path: &Path,
        target: Option<&[u8]>,
    ) -> Result<(Seen, io::Result<()>), ArchiveError> {
        let original = clean_path(target.unwrap_or_default())?;
        let Some(Seen::File(bytes)) = self.seen.get(&original).copied().filter(|_| original != path) else {
            return Err(ArchiveError::HardLink { path: shown(path), target: shown(&original) });
        };
        self.add_bytes(bytes)?;
        Ok((Seen::File(bytes), self.sink.copy(path, &original)))
    }

    /// Checks that a path is below folders only, and not in the place of another kind of entry.
    fn check_place(&mut self, path: &Path, is_folder: bool) -> Result<(), ArchiveError> {
        for parent in path.ancestors().skip(1).take_while(|parent| !parent.as_os_str().is_empty()) {
            match self.seen.get(parent) {
                Some(Seen::Folder) => break,
                Some(_) => {
                    return Err(ArchiveError::NoFolder { path: shown(path), parent: shown(parent) });
                }
                None => {
                    self.seen.insert(parent.to_owned(), Seen::Folder);
                }
            }
        }
        match self.seen.get(path) {
            Some(Seen::Folder) if !is_folder => return Err(path_error(path.as_os_str().as_bytes())),
            Some(Seen::File(_) | Seen::Link) if is_folder => {
                return Err(ArchiveError::NoFolder { path: shown(path), parent: shown(path) });
            }
            _ => {}
        }
        self.count += 1;
        let limit = self.limits.entries;
        // Folders that no entry names count, too.
        let places = self.seen.len() + usize::from(!self.seen.contains_key(path));
        if self.count.max(places) > limit {
            return Err(ArchiveError::TooLarge { what: "files, folders and links", limit: limit as u64 });
        }
        Ok(())
    }

    fn check_size(&mut self, path: &Path, bytes: u64) -> Result<(), ArchiveError> {
        let limit = self.limits.file_bytes;
        if bytes > limit {
            return Err(ArchiveError::FileTooLarge { path: shown(path), bytes, limit });
        }
        self.add_bytes(bytes)
    }

    fn add_bytes(&mut self, bytes: u64) -> Result<(), ArchiveError> {
        self.bytes = self.bytes.saturating_add(bytes);
        let limit = self.limits.unpacked_bytes;
        if self.bytes > limit {
            return Err(ArchiveError::TooLarge { what: "bytes after decompression", limit });
        }
        Ok(())
    }

    /// An error of the stream comes through the sink, too.
    fn write_error(&self, path: &Path, source: io::Error) -> ArchiveError {
        match stream_error(source, self.limits) {
            ArchiveError::Damaged(source) => ArchiveError::Write { path: shown(path), source },
            error => error,
        }
    }

    fn check_links(&self) -> Result<(), ArchiveError> {
        if self.limits.links_outside {
            return Ok(());
        }
        match self.links.iter().find(|(path, _)| leads_outside(path, &self.links)) {
            Some((path, target)) => {
                Err(ArchiveError::LinkOutside { path: shown(path), target: shown(target) })
            }
            None => Ok(()),
        }
    }
}

fn shown(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}

fn path_error(path: &[u8]) -> ArchiveError {
    ArchiveError::Path { path: String::from_utf8_lossy(path).into_owned() }
}

fn name_of(kind: EntryType) -> &'static str {
    if kind.is_gnu_sparse() {
        "a sparse file"
    } else if kind.is_block_special() || kind.is_character_special() {
        "a device"
    } else if kind.is_fifo() {
        "a named pipe"
    } else {
        "of an unknown kind"
    }
}

fn target_path(target: Option<&[u8]>) -> Result<PathBuf, ArchiveError> {
    let target = target.unwrap_or_default();
    if target.is_empty() || target.len() > MAX_PATH_BYTES || target.contains(&0) {
        return Err(path_error(target));
    }
    Ok(PathBuf::from(OsStr::from_bytes(target)))
}

/// Returns a path without `.`; one that is absolute or has `..` is refused.
fn clean_path(path: &[u8]) -> Result<PathBuf, ArchiveError> {
    if path.is_empty() || path.len() > MAX_PATH_BYTES || path.contains(&0) {
        return Err(path_error(path));
    }
    let mut clean = PathBuf::new();
    for part in Path::new(OsStr::from_bytes(path)).components() {
        match part {
            Component::Normal(name) if name.len() > MAX_NAME_BYTES => return Err(path_error(path)),
            Component::Normal(name) => clean.push(name),
            Component::CurDir => {}
            Component::ParentDir | Component::RootDir | Component::Prefix(_) => {
                return Err(ArchiveError::Outside { path: String::from_utf8_lossy(path).into_owned() });
            }
        }
    }
    Ok(clean)
}
