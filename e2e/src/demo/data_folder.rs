//! The folder with all data of a demo.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::Context as _;
use tempfile::TempDir;

use crate::session::Session;

/// The folder of `--keep`, below the root of the repository.
const KEPT: &str = ".demo";

/// The data folder of a demo. A temporary one is removed with this value.
#[derive(Debug)]
pub(super) struct DataFolder {
    path: PathBuf,
    temporary: Option<TempDir>,
    server_stays: bool,
}

impl DataFolder {
    /// Creates the folder: the given one, the kept one, or a temporary one.
    pub(super) fn create(session: &Session, given: Option<&Path>, keep: bool) -> anyhow::Result<Self> {
        let kept = keep.then(|| session.root.join(KEPT));
        if let Some(path) = given.map(Path::to_path_buf).or(kept) {
            fs::create_dir_all(&path).with_context(|| format!("cannot create {}", path.display()))?;
            let path = path.canonicalize().with_context(|| format!("cannot find {}", path.display()))?;
            return Ok(Self { path, temporary: None, server_stays: keep });
        }
        let folder = tempfile::Builder::new().prefix("ephemeral-agents-demo-").tempdir();
        let folder = folder.context("cannot create a temporary folder")?;
        Ok(Self { path: folder.path().to_path_buf(), temporary: Some(folder), server_stays: false })
    }

    /// Returns the path.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Returns whether it is removed at the end.
    pub(super) fn is_temporary(&self) -> bool {
        self.temporary.is_some()
    }

    /// Returns whether its server keeps running after the demo.
    pub(super) fn server_stays(&self) -> bool {
        self.server_stays
    }
}
