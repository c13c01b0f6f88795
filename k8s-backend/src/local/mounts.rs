//! Secrets that a container mounts as files.
//!
//! A process has no file system of its own, so nothing can stand at the mount path. The files are written below the folder
//! of the Job, readable for this user alone, and where a value of `env`, `command` or `args` is the mount path or lies below it, the process
//! gets the path of the file instead. They are removed when the Job has ended.

use std::{
    collections::BTreeMap,
    fmt,
    fs::{DirBuilder, OpenOptions},
    io::{self, Write as _},
    os::unix::{ffi::OsStrExt as _, fs::DirBuilderExt as _},
    path::{Path, PathBuf},
};

use k8s_openapi::api::core::v1::{Container, SecretVolumeSource, Volume, VolumeMount};

use super::{
    record::private,
    secrets::{Secrets, no_key, no_secret},
};

/// A mounted Secret.
pub(crate) struct Mount {
    /// Where the container would see it, without a slash at the end.
    at: String,
    /// Where its files are put.
    folder: PathBuf,
    files: BTreeMap<String, Vec<u8>>,
}

impl fmt::Debug for Mount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Mount").field("at", &self.at).field("folder", &self.folder).finish_non_exhaustive()
    }
}

/// What a container mounts and where: the volume mounts whose volume is a Secret, whole. Volume, mount path, source.
pub(crate) fn secret_mounts<'a>(
    container: &'a Container,
    volumes: &'a [Volume],
) -> impl Iterator<Item = (&'a str, &'a str, &'a SecretVolumeSource)> {
    let whole = |mount: &&VolumeMount| mount.sub_path.is_none() && mount.sub_path_expr.is_none();
    container.volume_mounts.iter().flatten().filter(whole).filter_map(|mount| {
        let volume = volumes.iter().find(|volume| volume.name == mount.name)?;
        let source = volume.secret.as_ref()?;
        Some((volume.name.as_str(), mount.mount_path.as_str(), source))
    })
}

/// Collects the files of every mounted Secret.
///
/// # Errors
/// The reason to wait, in the kubelet's kind of words.
pub(crate) fn collect(
    container: &Container,
    volumes: &[Volume],
    secrets: &Secrets<'_>,
    below: &Path,
    namespace: &str,
) -> Result<Vec<Mount>, String> {
    let mounts = secret_mounts(container, volumes).map(|(volume, at, source)| {
        Ok(Mount {
            at: at.trim_end_matches('/').to_owned(),
            folder: below.join(volume),
            files: files_of(source, secrets, namespace)?,
        })
    });
    mounts.collect()
}

fn files_of(
    source: &SecretVolumeSource,
    secrets: &Secrets<'_>,
    namespace: &str,
) -> Result<BTreeMap<String, Vec<u8>>, String> {
    let name = source.secret_name.as_deref().unwrap_or_default();
    let optional = source.optional == Some(true);
    let Some(found) = secrets.find(name) else {
        return if optional { Ok(BTreeMap::new()) } else { Err(no_secret(name)) };
    };
    let wanted: Vec<(String, String)> = match &source.items {
        Some(items) if !items.is_empty() => {
            items.iter().map(|item| (item.key.clone(), item.path.clone())).collect()
        }
        _ => found.keys()?.into_iter().map(|key| (key.clone(), key)).collect(),
    };
    let mut files = BTreeMap::new();
    for (key, path) in wanted {
        match found.get(&key)? {
            // A path that leads elsewhere is refused by an API server, too.
            Some(_) if !is_plain(&path) => {
                return Err(format!("path {path:?} of key {key:?} leads out of its volume"));
            }
            Some(value) => _ = files.insert(path, value),
            None if optional => {}
            None => return Err(no_key(&key, namespace, name)),
        }
    }
    Ok(files)
}

fn is_plain(path: &str) -> bool {
    !path.is_empty() && path.split('/').all(|part| !part.is_empty() && part != "." && part != "..")
}

impl Mount {
    /// Returns what a value becomes that names this mount or something in it.
    pub(crate) fn translate(&self, value: &[u8]) -> Option<Vec<u8>> {
        let rest = value.strip_prefix(self.at.as_bytes())?;
        let inside = rest.is_empty() || rest.starts_with(b"/");
        (inside && !self.at.is_empty()).then(|| [self.folder.as_os_str().as_bytes(), rest].concat())
    }

    /// Writes the files.
    pub(crate) fn write(&self) -> io::Result<()> {
        let folder = |path: &Path| DirBuilder::new().mode(0o700).recursive(true).create(path);
        folder(&self.folder)?;
        for (path, value) in &self.files {
            let path = self.folder.join(path);
            if let Some(parent) = path.parent() {
                folder(parent)?;
            }
            private(OpenOptions::new().write(true).create(true).truncate(true))
                .open(&path)?
                .write_all(value)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
