//! Writes the files of a layer as a compressed tar, the same bytes for the same files.

use std::{
    fs::File,
    io::{self, Read, Write},
    path::Path,
};

use anyhow::Context as _;
use flate2::{Compression, GzBuilder};
use sha2::{Digest as _, Sha256};
use tar::{Builder, EntryType, Header};
use tempfile::NamedTempFile;

use super::tree::{Content, Kind, Node, Tree};

/// A layer that lies in a temporary file.
#[derive(Debug)]
pub(super) struct Layer {
    /// The compressed archive.
    pub(super) file: NamedTempFile,
    /// `sha256:` and the digest of the compressed archive, by which it is fetched.
    pub(super) digest: String,
    /// Length of the compressed archive in bytes.
    pub(super) size: u64,
    /// `sha256:` and the digest of the archive itself, which the configuration of the image names.
    pub(super) diff_id: String,
    /// Length of the archive itself in bytes.
    pub(super) unpacked: u64,
    /// What is in it, for the history of the image.
    pub(super) title: String,
}

/// Passes bytes on, and keeps their digest and their number.
struct Digesting<W> {
    inner: W,
    digest: Sha256,
    size: u64,
}

impl<W: Write> Digesting<W> {
    fn new(inner: W) -> Self {
        Self { inner, digest: Sha256::new(), size: 0 }
    }

    fn finish(self) -> (W, String, u64) {
        (self.inner, format!("sha256:{}", hex(&self.digest.finalize())), self.size)
    }
}

impl<W: Write> Write for Digesting<W> {
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

/// The digest of bytes, as images write it.
pub(super) fn digest_of(bytes: &[u8]) -> String {
    format!("sha256:{}", hex(&Sha256::digest(bytes)))
}

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::new(), |mut text, byte| {
        // Writing into a text cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// Writes a layer. Every file is as old as `time` (seconds since 1970), whatever it is on this machine.
///
/// # Errors
/// A file of this machine cannot be read, or the layer cannot be written.
pub(super) fn write(title: &str, tree: &Tree, time: u64, folder: &Path) -> anyhow::Result<Layer> {
    let fail = || format!("could not write layer {title:?}");
    let file = NamedTempFile::new_in(folder).with_context(fail)?;
    // Neither a time nor a file name in the header of gzip: they would differ from run to run.
    let packed = GzBuilder::new().write(Digesting::new(file), Compression::default());
    let mut archive = Builder::new(Digesting::new(packed));
    for (path, node) in tree.iter() {
        append(&mut archive, path, node, time).with_context(|| format!("could not add /{path}"))?;
    }
    let (packed, diff_id, unpacked) = archive.into_inner().with_context(fail)?.finish();
    let (mut file, digest, size) = packed.finish().with_context(fail)?.finish();
    file.flush().with_context(fail)?;
    Ok(Layer { file, digest, size, diff_id, unpacked, title: title.to_owned() })
}

fn append<W: Write>(archive: &mut Builder<W>, path: &str, node: &Node, time: u64) -> anyhow::Result<()> {
    let mut header = Header::new_gnu();
    header.set_mode(node.mode);
    header.set_uid(node.user.into());
    header.set_gid(node.group.into());
    header.set_mtime(time);
    header.set_size(0);
    match &node.kind {
        Kind::Folder => {
            header.set_entry_type(EntryType::Directory);
            archive.append_data(&mut header, format!("{path}/"), io::empty())?;
        }
        Kind::Symlink(target) => {
            header.set_entry_type(EntryType::Symlink);
            archive.append_link(&mut header, path, target)?;
        }
        Kind::SameAs(target) => {
            header.set_entry_type(EntryType::Link);
            archive.append_link(&mut header, path, target)?;
        }
        Kind::File(Content::Bytes(bytes)) => {
            append_file(archive, header, path, bytes.len() as u64, bytes.as_slice())?;
        }
        Kind::File(Content::At(source)) => {
            let file = File::open(source).with_context(|| format!("could not open {source:?}"))?;
            let length = file.metadata()?.len();
            append_file(archive, header, path, length, file.take(length))?;
        }
    }
    Ok(())
}

fn append_file<W: Write>(
    archive: &mut Builder<W>,
    mut header: Header,
    path: &str,
    length: u64,
    bytes: impl Read,
) -> io::Result<()> {
    header.set_entry_type(EntryType::Regular);
    header.set_size(length);
    archive.append_data(&mut header, path, bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> Tree {
        let mut tree = Tree::default();
        tree.file("etc/passwd", 0o644, "root").unwrap();
        tree.put("tmp", Node::of_root(Kind::Folder, 0o1777)).unwrap();
        tree.put("etc/link", Node::of_root(Kind::Symlink("passwd".to_owned()), 0o777)).unwrap();
        tree
    }

    #[test]
    fn the_same_files_give_the_same_bytes_whatever_their_time_on_this_machine() {
        let folder = tempfile::tempdir().unwrap();
        let program = folder.path().join("program");
        let write_again = |age: u64| {
            std::fs::write(&program, "bytes").unwrap();
            let time = std::time::SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(age);
            File::options().append(true).open(&program).unwrap().set_modified(time).unwrap();
            let mut tree = sample();
            let node = Node::of_root(Kind::File(Content::At(program.clone())), 0o755);
            tree.put("usr/local/bin/program", node).unwrap();
            let layer = write("sample", &tree, 1_700_000_000, folder.path()).unwrap();
            std::fs::read(layer.file.path()).unwrap()
        };
        assert_eq!(write_again(1), write_again(2));
    }

    #[test]
    fn both_digests_and_sizes_are_those_of_the_bytes() {
        let folder = tempfile::tempdir().unwrap();
        let layer = write("sample", &sample(), 7, folder.path()).unwrap();
        let packed = std::fs::read(layer.file.path()).unwrap();
        let mut plain = Vec::new();
        flate2::read::GzDecoder::new(packed.as_slice()).read_to_end(&mut plain).unwrap();
        assert_eq!((layer.digest, layer.size), (digest_of(&packed), packed.len() as u64));
        assert_eq!((layer.diff_id, layer.unpacked), (digest_of(&plain), plain.len() as u64));
    }

    #[test]
    fn a_digest_is_written_as_the_specification_does() {
        let of_nothing = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        assert_eq!(digest_of(b""), of_nothing);
    }
}
