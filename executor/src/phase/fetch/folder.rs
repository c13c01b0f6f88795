//! Copies a folder of this machine, without the internal files of terraform and git.
//!
//! The original is never changed. Symbolic links stay links; sockets and pipes are skipped.

use std::{
    ffi::OsStr,
    fs, io,
    path::{Path, PathBuf},
};

use super::error::FetchError;

/// Copies `from` to `to`, which must not exist.
pub(crate) fn copy(from: &Path, to: &Path, work: &Path) -> Result<(), FetchError> {
    let from = match from.canonicalize() {
        Ok(real) if real.is_dir() => real,
        _ => return Err(FetchError::MissingSource { path: from.to_owned() }),
    };
    if work.canonicalize().is_ok_and(|work| work.starts_with(&from)) {
        return Err(FetchError::ContainsWorkDir { path: from });
    }
    let mut folders = vec![(from, to.to_owned())];
    while let Some((from, to)) = folders.pop() {
        copy_one_folder(&from, &to, &mut folders)
            .map_err(|source| FetchError::Copy { path: from, source })?;
    }
    Ok(())
}

fn copy_one_folder(from: &Path, to: &Path, folders: &mut Vec<(PathBuf, PathBuf)>) -> io::Result<()> {
    fs::create_dir(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        if is_skipped(&entry.file_name()) {
            continue;
        }
        let (kind, target) = (entry.file_type()?, to.join(entry.file_name()));
        if kind.is_dir() {
            folders.push((entry.path(), target));
        } else if kind.is_symlink() {
            std::os::unix::fs::symlink(fs::read_link(entry.path())?, target)?;
        } else if kind.is_file() {
            fs::copy(entry.path(), target)?;
        }
    }
    Ok(())
}

/// Local state would be migrated into the state of the workspace, and a `.terraform` folder may be for
/// another machine.
fn is_skipped(name: &OsStr) -> bool {
    let name = name.to_string_lossy();
    name == ".terraform" || name == ".git" || name.contains(".tfstate")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn copies_everything_except_state_and_internal_files() {
        let temp = tempfile::tempdir().unwrap();
        let (from, to, work) = (temp.path().join("from"), temp.path().join("to"), temp.path().join("work"));
        for folder in ["from/modules/a", "from/.terraform/providers", "from/.git", "work"] {
            fs::create_dir_all(temp.path().join(folder)).unwrap();
        }
        for file in [
            "main.tf",
            ".terraform.lock.hcl",
            "modules/a/main.tf",
            ".terraform/providers/x",
            ".git/config",
            "terraform.tfstate",
            "terraform.tfstate.backup",
        ] {
            fs::write(from.join(file), file).unwrap();
        }
        std::os::unix::fs::symlink("main.tf", from.join("link.tf")).unwrap();
        copy(&from, &to, &work).unwrap();
        let mut names: Vec<_> = fs::read_dir(&to)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        assert_eq!(names, [".terraform.lock.hcl", "link.tf", "main.tf", "modules"]);
        assert_eq!(fs::read_to_string(to.join("modules/a/main.tf")).unwrap(), "modules/a/main.tf");
        assert_eq!(fs::read_link(to.join("link.tf")).unwrap(), Path::new("main.tf"));
    }

    #[test]
    fn rejects_folder_that_is_missing_or_contains_the_work_directory() {
        let temp = tempfile::tempdir().unwrap();
        let work = temp.path().join("work");
        fs::create_dir(&work).unwrap();
        let missing = copy(&temp.path().join("missing"), &work.join("source"), &work).unwrap_err();
        assert!(missing.to_string().contains("does not exist on the machine of the executor"), "{missing}");
        let around = copy(temp.path(), &work.join("source"), &work).unwrap_err();
        assert!(matches!(around, FetchError::ContainsWorkDir { .. }), "{around}");
    }
}
