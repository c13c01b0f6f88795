//! The folder of the source in which terraform runs.

use std::{
    fs,
    path::{Component, Path, PathBuf},
};

use super::error::FetchError;

/// Finds the working directory inside a fetched source.
///
/// It must contain a configuration: with our backend file alone, terraform would destroy everything.
pub(crate) fn working_directory(root: &Path, folder: &str) -> Result<PathBuf, FetchError> {
    // The part after a comma is a list of further folders that only triggers use.
    let folder = folder.split(',').next().unwrap_or_default().trim();
    let inside = Path::new(folder.trim_start_matches('/'));
    let named = || if folder.is_empty() { "/".to_owned() } else { folder.to_owned() };
    let plain = |part: Component<'_>| matches!(part, Component::Normal(_) | Component::CurDir);
    if !inside.components().all(plain) {
        return Err(FetchError::Outside { folder: named() });
    }
    let path = root.join(inside);
    let (Ok(real), Ok(real_root)) = (path.canonicalize(), root.canonicalize()) else {
        return Err(FetchError::MissingFolder { folder: named() });
    };
    if !real.starts_with(&real_root) {
        return Err(FetchError::Outside { folder: named() });
    }
    if !real.is_dir() {
        return Err(FetchError::MissingFolder { folder: named() });
    }
    let is_configuration =
        |name: &str| [".tf", ".tf.json", ".tofu", ".tofu.json"].iter().any(|ending| name.ends_with(ending));
    let mut files = fs::read_dir(&real).map_err(|source| FetchError::Copy { path: real.clone(), source })?;
    if !files.any(|file| file.is_ok_and(|file| is_configuration(&file.file_name().to_string_lossy()))) {
        return Err(FetchError::Empty { folder: named() });
    }
    Ok(real)
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
            ("/nowhere", "folder \"/nowhere\" of the workspace is not in the source"),
            ("main.tf", "folder \"main.tf\" of the workspace is not in the source"),
            ("/../x", "folder \"/../x\" of the workspace is outside of the source"),
            ("link", "folder \"link\" of the workspace is outside of the source"),
            (
                "/empty",
                "folder \"/empty\" of the workspace contains no terraform configuration, \
                 expected a *.tf, *.tf.json, *.tofu or *.tofu.json file",
            ),
        ];
        for (folder, expected) in bad {
            assert_eq!(working_directory(&root, folder).unwrap_err().to_string(), expected);
        }
    }
}
