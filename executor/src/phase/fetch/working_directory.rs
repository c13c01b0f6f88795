//! The folder of the source in which terraform runs.

use std::{
    fs, io,
    path::{Component, Path, PathBuf},
};

use super::{error::FetchError, git::reference::nearest};

/// How many folders are looked at for a message, and how many it lists.
const MAX_SEARCHED: usize = 5000;
const MAX_LISTED: usize = 5;

/// Finds the working directory inside a fetched source.
///
/// It must contain a configuration: with our backend file alone, terraform would destroy everything.
pub(crate) fn working_directory(root: &Path, folder: &str) -> Result<PathBuf, FetchError> {
    // The part after a comma is a list of further folders that only triggers use.
    let folder = folder.split(',').next().unwrap_or_default().trim();
    let inside = Path::new(folder.trim_start_matches('/'));
    let named = || if folder.is_empty() { "/".to_owned() } else { folder.to_owned() };
    let missing = || FetchError::MissingFolder { folder: named(), exists: describe_folders(root, &named()) };
    let plain = |part: Component<'_>| matches!(part, Component::Normal(_) | Component::CurDir);
    if !inside.components().all(plain) {
        return Err(FetchError::Outside { folder: named() });
    }
    let path = root.join(inside);
    let (Ok(real), Ok(real_root)) = (path.canonicalize(), root.canonicalize()) else {
        return Err(missing());
    };
    if !real.starts_with(&real_root) {
        return Err(FetchError::Outside { folder: named() });
    }
    if !real.is_dir() {
        return Err(missing());
    }
    match has_configuration(&real) {
        Ok(true) => Ok(real),
        Ok(false) => Err(FetchError::Empty { folder: named(), exists: describe_folders(root, &named()) }),
        Err(source) => Err(FetchError::Copy { path: real, source }),
    }
}

fn has_configuration(folder: &Path) -> io::Result<bool> {
    let is_configuration =
        |name: &str| [".tf", ".tf.json", ".tofu", ".tofu.json"].iter().any(|ending| name.ends_with(ending));
    let mut files = fs::read_dir(folder)?;
    Ok(files.any(|file| file.is_ok_and(|file| is_configuration(&file.file_name().to_string_lossy()))))
}

/// Returns which folders of a source have a configuration, for a message about one that does not.
fn describe_folders(root: &Path, wanted: &str) -> String {
    let (mut found, mut left) = (Vec::new(), MAX_SEARCHED);
    let mut folders = std::collections::VecDeque::from([root.to_owned()]);
    while let Some(folder) = folders.pop_front() {
        if has_configuration(&folder).unwrap_or_default() {
            let inside = folder.strip_prefix(root).unwrap_or(&folder);
            found.push(format!("/{}", inside.to_string_lossy()));
        }
        let mut inner: Vec<_> = fs::read_dir(&folder).into_iter().flatten().flatten().collect();
        inner
            .retain(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()) && entry.file_name() != ".git");
        inner.sort_by_key(fs::DirEntry::file_name);
        for entry in inner {
            left = match left.checked_sub(1) {
                Some(left) => left,
                None => break,
            };
            folders.push_back(entry.path());
        }
    }
    if found.is_empty() {
        return "no folder of the source contains a configuration".to_owned();
    }
    let near =
        nearest(&format!("/{}", wanted.trim_matches('/')), found.iter().filter(|folder| *folder != "/"));
    let shown: Vec<_> = if near.is_empty() { found.iter().collect() } else { near };
    let quoted: Vec<_> = shown.iter().take(MAX_LISTED).map(|folder| format!("{folder:?}")).collect();
    format!("folders with a configuration: {}", quoted.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requires_folder_inside_source_with_configuration() {
        let outside = tempfile::tempdir().unwrap();
        fs::write(outside.path().join("main.tf"), "").unwrap();
        let root = tempfile::tempdir().unwrap();
        let root = root.path().canonicalize().unwrap();
        for folder in ["live/dev", "json", "tofu", "empty"] {
            fs::create_dir_all(root.join(folder)).unwrap();
        }
        for file in ["main.tf", "live/dev/main.tf", "json/a.tf.json", "tofu/a.tofu", "empty/readme.md"] {
            fs::write(root.join(file), "").unwrap();
        }
        std::os::unix::fs::symlink(outside.path(), root.join("link")).unwrap();
        let good = [
            ("", ""),
            ("/", ""),
            ("/live/dev", "live/dev"),
            ("live/dev/", "live/dev"),
            ("/live/dev,/modules", "live/dev"),
            ("./json", "json"),
            ("tofu", "tofu"),
        ];
        for (folder, expected) in good {
            assert_eq!(working_directory(&root, folder).unwrap(), root.join(expected), "{folder}");
        }
        let bad = [
            (
                "/live/dve",
                "folder \"/live/dve\" of the workspace is not in the source; \
                 folders with a configuration: \"/live/dev\"",
            ),
            (
                "main.tf",
                "folder \"main.tf\" of the workspace is not in the source; \
                 folders with a configuration: \"/\", \"/json\", \"/tofu\", \"/live/dev\"",
            ),
            ("/../x", "folder \"/../x\" of the workspace is outside of the source"),
            ("link", "folder \"link\" of the workspace is outside of the source"),
            (
                "/empty",
                "folder \"/empty\" of the workspace contains no terraform configuration, \
                 expected a *.tf, *.tf.json, *.tofu or *.tofu.json file; \
                 folders with a configuration: \"/\", \"/json\", \"/tofu\", \"/live/dev\"",
            ),
        ];
        for (folder, expected) in bad {
            assert_eq!(working_directory(&root, folder).unwrap_err().to_string(), expected);
        }
    }
}
