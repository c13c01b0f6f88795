//! tar.gz archives: whatever a server sends, nothing leads out of the folder, and the limits hold.

use std::{
    collections::BTreeMap,
    io::{self, Read, Write as _},
    path::{Component, Path, PathBuf},
};

use executor::archive::{Limits, MAX_PATH_BYTES, Sink, read};
use flate2::{Compression, write::GzEncoder};
use tar::{Builder, EntryType, Header};

use crate::Target;

/// Entries of archives.
pub(crate) const TARGET: Target = Target {
    name: "archive",
    longest: 8192,
    about: "entries of a tar archive stay below its folder, and its limits hold",
    seeds,
    run,
};

const BLOCK: usize = 512;

const LIMITS: Limits =
    Limits { entries: 12, unpacked_bytes: 16 * 1024, file_bytes: 2048, links_outside: false };

fn seeds() -> Vec<String> {
    use EntryType::{Directory, Fifo, GNULongLink, GNULongName, Link, Regular, Symlink, XHeader};
    let archives: [&[(EntryType, &str, &str)]; 6] = [
        &[(Directory, "live/", ""), (Regular, "live/main.tf", "output \"a\" {}"), (Symlink, "l", "live")],
        &[(Symlink, "up", ".."), (Regular, "up/outside", "x")],
        &[(Regular, "a/b/f", "x"), (Symlink, "a/b/root", "../.."), (Symlink, "e", "a/b/root/../x")],
        &[(Regular, "f", "x"), (Link, "g", "f"), (Fifo, "p", "")],
        &[(GNULongName, "././@LongLink", "a/long/name\0"), (GNULongLink, "n", "t\0"), (Symlink, "x", "y")],
        &[(XHeader, "x", "15 path=../../a\n"), (Regular, "f", "x"), (Regular, "/etc/passwd", "x")],
    ];
    archives.iter().map(|entries| seed(entries)).collect()
}

fn seed(entries: &[(EntryType, &str, &str)]) -> String {
    let mut builder = Builder::new(Vec::new());
    for (kind, name, text) in entries {
        let is_link = kind.is_symlink() || kind.is_hard_link();
        let mut header = Header::new_gnu();
        header.set_entry_type(*kind);
        header.set_mode(0o644);
        let content = if is_link { "" } else { text };
        header.set_size(content.len() as u64);
        let gnu = header.as_gnu_mut().expect("it was made so");
        gnu.name[..name.len()].copy_from_slice(name.as_bytes());
        if is_link {
            gnu.linkname[..text.len()].copy_from_slice(text.as_bytes());
        }
        header.set_cksum();
        builder.append(&header, content.as_bytes()).expect("a vector takes all bytes");
    }
    let bytes = builder.into_inner().expect("a vector takes all bytes");
    String::from_utf8(bytes).expect("names and contents are text")
}

fn run(data: &[u8]) {
    let mut tar = data.to_vec();
    repair_checksums(&mut tar);
    let mut packed = GzEncoder::new(Vec::new(), Compression::none());
    packed.write_all(&tar).expect("a vector takes all bytes");
    let packed = packed.finish().expect("a vector takes all bytes");
    let mut model = Model::default();
    let result = read(&packed[..], &LIMITS, &mut model);
    assert!(model.places.len() <= LIMITS.entries, "more entries than allowed");
    assert!(model.bytes <= LIMITS.unpacked_bytes, "more bytes than allowed");
    if result.is_ok() {
        model.check_links();
    }
    // Not through gzip: such an input is refused at once, and must not panic either.
    let _ = read(data, &LIMITS, &mut Model::default());
}

/// The engine cannot guess checksums.
fn repair_checksums(tar: &mut [u8]) {
    let mut at = 0;
    while let Some(block) = tar.get_mut(at..at + BLOCK) {
        if block.iter().all(|byte| *byte == 0) {
            return;
        }
        block[148..156].fill(b' ');
        let sum: u32 = block.iter().map(|byte| u32::from(*byte)).sum();
        block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
        let digits = block[124..136].iter().take_while(|byte| (b'0'..=b'7').contains(byte));
        let size = digits
            .fold(0_usize, |size, byte| size.saturating_mul(8).saturating_add(usize::from(byte - b'0')));
        at = at.saturating_add(BLOCK).saturating_add(size.div_ceil(BLOCK).saturating_mul(BLOCK));
        if at > tar.len() {
            return;
        }
    }
}

#[derive(Debug, PartialEq)]
enum Place {
    Folder,
    File(u64),
    Link(PathBuf),
}

/// A folder in memory.
#[derive(Debug, Default)]
struct Model {
    places: BTreeMap<PathBuf, Place>,
    bytes: u64,
}

impl Model {
    fn put(&mut self, path: &Path, place: Place) {
        assert!(!path.as_os_str().is_empty() && path.as_os_str().len() <= MAX_PATH_BYTES, "{path:?}");
        assert!(path.components().all(|part| matches!(part, Component::Normal(_))), "{path:?} leads out");
        for parent in path.ancestors().skip(1).filter(|parent| !parent.as_os_str().is_empty()) {
            let found = self.places.entry(parent.to_owned()).or_insert(Place::Folder);
            assert_eq!(*found, Place::Folder, "{path:?} is below {parent:?}");
        }
        if let Some(old) = self.places.get(path) {
            assert_eq!(*old == Place::Folder, place == Place::Folder, "{path:?} changes its kind");
        }
        self.places.insert(path.to_owned(), place);
    }

    /// What can be said without following links over links.
    fn check_links(&self) {
        for (path, place) in &self.places {
            let Place::Link(target) = place else { continue };
            assert!(!target.is_absolute(), "{path:?} leads to {target:?}");
            let mut at = path.parent().expect("a link has a name").to_owned();
            for part in target.components() {
                match part {
                    Component::Normal(name) => at.push(name),
                    Component::ParentDir => assert!(at.pop(), "{path:?} leads to {target:?}"),
                    _ => {}
                }
                if matches!(self.places.get(&at), Some(Place::Link(_))) {
                    break;
                }
            }
        }
    }
}

impl Sink for Model {
    fn folder(&mut self, path: &Path) -> io::Result<()> {
        self.put(path, Place::Folder);
        Ok(())
    }

    fn file(&mut self, path: &Path, _: bool, content: &mut dyn Read) -> io::Result<()> {
        let bytes = io::copy(content, &mut io::sink())?;
        assert!(bytes <= LIMITS.file_bytes, "{path:?} has {bytes} bytes");
        self.bytes += bytes;
        self.put(path, Place::File(bytes));
        Ok(())
    }

    fn copy(&mut self, path: &Path, original: &Path) -> io::Result<()> {
        let earlier = match self.places.get(original) {
            Some(Place::File(bytes)) => Some(*bytes),
            _ => None,
        };
        let bytes = earlier.expect("the original of a copy is an earlier file");
        self.bytes += bytes;
        self.put(path, Place::File(bytes));
        Ok(())
    }

    fn link(&mut self, path: &Path, target: &Path) -> io::Result<()> {
        self.put(path, Place::Link(target.to_owned()));
        Ok(())
    }
}
