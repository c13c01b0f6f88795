//! Makes the plugin cache of terraform safe for many executors.
//!
//! Terraform writes into the folder of `TF_PLUGIN_CACHE_DIR` in place, so two `init` at once break each
//! other: one runs a provider that the other is writing. Here each step has a cache of its own, a folder of
//! links to the providers of the shared one. What `init` has added is moved to the shared cache afterwards,
//! by renaming its folder, so that a provider appears there complete or not at all. No lock is needed.
//!
//! The folder of a step is inside the shared one, where renaming copies nothing, unless that is read-only.

use std::{
    fs, io,
    os::unix::fs::{PermissionsExt as _, symlink},
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

/// Holds the folders of steps, in the shared cache. No host has such a name.
const STEPS: &str = ".steps";

/// After this time, the folder of a killed step is removed.
const MAX_STEP_AGE: Duration = Duration::from_hours(7 * 24);

/// Folders from the root of a cache to a provider: host, namespace, type, version, platform.
const DEPTH: usize = 5;

/// The cache of one step. Dropping it removes the links, not the providers.
#[derive(Debug)]
pub(crate) struct PluginCache {
    shared: PathBuf,
    own: PathBuf,
    is_shared_writable: bool,
}

impl Drop for PluginCache {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.own);
    }
}

impl PluginCache {
    /// Creates the cache of a step. `private` is its place if the shared cache cannot be written.
    pub(super) fn open(shared: &Path, private: &Path) -> io::Result<Self> {
        let steps = shared.join(STEPS);
        let own = steps.join(uuid::Uuid::new_v4().to_string());
        let is_shared_writable = fs::create_dir_all(&own).is_ok();
        let own = if is_shared_writable { own } else { private.to_owned() };
        fs::create_dir_all(&own)?;
        // From here on, dropping removes the folder.
        let cache = Self { shared: shared.to_owned(), own, is_shared_writable };
        remove_old(&steps);
        for provider in providers(&cache.shared) {
            let link = cache.own.join(&provider);
            fs::create_dir_all(link.parent().unwrap_or(&cache.own))?;
            symlink(cache.shared.join(&provider), link)?;
        }
        Ok(cache)
    }

    /// Returns the folder for terraform.
    pub(super) fn path(&self) -> &Path {
        &self.own
    }

    /// Moves new providers to the shared cache, and returns how many.
    pub(super) fn publish(&self) -> io::Result<usize> {
        let mut moved = 0;
        if !self.is_shared_writable {
            return Ok(moved);
        }
        for provider in providers(&self.own) {
            let new = self.own.join(&provider);
            if fs::symlink_metadata(&new)?.is_symlink() {
                continue;
            }
            let place = self.shared.join(&provider);
            fs::create_dir_all(place.parent().unwrap_or(&self.shared))?;
            protect(&new)?;
            match fs::rename(&new, &place) {
                Ok(()) => moved += 1,
                // Another step was faster. Two copies of a large provider would be two in memory, too.
                Err(_) if place.is_dir() && files(&new)? == files(&place)? => fs::remove_dir_all(&new)?,
                // Another package of the same version stays with this step.
                Err(_) if place.is_dir() => continue,
                Err(error) => return Err(error),
            }
            symlink(&place, &new)?;
        }
        Ok(moved)
    }
}

/// Returns the providers of a cache, as paths inside it.
fn providers(root: &Path) -> Vec<PathBuf> {
    let mut found = vec![PathBuf::new()];
    for _ in 0..DEPTH {
        let inner = |path: PathBuf| {
            let entries = fs::read_dir(root.join(&path)).into_iter().flatten().flatten();
            let names = entries.map(|entry| entry.file_name());
            let names = names.filter(|name| !name.to_string_lossy().starts_with('.'));
            names.map(|name| path.join(name)).collect::<Vec<_>>()
        };
        found = found.into_iter().flat_map(inner).collect();
    }
    found.retain(|path| root.join(path).is_dir());
    found
}

/// Returns names and sizes of the files of a provider.
fn files(folder: &Path) -> io::Result<Vec<(std::ffi::OsString, u64)>> {
    let entries = fs::read_dir(folder)?;
    let file = |entry: io::Result<fs::DirEntry>| {
        let entry = entry?;
        Ok((entry.file_name(), entry.metadata()?.len()))
    };
    let mut files = entries.map(file).collect::<io::Result<Vec<_>>>()?;
    files.sort();
    Ok(files)
}

/// Takes the right to write from the files of a provider: terraform would write a package that does not fit
/// the lock file of a configuration over it, while others run it.
fn protect(folder: &Path) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let metadata = entry.metadata()?;
        if metadata.is_file() {
            let mode = metadata.permissions().mode() & 0o555;
            fs::set_permissions(entry.path(), fs::Permissions::from_mode(mode))?;
        }
    }
    Ok(())
}

fn remove_old(steps: &Path) {
    for entry in fs::read_dir(steps).into_iter().flatten().flatten() {
        let modified = entry.metadata().and_then(|metadata| metadata.modified()).ok();
        let age = modified.and_then(|modified| SystemTime::now().duration_since(modified).ok());
        if age.is_some_and(|age| age > MAX_STEP_AGE) {
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PROVIDER: &str = "registry.terraform.io/hashicorp/time/0.14.2/linux_amd64";

    fn add(cache: &Path, content: &str) {
        let folder = cache.join(PROVIDER);
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join("provider"), content).unwrap();
    }

    fn content(cache: &Path) -> String {
        fs::read_to_string(cache.join(PROVIDER).join("provider")).unwrap()
    }

    #[test]
    fn provider_of_one_step_is_there_for_the_next() {
        let (shared, private) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let first = PluginCache::open(shared.path(), private.path()).unwrap();
        let second = PluginCache::open(shared.path(), private.path()).unwrap();
        add(first.path(), "package");
        add(second.path(), "package");
        assert!(!shared.path().join(PROVIDER).exists());
        assert_eq!((first.publish().unwrap(), second.publish().unwrap()), (1, 0));
        for step in [&first, &second] {
            assert!(fs::symlink_metadata(step.path().join(PROVIDER)).unwrap().is_symlink());
            assert_eq!(content(step.path()), "package");
            assert_eq!(step.publish().unwrap(), 0);
        }
        let third = PluginCache::open(shared.path(), private.path()).unwrap();
        assert_eq!(content(third.path()), "package");
        drop((first, second, third));
        assert_eq!(content(shared.path()), "package");
        assert_eq!(fs::read_dir(shared.path().join(STEPS)).unwrap().count(), 0);
    }

    #[test]
    fn other_package_of_the_same_version_stays_with_its_step() {
        let (shared, private) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let first = PluginCache::open(shared.path(), private.path()).unwrap();
        let second = PluginCache::open(shared.path(), private.path()).unwrap();
        add(first.path(), "package");
        add(second.path(), "another package");
        assert_eq!((first.publish().unwrap(), second.publish().unwrap()), (1, 0));
        assert_eq!(
            (content(first.path()), content(second.path())),
            ("package".into(), "another package".into())
        );
        assert_eq!(content(shared.path()), "package");
    }

    #[test]
    fn cache_that_cannot_be_written_is_read() {
        let (shared, private) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        add(shared.path(), "package");
        // A file in place of the folder of steps: root can write everywhere.
        fs::write(shared.path().join(STEPS), "").unwrap();
        let own = private.path().join("plugin-cache");
        let step = PluginCache::open(shared.path(), &own).unwrap();
        assert_eq!((step.path(), content(step.path()).as_str()), (own.as_path(), "package"));
        assert_eq!(step.publish().unwrap(), 0);
    }
}
