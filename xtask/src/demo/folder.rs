//! The folder that holds everything a demo leaves behind, for as long as it is wanted.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::Context as _;
use tempfile::TempDir;

use crate::environment::Environment;

/// Where a kept demo has its data, below the root of the repository.
const KEPT: &str = ".demo";

/// The data folder of a demo.
#[derive(Debug)]
pub(super) struct DataFolder {
    path: PathBuf,
    temporary: Option<TempDir>,
}

impl DataFolder {
    /// Makes the folder: the one asked for, the kept one, or a temporary one.
    pub(super) fn prepare(
        environment: &Environment,
        asked: Option<&Path>,
        keep: bool,
    ) -> anyhow::Result<Self> {
        let kept = keep.then(|| environment.root.join(KEPT));
        if let Some(path) = asked.map(Path::to_path_buf).or(kept) {
            fs::create_dir_all(&path).with_context(|| format!("could not make {}", path.display()))?;
            let path = path.canonicalize().with_context(|| format!("could not find {}", path.display()))?;
            return Ok(Self { path, temporary: None });
        }
        let folder = tempfile::Builder::new().prefix("ephemeral-agents-demo-").tempdir();
        let folder = folder.context("could not make a temporary folder")?;
        Ok(Self { path: folder.path().to_path_buf(), temporary: Some(folder) })
    }

    /// Returns where it is.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Tells whether it goes away at the end.
    pub(super) fn is_temporary(&self) -> bool {
        self.temporary.is_some()
    }

    /// Removes it if it is temporary.
    pub(super) fn remove(self) {
        // What cannot be removed is in the folder for temporary files, where it is found and does no harm.
        drop(self.temporary);
    }
}
