//! Copies a folder of this machine, without the internal files of terraform and git.
//!
//! The original is never changed. Symbolic links stay links; sockets and pipes are skipped.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use super::{clean::belongs_to_a_run, error::FetchError};

/// Copies `from` to `to`, which must not exist. Returns what belongs to another run of terraform and was left
/// out.
pub(crate) fn copy(from: &Path, to: &Path, work: &Path) -> Result<Vec<PathBuf>, FetchError> {
    let from = match from.canonicalize() {
        Ok(real) if real.is_dir() => real,
        _ => return Err(FetchError::MissingSource { path: from.to_owned() }),
    };
    if work.canonicalize().is_ok_and(|work| work.starts_with(&from)) {
        return Err(FetchError::ContainsWorkDir { path: from });
    }
    let (mut folders, mut left_out) = (vec![(from.clone(), to.to_owned())], Vec::new());
    while let Some((from, to)) = folders.pop() {
        copy_one_folder(&from, &to, &mut folders, &mut left_out)
            .map_err(|source| FetchError::Copy { path: from, source })?;
    }
    Ok(left_out.iter().map(|path| path.strip_prefix(&from).unwrap_or(path).to_owned()).collect())
}

fn copy_one_folder(
    from: &Path,
    to: &Path,
    folders: &mut Vec<(PathBuf, PathBuf)>,
    left_out: &mut Vec<PathBuf>,
) -> io::Result<()> {
    fs::create_dir(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        // The history may be large, and no archive brings it either.
        if entry.file_name() == ".git" {
            continue;
        }
        if belongs_to_a_run(&entry.file_name()) {
            left_out.push(entry.path());
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
            "modules/a/errored.tfstate",
            "modules/a/network.tfstate",
        ] {
            fs::write(from.join(file), file).unwrap();
        }
        std::os::unix::fs::symlink("main.tf", from.join("link.tf")).unwrap();
        let left_out = copy(&from, &to, &work).unwrap();
        assert_eq!(left_out.len(), 4, "{left_out:?}");
        assert!(left_out.contains(&"modules/a/errored.tfstate".into()), "{left_out:?}");
        let mut names: Vec<_> = fs::read_dir(&to)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        assert_eq!(names, [".terraform.lock.hcl", "link.tf", "main.tf", "modules"]);
        assert_eq!(fs::read_to_string(to.join("modules/a/main.tf")).unwrap(), "modules/a/main.tf");
        assert!(to.join("modules/a/network.tfstate").exists(), "a state of another name is data");
        assert!(!to.join("modules/a/errored.tfstate").exists());
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
