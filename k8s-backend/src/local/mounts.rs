//! Secrets that a container mounts as files.
//!
//! A process has no file system of its own, so there is nothing at the mount path. The files are in the
//! folder of the Job, accessible to this user alone, and values of `env`, `command` and `args` that are the
//! mount path or a path below it are replaced by the path of the files. They are removed when the Job has
//! ended.

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
    /// The mount path, without a slash at the end.
    at: String,
    /// The folder of its files.
    folder: PathBuf,
    files: BTreeMap<String, Vec<u8>>,
}

impl fmt::Debug for Mount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Mount").field("at", &self.at).field("folder", &self.folder).finish_non_exhaustive()
    }
}

/// Returns the volume mounts of a container whose volume is a whole Secret: volume, mount path, source.
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
/// What the Job has to wait for, as a message of the kubelet.
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
            // An API server refuses such a path, too.
            Some(_) if !is_plain(&path) => {
                return Err(format!("path {path:?} of key {key:?} leaves its volume"));
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
    /// Returns the replacement of a value that is the mount path or a path below it.
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
