//! Whether one mount of the executor's container hides another.

use config_core::Problem;

use super::checks::Checks;
use crate::{names::folders, volumes::SettingVolume};

impl Checks<'_> {
    /// Kubernetes refuses two volumes at one path, and inside a read-only volume the container runtime cannot
    /// create a folder to mount at.
    pub(super) fn mounts(&mut self, volumes: &[SettingVolume]) {
        let mounted: Vec<Mounted<'_>> = volumes.iter().map(Mounted::from).collect();
        for (index, volume) in mounted.iter().enumerate() {
            for other in &mounted[..index] {
                self.pair(*volume, *other);
            }
        }
    }

    /// Checks one mount against one that was there before.
    pub(super) fn pair(&mut self, volume: Mounted<'_>, other: Mounted<'_>) {
        if folders(volume.path).eq(folders(other.path)) {
            let expected = format!("another path than {:?}, which is that of {}", other.path, other.set_by);
            self.push(Problem::new(self.origin(volume.set_by), expected).with_found(volume.path));
            return;
        }
        for (inner, outer) in [(volume, other), (other, volume)] {
            if outer.is_read_only && is_inside(inner.path, outer.path) {
                let expected = format!(
                    "a path outside {:?}, which is that of {} and read-only",
                    outer.path, outer.set_by
                );
                self.push(Problem::new(self.origin(inner.set_by), expected).with_found(inner.path));
            }
        }
    }
}

/// A mount of the executor's container.
#[derive(Clone, Copy)]
pub(super) struct Mounted<'a> {
    pub(super) path: &'a str,
    /// The variable that sets the path.
    pub(super) set_by: &'static str,
    pub(super) is_read_only: bool,
}

impl<'a> From<&'a SettingVolume> for Mounted<'a> {
    fn from(volume: &'a SettingVolume) -> Self {
        let SettingVolume { volume: _, mount_path, is_read_only, path_set_by } = volume;
        let set_by = path_set_by.first().copied().unwrap_or_default();
        Self { path: mount_path.as_str(), set_by, is_read_only: *is_read_only }
    }
}

fn is_inside(path: &str, folder: &str) -> bool {
    let mut parts = folders(path);
    folders(folder).all(|part| parts.next() == Some(part)) && parts.next().is_some()
}
