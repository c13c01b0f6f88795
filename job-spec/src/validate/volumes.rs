//! What is mounted where, and whether one mount hides another.

use config_core::{
    ConfigMapMount, PluginCache, Problem, WorkspaceOverrides, value::ContainerSecurity, workspace,
};

use super::checks::Checks;
use crate::{
    names::{MountPath, folders},
    plan::{PlannedVolume, VolumeKind},
};

/// Where programs put temporary files; it must stay writable.
const TEMP: &str = "/tmp";

impl Checks<'_> {
    /// Plans the volumes, a folder before what is mounted inside it.
    pub(super) fn volumes(&mut self, overrides: &WorkspaceOverrides) -> Vec<PlannedVolume> {
        let mut volumes = Vec::new();
        let security = overrides.get(&workspace::SECURITY_CONTEXT);
        if security.and_then(ContainerSecurity::read_only_root_filesystem) == Some(true) {
            let mount_path = MountPath::new(TEMP).expect("an absolute path");
            volumes.push(PlannedVolume { kind: VolumeKind::Temp, mount_path });
        }
        if let Some(ConfigMapMount { name, mount_path }) = overrides.config_map() {
            volumes.push(PlannedVolume { kind: VolumeKind::ConfigMap(name), mount_path });
        }
        if let Some(PluginCache { claim, mount_path }) = overrides.plugin_cache() {
            volumes.push(PlannedVolume { kind: VolumeKind::PluginCache(claim), mount_path });
        }
        self.mounts(&volumes);
        volumes
            .sort_by(|left, right| folders(left.mount_path.as_str()).cmp(folders(right.mount_path.as_str())));
        volumes
    }

    /// Two volumes at one path are refused by Kubernetes, and inside a config map, which is read-only, the container
    /// runtime can make no folder to mount at.
    fn mounts(&mut self, volumes: &[PlannedVolume]) {
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
    /// The variable that says the path.
    pub(super) set_by: &'static str,
    pub(super) is_read_only: bool,
}

impl<'a> From<&'a PlannedVolume> for Mounted<'a> {
    fn from(PlannedVolume { kind, mount_path }: &'a PlannedVolume) -> Self {
        let set_by = match kind {
            VolumeKind::Temp => workspace::SECURITY_CONTEXT.name(),
            VolumeKind::ConfigMap(_) => workspace::CONFIG_MAP_MOUNT_PATH.name(),
            VolumeKind::PluginCache(_) => workspace::TF_PLUGIN_CACHE_DIR.name(),
        };
        Self { path: mount_path.as_str(), set_by, is_read_only: matches!(kind, VolumeKind::ConfigMap(_)) }
    }
}

fn is_inside(path: &str, folder: &str) -> bool {
    let mut parts = folders(path);
    folders(folder).all(|part| parts.next() == Some(part)) && parts.next().is_some()
}
