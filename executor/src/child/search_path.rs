//! Searches programs in the folders of a PATH value.

use std::{
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
};

/// Finds an executable file in the folders of a PATH value. Relative folders are skipped: they would be
/// searched in the configuration.
pub(crate) fn find_program(name: &str, path: &str) -> Option<PathBuf> {
    std::env::split_paths(path)
        .filter(|folder| folder.is_absolute())
        .map(|folder| folder.join(name))
        .find(|file| is_executable(file))
}

fn is_executable(file: &Path) -> bool {
    file.metadata().is_ok_and(|found| found.is_file() && found.permissions().mode() & 0o111 != 0)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn finds_first_executable_file_in_absolute_folders() {
        let root = tempfile::tempdir().unwrap();
        let folder = |name: &str, mode: Option<u32>| {
            let folder = root.path().join(name);
            fs::create_dir(&folder).unwrap();
            if let Some(mode) = mode {
                fs::write(folder.join("terraform"), "").unwrap();
                fs::set_permissions(folder.join("terraform"), fs::Permissions::from_mode(mode)).unwrap();
            }
            folder.to_str().unwrap().to_owned()
        };
        let (empty, data) = (folder("empty", None), folder("data", Some(0o644)));
        let (first, second) = (folder("first", Some(0o755)), folder("second", Some(0o700)));
        fs::create_dir(root.path().join("empty/terraform")).unwrap();
        let cases = [
            (format!("{empty}:{data}:{first}:{second}"), Some(&first)),
            (format!("{second}:{first}"), Some(&second)),
            (format!("{data}:{empty}"), None),
            (format!(".:relative::{first}"), Some(&first)),
            (String::new(), None),
        ];
        for (path, expected) in cases {
            let expected = expected.map(|folder| Path::new(folder).join("terraform"));
            assert_eq!(find_program("terraform", &path), expected, "{path}");
        }
    }
}
