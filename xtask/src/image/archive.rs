//! Writes an image as one tar file that every tool can load: an OCI layout that also holds Docker's `manifest.json`.

use std::{
    collections::BTreeMap,
    fs::File,
    io::{self, BufWriter, Write as _},
    path::Path,
};

use anyhow::Context as _;
use jiff::Timestamp;
use tar::{Builder, EntryType, Header};
use tempfile::NamedTempFile;

use super::{
    architecture::Architecture,
    layer::{Layer, digest_of},
    name::Name,
    spec::{self, Settings},
};

/// An image before it is written.
#[derive(Debug)]
pub(super) struct Image {
    pub(super) name: Name,
    pub(super) architecture: Architecture,
    pub(super) settings: Settings,
    /// From the lowest to the highest.
    pub(super) layers: Vec<Layer>,
    /// When it was made, in seconds since 1970.
    pub(super) time: u64,
}

/// What was written.
#[derive(Debug)]
pub(super) struct Written {
    /// Digest of the manifest: the name of the image that cannot change.
    pub(super) digest: String,
    /// Length of the file in bytes.
    pub(super) size: u64,
}

enum Blob<'a> {
    Bytes(Vec<u8>),
    Layer(&'a Path),
}

/// Writes the archive. Until it is complete, there is no file of that name.
///
/// # Errors
/// The file cannot be written, or a layer cannot be read.
pub(super) fn write(image: &Image, path: &Path) -> anyhow::Result<Written> {
    let fail = || format!("could not write image {path:?}");
    let folder = path.parent().unwrap_or(Path::new("."));
    let (digest, files) = files(image)?;
    let mut file = NamedTempFile::new_in(folder).with_context(fail)?;
    let mut archive = Builder::new(BufWriter::new(file.as_file_mut()));
    for folder in ["blobs/", "blobs/sha256/"] {
        let mut header = header(EntryType::Directory, 0o755, 0, image.time);
        archive.append_data(&mut header, folder, io::empty()).with_context(fail)?;
    }
    for (name, blob) in files {
        match blob {
            Blob::Bytes(bytes) => {
                let mut header = header(EntryType::Regular, 0o644, bytes.len() as u64, image.time);
                archive.append_data(&mut header, name, bytes.as_slice()).with_context(fail)?;
            }
            Blob::Layer(path) => {
                let layer = File::open(path).with_context(fail)?;
                let length = layer.metadata().with_context(fail)?.len();
                let mut header = header(EntryType::Regular, 0o644, length, image.time);
                archive.append_data(&mut header, name, layer).with_context(fail)?;
            }
        }
    }
    archive.into_inner().and_then(|mut rest| rest.flush()).with_context(fail)?;
    make_readable(file.as_file()).with_context(fail)?;
    let size = file.as_file().metadata().with_context(fail)?.len();
    file.persist(path).with_context(fail)?;
    Ok(Written { digest, size })
}

/// The digest of the manifest, and all files by their path.
fn files(image: &Image) -> anyhow::Result<(String, BTreeMap<String, Blob<'_>>)> {
    let Image { name, architecture, settings, layers, time } = image;
    let created = i64::try_from(*time).ok().and_then(|time| Timestamp::from_second(time).ok());
    let created = created.with_context(|| format!("{time} seconds since 1970 is no time"))?.to_string();
    let config = spec::config(settings, layers, *architecture, &created);
    let config_digest = digest_of(&config);
    let manifest = spec::manifest((&config_digest, config.len()), layers, settings);
    let digest = digest_of(&manifest);
    let index = spec::index((&digest, manifest.len()), *architecture, name);
    let mut files = BTreeMap::from([
        ("index.json".to_owned(), Blob::Bytes(index)),
        ("manifest.json".to_owned(), Blob::Bytes(spec::docker_manifest(&config_digest, layers, name))),
        ("oci-layout".to_owned(), Blob::Bytes(spec::layout())),
        (spec::blob_path(&config_digest), Blob::Bytes(config)),
        (spec::blob_path(&digest), Blob::Bytes(manifest)),
    ]);
    for layer in layers {
        files.insert(spec::blob_path(&layer.digest), Blob::Layer(layer.file.path()));
    }
    Ok((digest, files))
}

fn header(kind: EntryType, mode: u32, size: u64, time: u64) -> Header {
    let mut header = Header::new_gnu();
    header.set_entry_type(kind);
    header.set_mode(mode);
    header.set_size(size);
    header.set_mtime(time);
    header.set_uid(0);
    header.set_gid(0);
    header
}

/// A temporary file is its owner's alone; an image is not.
fn make_readable(file: &File) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    file.set_permissions(std::fs::Permissions::from_mode(0o644))
}
