//! Leaves out what belongs to a run of terraform and not to a source: states would be migrated or taken for
//! those of this run, and a `.terraform` folder may be for another machine and holds the backend of another
//! run.

use std::{
    ffi::OsStr,
    fs,
    path::{Path, PathBuf},
};

use job_spec::executor_files::ERRORED_STATE;

use super::error::FetchError;
use crate::{log::Log, phase::init::backend::remove};

/// How many names the log lists.
const MAX_LISTED: usize = 10;

/// Returns whether a file or folder of this name belongs to a run of terraform.
pub(crate) fn belongs_to_a_run(name: &OsStr) -> bool {
    let name = name.to_string_lossy();
    name == ".terraform"
        || name == ERRORED_STATE
        || name == "terraform.tfstate"
        || name.starts_with("terraform.tfstate.")
        || name == ".terraform.tfstate.lock.info"
}

/// Removes such files from a source, in all of its folders, and names them in the log, with those that were
/// left out before.
pub(super) async fn clean(log: &Log, root: &Path, before: Vec<PathBuf>) -> Result<(), FetchError> {
    let at = root.to_owned();
    let removed = tokio::task::spawn_blocking(move || remove_all(&at)).await;
    let mut removed =
        removed.map_err(|error| FetchError::Copy { path: root.to_owned(), source: error.into() })??;
    removed.extend(before);
    if removed.is_empty() {
        return Ok(());
    }
    removed.sort();
    let more = removed.len().saturating_sub(MAX_LISTED);
    let names: Vec<_> = removed.iter().take(MAX_LISTED).map(|path| path.to_string_lossy()).collect();
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    log.note(&format!(
        "(left out of the source, because it belongs to another run of terraform: {}{more})",
        names.join(", ")
    ));
    Ok(())
}

fn remove_all(root: &Path) -> Result<Vec<PathBuf>, FetchError> {
    let (mut removed, mut folders) = (Vec::new(), vec![root.to_owned()]);
    while let Some(folder) = folders.pop() {
        let read_error = |source| FetchError::Copy { path: folder.clone(), source };
        for entry in fs::read_dir(&folder).map_err(read_error)? {
            let entry = entry.map_err(read_error)?;
            let path = entry.path();
            if belongs_to_a_run(&entry.file_name()) {
                remove(&path).map_err(|source| FetchError::Clean { path: path.clone(), source })?;
                removed.push(path.strip_prefix(root).unwrap_or(&path).to_owned());
            } else if entry.file_type().map_err(read_error)?.is_dir() && entry.file_name() != ".git" {
                folders.push(path);
            }
        }
    }
    Ok(removed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn removes_what_a_run_leaves_in_every_folder_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        for (path, stays) in [
            ("main.tf", true),
            ("terraform.tfstate", false),
            ("live/dev/terraform.tfstate.backup", false),
            ("live/dev/terraform.tfstate.d/x/terraform.tfstate", false),
            ("live/dev/errored.tfstate", false),
            ("live/dev/.terraform/modules/modules.json", false),
            ("live/dev/.terraform.lock.hcl", true),
            ("live/dev/.terraform.tfstate.lock.info", false),
            ("live/network.tfstate", true),
            ("terraform.tfstates", true),
            (".git/terraform.tfstate", true),
        ] {
            let file = folder.path().join(path);
            fs::create_dir_all(file.parent().unwrap()).unwrap();
            fs::write(&file, "x").unwrap();
            remove_all(folder.path()).unwrap();
            assert_eq!(file.exists(), stays, "{path}");
        }
        std::os::unix::fs::symlink("/", folder.path().join(".terraform")).unwrap();
        assert_eq!(remove_all(folder.path()).unwrap(), [Path::new(".terraform")]);
    }
}
