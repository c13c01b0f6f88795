//! The files of a folder with what changes when they do.

use std::{
    collections::BTreeMap,
    ffi::OsStr,
    fs,
    io::{self, Read as _},
    os::unix::{ffi::OsStrExt as _, fs::MetadataExt as _},
    path::{Path, PathBuf},
};

use sha2::{Digest as _, Sha256};

use crate::phase::fetch::plan::hex;

/// What is at a path. Two files with the same stamp are the same file with the same content, unless a program
/// has turned back the clock of the machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Stamp {
    pub(crate) kind: Kind,
    pub(crate) bytes: u64,
    mode: u32,
    inode: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

/// What a path is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Folder,
    File,
    Link,
    /// A socket, pipe or device.
    Other,
}

/// Files by their paths, which are relative to the folder.
pub(crate) type Tree = BTreeMap<PathBuf, Stamp>;

/// Reads the tree of a folder without the names that `is_skipped` names, and what is below them.
pub(crate) fn read_tree(root: &Path, is_skipped: impl Fn(&Path, &OsStr) -> bool) -> io::Result<Tree> {
    let (mut tree, mut folders) = (Tree::new(), vec![PathBuf::new()]);
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(root.join(&folder))? {
            let entry = entry?;
            if is_skipped(&folder, &entry.file_name()) {
                continue;
            }
            let path = folder.join(entry.file_name());
            let found = match entry.metadata() {
                Ok(found) => found,
                // A background process of a script may still tidy up.
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                Err(error) => return Err(error),
            };
            let stamp = stamp(&found);
            if stamp.kind == Kind::Folder {
                folders.push(path.clone());
            }
            tree.insert(path, stamp);
        }
    }
    Ok(tree)
}

fn stamp(found: &fs::Metadata) -> Stamp {
    let kind = match found.file_type() {
        kind if kind.is_dir() => Kind::Folder,
        kind if kind.is_file() => Kind::File,
        kind if kind.is_symlink() => Kind::Link,
        _ => Kind::Other,
    };
    // The times of a folder change with its entries, which have stamps of their own.
    let is_folder = kind == Kind::Folder;
    Stamp {
        kind,
        bytes: if is_folder { 0 } else { found.len() },
        mode: found.mode() & 0o777,
        inode: found.ino(),
        modified: if is_folder { (0, 0) } else { (found.mtime(), found.mtime_nsec()) },
        changed: if is_folder { (0, 0) } else { (found.ctime(), found.ctime_nsec()) },
    }
}

/// Returns a digest of names, kinds and contents: the same for two copies of the same files.
pub(crate) fn digest(root: &Path, tree: &Tree) -> io::Result<String> {
    let mut all = Sha256::new();
    let mut add = |kind: &[u8], path: &Path, content: &[u8]| {
        all.update(kind);
        for part in [path.as_os_str().as_bytes(), content] {
            all.update((part.len() as u64).to_le_bytes());
            all.update(part);
        }
    };
    for (path, stamp) in tree {
        let place = root.join(path);
        match stamp.kind {
            Kind::Folder => add(b"d", path, b""),
            Kind::Link => add(b"l", path, fs::read_link(place)?.as_os_str().as_bytes()),
            Kind::File => {
                let executable = stamp.mode & 0o111 != 0;
                add(if executable { b"x" } else { b"f" }, path, digest_file(&place)?.as_bytes());
            }
            Kind::Other => {}
        }
    }
    Ok(hex(&all.finalize()))
}

/// Returns the SHA-256 digest of a file in hexadecimal digits.
pub(crate) fn digest_file(path: &Path) -> io::Result<String> {
    let (mut file, mut digest) = (fs::File::open(path)?, Sha256::new());
    let mut piece = vec![0; 64 * 1024];
    loop {
        match file.read(&mut piece)? {
            0 => return Ok(hex(&digest.finalize())),
            length => digest.update(&piece[..length]),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stamps_show_every_change_and_digest_depends_on_content_alone() {
        let folder = tempfile::tempdir().unwrap();
        let (one, two) = (folder.path().join("one"), folder.path().join("two"));
        for root in [&one, &two] {
            fs::create_dir_all(root.join("a/b")).unwrap();
            fs::write(root.join("a/b/f"), "text").unwrap();
            std::os::unix::fs::symlink("f", root.join("a/b/l")).unwrap();
            fs::create_dir(root.join("skipped")).unwrap();
        }
        let read = |root: &Path| read_tree(root, |_, name| name == "skipped").unwrap();
        let before = read(&one);
        assert_eq!(before.keys().collect::<Vec<_>>(), ["a", "a/b", "a/b/f", "a/b/l"].map(Path::new));
        assert_eq!(read(&one), before);
        assert_eq!(digest(&one, &before).unwrap(), digest(&two, &read(&two)).unwrap());
        fs::write(one.join("a/b/f"), "tex2").unwrap();
        let after = read(&one);
        assert_ne!(after[Path::new("a/b/f")], before[Path::new("a/b/f")]);
        assert_eq!(after[Path::new("a/b/l")], before[Path::new("a/b/l")]);
        assert_ne!(digest(&one, &after).unwrap(), digest(&two, &read(&two)).unwrap());
    }
}
