//! Finds a Secret: first the one that was submitted with the Job, then in a folder of this machine.
//!
//! Reads only; writes nothing to disk.

use std::{
    collections::BTreeMap,
    fmt, fs, io,
    path::{Path, PathBuf},
};

use k8s_openapi::api::core::v1::Secret;

use crate::identity::is_dns_subdomain;

/// The data of the Secret that was submitted with a Job. In memory, and only until the process is started.
#[derive(Clone)]
pub(crate) struct OwnSecret {
    name: String,
    values: BTreeMap<String, Vec<u8>>,
}

impl fmt::Debug for OwnSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OwnSecret").field("name", &self.name).finish_non_exhaustive()
    }
}

impl OwnSecret {
    /// Reads the data of a Secret; `stringData` replaces `data`, as in a cluster.
    pub(crate) fn of(secret: &Secret) -> Self {
        let data = secret.data.iter().flatten().map(|(key, value)| (key.clone(), value.0.clone()));
        let text =
            secret.string_data.iter().flatten().map(|(key, value)| (key.clone(), value.clone().into_bytes()));
        Self { name: secret.metadata.name.clone().unwrap_or_default(), values: data.chain(text).collect() }
    }
}

/// All Secrets of one Job.
#[derive(Debug)]
pub(crate) struct Secrets<'a> {
    pub(crate) own: Option<&'a OwnSecret>,
    /// `<folder>/<name of the Secret>/<key>`.
    pub(crate) folder: &'a Path,
}

/// A Secret that exists.
#[derive(Debug)]
pub(crate) enum Found<'a> {
    Own(&'a OwnSecret),
    Folder { name: String, path: PathBuf },
}

impl<'a> Secrets<'a> {
    /// Finds a Secret by its name.
    pub(crate) fn find(&self, name: &str) -> Option<Found<'a>> {
        if let Some(own) = self.own.filter(|own| own.name == name) {
            return Some(Found::Own(own));
        }
        // Only a valid name may become a path.
        let path = self.folder.join(name);
        (is_dns_subdomain(name) && path.is_dir()).then(|| Found::Folder { name: name.to_owned(), path })
    }
}

impl Found<'_> {
    /// Lists the keys.
    ///
    /// # Errors
    /// Why the folder cannot be read.
    pub(crate) fn keys(&self) -> Result<Vec<String>, String> {
        let (name, path) = match self {
            Self::Own(own) => return Ok(own.values.keys().cloned().collect()),
            Self::Folder { name, path } => (name, path),
        };
        let mut keys = Vec::new();
        for entry in fs::read_dir(path).map_err(|error| unreadable(name, &error))? {
            let entry = entry.map_err(|error| unreadable(name, &error))?;
            // Mounted Secrets contain hidden files of the kubelet.
            if let Some(key) = entry.file_name().to_str().filter(|key| !key.starts_with('.'))
                && entry.path().is_file()
            {
                keys.push(key.to_owned());
            }
        }
        keys.sort_unstable();
        Ok(keys)
    }

    /// Reads the value of a key; `None` if there is no such key.
    ///
    /// # Errors
    /// Why the file cannot be read.
    pub(crate) fn get(&self, key: &str) -> Result<Option<Vec<u8>>, String> {
        match self {
            Self::Own(own) => Ok(own.values.get(key).cloned()),
            Self::Folder { .. } if key.starts_with('.') || key.contains('/') => Ok(None),
            Self::Folder { name, path } => match fs::read(path.join(key)) {
                Ok(value) => Ok(Some(value)),
                Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
                Err(error) => Err(unreadable(name, &error)),
            },
        }
    }
}

fn unreadable(name: &str, error: &io::Error) -> String {
    format!("secret {name:?} cannot be read: {error}")
}

/// Returns the message of the kubelet for a missing Secret.
pub(crate) fn no_secret(name: &str) -> String {
    format!("secret {name:?} not found")
}

/// Returns the message of the kubelet for a missing key.
pub(crate) fn no_key(key: &str, namespace: &str, name: &str) -> String {
    format!("couldn't find key {key} in Secret {namespace}/{name}")
}
