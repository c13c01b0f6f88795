//! Keeps the state of the workspace ours: the source of the workspace and its variables can neither move the
//! state elsewhere nor pass a file of their own off as output of this run.
//!
//! Three layers, because each alone has gaps: leftovers of other runs are removed, our override file is
//! written so that it is merged last, and after `init` the backend in use is read back and compared.

mod blocks;

use std::{
    collections::BTreeMap,
    fs::{self, OpenOptions},
    io::{self, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::Path,
};

use job_spec::executor_files::ERRORED_STATE;
use serde::Deserialize;
use serde_json::{Map, Value};

use self::blocks::files_with_backend;
use crate::{phase::engine::Engine, regular_file};

/// Makes terraform use the `http` backend. Its settings are in the environment, so that no file holds them.
const BACKEND: &str = "terraform {\n  backend \"http\" {}\n}\n";

/// Override files are merged in the order of their names, and the last backend wins: this name sorts after
/// every usual one.
const BACKEND_STEM: &str = "~~ephemeral_agents_backend_override";

/// Where terraform keeps what `init` has decided. `TF_DATA_DIR` cannot move it, because children do not get
/// it.
const DATA_FOLDER: &str = ".terraform";

/// Modules that the plan step has downloaded for an apply; those of a source are removed before.
const MODULES: &str = "modules";

/// What terraform writes into its working directory, and would take from there for its own.
const LEFTOVERS: &[&str] = &[
    ERRORED_STATE,
    "terraform.tfstate",
    "terraform.tfstate.backup",
    "terraform.tfstate.d",
    ".terraform.tfstate.lock.info",
];

/// Variables whose words terraform adds to the arguments of `init`.
pub(super) const INIT_ARGUMENTS: &[&str] = &["TF_CLI_ARGS", "TF_CLI_ARGS_init"];

/// The state would not be the one of this workspace.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BackendError {
    #[error("could not write the backend file")]
    Write(#[source] io::Error),
    #[error("could not remove {name:?} of the source, which terraform would take for its own")]
    Leftover { name: &'static str, source: io::Error },
    #[error("could not read the files of the configuration")]
    Read(#[source] io::Error),
    #[error(
        "environment variable {name} changes the backend with the option {option:?}, \
         but the state of this workspace is kept by the api-server; remove the option"
    )]
    Option { name: &'static str, option: String },
    #[error(
        "environment variable TF_WORKSPACE is {found:?}, expected \"default\" or nothing: \
         the state of this workspace has no further workspaces of terraform; remove the variable"
    )]
    Workspace { found: String },
    #[error(
        "file {file:?} of the source sets a backend or cloud block and is merged after ours; \
         remove the block, because the state of this workspace is kept by the api-server"
    )]
    MergedLast { file: String },
    #[error(
        "{program} init has configured the backend {found}, expected \"http\" without settings of its own, \
         which is the state of this workspace; {place}; nothing was planned"
    )]
    Other { program: &'static str, found: String, place: String },
}

/// Checks the variables that could change the backend.
pub(crate) fn check_environment(env: &BTreeMap<String, String>) -> Result<(), BackendError> {
    for name in INIT_ARGUMENTS {
        let words = env.get(*name).map(String::as_str).unwrap_or_default();
        // Quotes inside a word do not hide it from terraform.
        let plain = words.replace(['\'', '"', '\\'], "");
        let is_backend =
            |word: &&str| word.trim_start_matches('-').starts_with("backend") && word.starts_with('-');
        if let Some(option) = plain.split_whitespace().find(is_backend) {
            // A value may be a secret.
            let option = option.split('=').next().unwrap_or_default().to_owned();
            return Err(BackendError::Option { name, option });
        }
    }
    match env.get("TF_WORKSPACE").map(String::as_str) {
        None | Some("" | "default") => Ok(()),
        Some(found) => Err(BackendError::Workspace { found: found.to_owned() }),
    }
}

/// Removes what an earlier run of terraform has left in the source, and writes our backend.
pub(crate) fn prepare(folder: &Path, engine: Engine) -> Result<(), BackendError> {
    empty_data_folder(&folder.join(DATA_FOLDER))
        .map_err(|source| BackendError::Leftover { name: DATA_FOLDER, source })?;
    for name in LEFTOVERS {
        remove(&folder.join(name)).map_err(|source| BackendError::Leftover { name, source })?;
    }
    for ending in engine.file_endings() {
        write_backend(&folder.join(format!("{BACKEND_STEM}{ending}"))).map_err(BackendError::Write)?;
    }
    let files = files_with_backend(folder).map_err(BackendError::Read)?;
    let ours =
        |name: &str| name.strip_prefix(BACKEND_STEM).is_some_and(|end| engine.file_endings().contains(&end));
    let last = files
        .into_iter()
        .find(|file| file.is_override && file.name.as_str() >= BACKEND_STEM && !ours(&file.name));
    last.map_or(Ok(()), |file| Err(BackendError::MergedLast { file: file.name }))
}

/// Removes what an earlier `init` has left, but for the modules.
fn empty_data_folder(folder: &Path) -> io::Result<()> {
    match fs::symlink_metadata(folder) {
        Ok(found) if found.is_dir() => {}
        Ok(_) => return remove(folder),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    }
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_name() != MODULES || !entry.file_type()?.is_dir() {
            remove(&entry.path())?;
        }
    }
    match fs::remove_dir(folder) {
        Err(error) if error.kind() != io::ErrorKind::DirectoryNotEmpty => Err(error),
        _ => Ok(()),
    }
}

/// Returns whether a file is one of our backend files.
pub(crate) fn is_ours(name: &str) -> bool {
    name.starts_with(BACKEND_STEM)
}

/// Removes a file, link or folder; none is fine. A link is not followed.
pub(crate) fn remove(path: &Path) -> io::Result<()> {
    let removed = match fs::symlink_metadata(path) {
        Ok(found) if found.is_dir() => fs::remove_dir_all(path),
        Ok(_) => fs::remove_file(path),
        Err(error) => Err(error),
    };
    match removed {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

fn write_backend(path: &Path) -> io::Result<()> {
    // The source may have a link of this name to a file elsewhere.
    remove(path)?;
    OpenOptions::new().create_new(true).write(true).mode(0o600).open(path)?.write_all(BACKEND.as_bytes())
}

/// Checks after `init` that terraform uses our backend, with nothing but our environment as its settings.
pub(crate) fn verify(folder: &Path, engine: Engine) -> Result<(), BackendError> {
    let found =
        match regular_file::read(&folder.join(DATA_FOLDER).join("terraform.tfstate"), regular_file::SMALL) {
            Ok(bytes) => found_backend(&bytes),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Some("none".to_owned()),
            Err(error) => return Err(BackendError::Read(error)),
        };
    let Some(found) = found else { return Ok(()) };
    let files = files_with_backend(folder).map_err(BackendError::Read)?;
    let names: Vec<_> = files
        .into_iter()
        .filter(|file| !file.name.starts_with(BACKEND_STEM))
        .map(|file| format!("{:?}", file.name))
        .collect();
    let place = match names.as_slice() {
        [] => "check the environment variables of the workspace".to_owned(),
        [name] => format!("remove the backend or cloud block of file {name}"),
        names => format!("remove the backend or cloud blocks of files {}", names.join(", ")),
    };
    Err(BackendError::Other { program: engine.program(), found, place })
}

/// Returns the backend that `init` has recorded; `None` if it is ours.
fn found_backend(record: &[u8]) -> Option<String> {
    #[derive(Deserialize)]
    struct Record {
        backend: Option<Backend>,
    }
    #[derive(Deserialize)]
    struct Backend {
        #[serde(rename = "type")]
        kind: String,
        #[serde(default)]
        config: Map<String, Value>,
    }
    let Ok(record) = serde_json::from_slice::<Record>(record) else {
        return Some("in a record of an unknown form".to_owned());
    };
    let Some(backend) = record.backend else { return Some("none".to_owned()) };
    if backend.kind != "http" {
        return Some(format!("{:?}", backend.kind));
    }
    // The values may be secret.
    let set: Vec<_> =
        backend.config.iter().filter(|(_, value)| !value.is_null()).map(|(name, _)| name.as_str()).collect();
    (!set.is_empty()).then(|| format!("\"http\" with {}", set.join(", ")))
}

#[cfg(test)]
mod tests;
