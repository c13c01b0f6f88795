//! What every command needs from its surroundings: the repository, the search path, the terminal, the signals.
//!
//! The process environment is read here and nowhere else.

use std::{
    ffi::OsString,
    path::{Path, PathBuf},
};

use anyhow::Context as _;

use crate::{interrupt::Interrupt, ui::Ui};

/// The surroundings of a command.
#[derive(Debug)]
pub(crate) struct Environment {
    /// The root of the repository.
    pub(crate) root: PathBuf,
    /// `PATH` of this process.
    pub(crate) search_path: Option<OsString>,
    /// Where messages go.
    pub(crate) ui: Ui,
    /// Whether somebody wants this process to stop.
    pub(crate) interrupt: Interrupt,
}

impl Environment {
    /// Reads the environment of this process, and takes over its signals.
    #[expect(clippy::disallowed_methods, reason = "this is the one place where the environment is read")]
    pub(crate) fn of_this_process() -> anyhow::Result<Self> {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().context("xtask lies in no repository")?;
        let is_set = |name: &str| std::env::var_os(name).is_some_and(|value| !value.is_empty());
        Ok(Self {
            root: root.to_path_buf(),
            search_path: std::env::var_os("PATH"),
            ui: Ui::for_terminal(is_set("NO_COLOR")),
            interrupt: Interrupt::install()?,
        })
    }

    /// One that prints plainly and is never interrupted.
    #[cfg(test)]
    pub(crate) fn of_a_test() -> Self {
        let root = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
        Self { root, search_path: None, ui: Ui::plain(), interrupt: Interrupt::never() }
    }

    /// Finds a program on the search path.
    pub(crate) fn find_program(&self, name: &str) -> Option<PathBuf> {
        let path = self.search_path.as_ref()?;
        std::env::split_paths(path).map(|folder| folder.join(name)).find(|candidate| is_executable(candidate))
    }
}

fn is_executable(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt as _;
    path.metadata().is_ok_and(|file| file.is_file() && file.permissions().mode() & 0o111 != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn environment(search_path: &Path) -> Environment {
        Environment {
            root: PathBuf::new(),
            search_path: Some(search_path.into()),
            ui: Ui::plain(),
            interrupt: Interrupt::never(),
        }
    }

    #[test]
    fn a_program_is_found_only_if_it_can_be_run() {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = tempfile::tempdir().unwrap();
        let program = folder.path().join("terraform");
        std::fs::write(&program, "#!/bin/sh\n").unwrap();
        assert_eq!(environment(folder.path()).find_program("terraform"), None);
        std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
        assert_eq!(environment(folder.path()).find_program("terraform"), Some(program));
    }
}
