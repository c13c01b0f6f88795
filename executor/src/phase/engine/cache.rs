//! The folder of downloaded programs, which many executors may share.
//!
//! ```text
//! <cache>/terraform/1.9.8/linux_amd64/terraform          the program
//! <cache>/terraform/1.9.8/linux_amd64/terraform.sha256   its digest
//! <cache>/.new-<random>/                                 what an executor is installing
//! ```
//!
//! An entry appears complete, by the renaming of its folder: no executor sees half of a program, and no lock
//! is needed, which network file systems often lack. An entry that does not have its digest is replaced.

use std::{
    fs::{self, DirBuilder},
    io,
    os::unix::fs::{DirBuilderExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use semver::Version;

use super::{Engine, checksum, index::Platform, version::parse_version};

/// After this time, what a killed executor was installing is removed.
const MAX_INSTALL_AGE: Duration = Duration::from_hours(24);

const NEW_PREFIX: &str = ".new-";

/// A cache of programs.
#[derive(Debug, Clone)]
pub(super) struct Cache {
    root: PathBuf,
    engine: Engine,
    platform: Platform,
}

/// A folder for one installation; removed when dropped.
#[derive(Debug)]
pub(super) struct Installation {
    folder: PathBuf,
}

impl Drop for Installation {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.folder);
    }
}

impl Installation {
    /// Returns the path of a temporary file.
    pub(super) fn file(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// Returns the folder itself.
    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Creates the folder that becomes the entry, and returns the path of the program in it.
    pub(super) fn entry(&self, engine: Engine) -> io::Result<PathBuf> {
        let entry = self.folder.join("entry");
        DirBuilder::new().mode(0o755).create(&entry)?;
        Ok(entry.join(engine.program()))
    }
}

impl Cache {
    pub(super) fn new(root: PathBuf, engine: Engine, platform: Platform) -> Self {
        Self { root, engine, platform }
    }

    /// Returns the versions that are there, newest first.
    pub(super) fn versions(&self) -> Vec<Version> {
        let entries = fs::read_dir(self.root.join(self.engine.program())).into_iter().flatten().flatten();
        let names = entries.filter_map(|entry| parse_version(entry.file_name().to_str()?));
        let mut versions: Vec<_> = names.filter(|version| self.entry(version).is_dir()).collect();
        versions.sort_by(|a, b| b.cmp(a));
        versions
    }

    fn entry(&self, version: &Version) -> PathBuf {
        let Platform { os, arch } = self.platform;
        self.root.join(self.engine.program()).join(version.to_string()).join(format!("{os}_{arch}"))
    }

    /// Returns the program of a version, if it is there and has its digest.
    pub(super) fn get(&self, version: &Version) -> Option<PathBuf> {
        let program = self.entry(version).join(self.engine.program());
        let stated = fs::read_to_string(digest_file(&program)).ok()?;
        let executable = fs::metadata(&program).ok()?.permissions().mode() & 0o111 != 0;
        (executable && checksum::of_file(&program).ok()? == stated.trim()).then_some(program)
    }

    /// Starts an installation: fails if the cache cannot be written.
    pub(super) fn begin(&self) -> io::Result<Installation> {
        fs::create_dir_all(&self.root)?;
        self.remove_old_installations();
        let folder = self.root.join(format!("{NEW_PREFIX}{}", uuid::Uuid::new_v4()));
        DirBuilder::new().mode(0o700).create(&folder)?;
        Ok(Installation { folder })
    }

    /// Makes the installed program an entry and returns its path. If another executor was faster, its entry
    /// is used.
    pub(super) fn finish(&self, installation: &Installation, version: &Version) -> io::Result<PathBuf> {
        let new = installation.folder.join("entry");
        let digest = checksum::of_file(&new.join(self.engine.program()))?;
        fs::write(digest_file(&new.join(self.engine.program())), format!("{digest}\n"))?;
        let entry = self.entry(version);
        fs::create_dir_all(entry.parent().unwrap_or(&self.root))?;
        let mut result = fs::rename(&new, &entry);
        if is_occupied(&result) {
            if let Some(program) = self.get(version) {
                return Ok(program);
            }
            // It is damaged. Another executor may be replacing it, too; then the second renaming fails.
            let _ = fs::rename(&entry, installation.folder.join("damaged"));
            result = fs::rename(&new, &entry);
        }
        if is_occupied(&result) {
            return self
                .get(version)
                .ok_or_else(|| io::Error::other("the entry is replaced by another process"));
        }
        result.map(|()| entry.join(self.engine.program()))
    }

    fn remove_old_installations(&self) {
        let entries = fs::read_dir(&self.root).into_iter().flatten().flatten();
        let is_new = |name: &std::ffi::OsStr| name.to_string_lossy().starts_with(NEW_PREFIX);
        for entry in entries.filter(|entry| is_new(&entry.file_name())) {
            let modified = entry.metadata().and_then(|metadata| metadata.modified()).ok();
            let age = modified.and_then(|modified| SystemTime::now().duration_since(modified).ok());
            if age.is_some_and(|age| age > MAX_INSTALL_AGE) {
                let _ = fs::remove_dir_all(entry.path());
            }
        }
    }
}

fn digest_file(program: &Path) -> PathBuf {
    program.with_extension("sha256")
}

fn is_occupied(renamed: &io::Result<()>) -> bool {
    let kinds = [io::ErrorKind::DirectoryNotEmpty, io::ErrorKind::AlreadyExists];
    renamed.as_ref().is_err_and(|error| kinds.contains(&error.kind()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINUX: Platform = Platform { os: "linux", arch: "amd64" };

    fn cache(root: &Path) -> Cache {
        Cache::new(root.to_owned(), Engine::Terraform, LINUX)
    }

    fn install(cache: &Cache, version: &Version, content: &str) -> PathBuf {
        let installation = cache.begin().unwrap();
        let program = installation.entry(Engine::Terraform).unwrap();
        fs::write(&program, content).unwrap();
        fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
        cache.finish(&installation, version).unwrap()
    }

    #[test]
    fn entry_is_found_until_it_is_damaged_and_then_replaced() {
        let root = tempfile::tempdir().unwrap();
        let cache = cache(root.path());
        let version = Version::new(1, 9, 8);
        assert_eq!((cache.get(&version), cache.versions()), (None, Vec::new()));
        let program = install(&cache, &version, "first");
        assert_eq!(program, root.path().join("terraform/1.9.8/linux_amd64/terraform"));
        assert_eq!(cache.get(&version), Some(program.clone()));
        assert_eq!(cache.versions(), std::slice::from_ref(&version));
        // The faster one wins.
        assert_eq!(install(&cache, &version, "second"), program);
        assert_eq!(fs::read_to_string(&program).unwrap(), "first");

        fs::write(&program, "fir").unwrap();
        assert_eq!(cache.get(&version), None);
        install(&cache, &version, "third");
        assert_eq!(fs::read_to_string(&program).unwrap(), "third");
        // Nothing else is left.
        assert_eq!(fs::read_dir(root.path()).unwrap().count(), 1);
    }

    #[test]
    fn newest_version_comes_first() {
        let root = tempfile::tempdir().unwrap();
        let cache = cache(root.path());
        for version in [Version::new(1, 9, 8), Version::new(1, 10, 0), Version::new(1, 9, 9)] {
            install(&cache, &version, "x");
        }
        fs::create_dir_all(root.path().join("terraform/2.0.0/linux_arm64")).unwrap();
        let versions: Vec<_> = cache.versions().iter().map(ToString::to_string).collect();
        assert_eq!(versions, ["1.10.0", "1.9.9", "1.9.8"]);
    }

    #[test]
    fn many_install_the_same_version_at_once() {
        let root = tempfile::tempdir().unwrap();
        let version = Version::new(1, 9, 8);
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    let cache = cache(root.path());
                    for _ in 0..20 {
                        let program = install(&cache, &version, "same");
                        assert_eq!(fs::read_to_string(program).unwrap(), "same");
                    }
                });
            }
        });
        assert!(cache(root.path()).get(&version).is_some());
    }
}
