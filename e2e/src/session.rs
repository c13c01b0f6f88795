//! What every command needs: the repository, the built programs, the terminal.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, ensure};

use crate::{environment::variable, ui::Ui};

/// The surroundings of a command.
#[derive(Debug)]
pub(crate) struct Session {
    /// The root of the repository.
    pub(crate) root: PathBuf,
    /// The folder of the programs.
    programs: PathBuf,
    /// Where messages go.
    pub(crate) ui: Ui,
}

impl Session {
    /// Finds the programs beside this one.
    pub(crate) fn new() -> anyhow::Result<Self> {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().context("the crate is in no repository")?;
        let program = std::env::current_exe().context("cannot find the path of this program")?;
        let programs = program.parent().context("this program is in no folder")?.to_path_buf();
        Ok(Self { root: root.to_path_buf(), programs, ui: Ui::for_terminal() })
    }

    /// Returns the path of a program that was built together with this one.
    pub(crate) fn program(&self, name: &str) -> anyhow::Result<PathBuf> {
        let path = self.programs.join(name);
        ensure!(path.is_file(), "there is no program {path:?}; `cargo xtask` builds it");
        Ok(path)
    }
}

/// Finds a program on the `PATH`.
pub(crate) fn find_on_path(name: &str) -> Option<PathBuf> {
    std::env::split_paths(&variable("PATH")).map(|folder| folder.join(name)).find(|path| path.is_file())
}
