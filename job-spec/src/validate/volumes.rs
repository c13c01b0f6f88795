//! What is mounted where, and whether one mount hides another.

use config_core::{ConfigMapMount, PluginCache, Problem, keys, value::ContainerSecurity};

use super::checks::Checks;
use crate::{
    names::{ClaimName, ConfigMapName, MountPath},
    plan::{PlannedVolume, VolumeKind},
};

/// Where programs put temporary files; it must stay writable.
const TEMP: &str = "/tmp";

impl Checks<'_> {
    /// Plans the volumes, a folder before what is mounted inside it.
    pub(super) fn volumes(
        &mut self,
        config_map: Option<&ConfigMapMount>,
        plugin_cache: Option<&PluginCache>,
        security: &ContainerSecurity,
    ) -> Vec<PlannedVolume> {
        let mut volumes = Vec::new();
        if security.read_only_root_filesystem() == Some(true) {
            let mount_path = MountPath::new(TEMP).expect("an absolute path");
            volumes.push(PlannedVolume { kind: VolumeKind::Temp, mount_path });
        }
        if let Some(ConfigMapMount { name, mount_path }) = config_map {
            let name = self.name(&self.origin(keys::CONFIG_MAP_NAME), ConfigMapName::new(name));
            let mount_path = self.name(&self.origin(keys::CONFIG_MAP_MOUNT_PATH), MountPath::new(mount_path));
            if let (Some(name), Some(mount_path)) = (name, mount_path) {
                volumes.push(PlannedVolume { kind: VolumeKind::ConfigMap(name), mount_path });
            }
        }
        if let Some(PluginCache { claim, mount_path }) = plugin_cache {
            let claim = self.name(&self.origin(keys::PVC_CLAIM_NAME), ClaimName::new(claim));
            let mount_path = self.name(&self.origin(keys::TF_PLUGIN_CACHE_DIR), MountPath::new(mount_path));
            if let (Some(claim), Some(mount_path)) = (claim, mount_path) {
                volumes.push(PlannedVolume { kind: VolumeKind::PluginCache(claim), mount_path });
            }
        }
        self.mounts(&volumes);
        volumes
            .sort_by(|left, right| folders(left.mount_path.as_str()).cmp(folders(right.mount_path.as_str())));
        volumes
    }

    /// Two volumes at one path are refused by Kubernetes, and inside a config map, which is read-only, the container
    /// runtime can make no folder to mount at.
    fn mounts(&mut self, volumes: &[PlannedVolume]) {
        for (index, volume) in volumes.iter().enumerate() {
            for other in &volumes[..index] {
                self.pair(volume, other);
            }
        }
    }

    fn pair(&mut self, volume: &PlannedVolume, other: &PlannedVolume) {
        let path = volume.mount_path.as_str();
        let taken = other.mount_path.as_str();
        if folders(path).eq(folders(taken)) {
            let expected = format!("another path than {taken:?}, which is that of {}", set_by(other));
            self.push(Problem::new(self.origin(set_by(volume)), expected).with_found(path));
            return;
        }
        for (inner, outer) in [(volume, other), (other, volume)] {
            let (path, around) = (inner.mount_path.as_str(), outer.mount_path.as_str());
            if matches!(outer.kind, VolumeKind::ConfigMap(_)) && is_inside(path, around) {
                let expected =
                    format!("a path outside {around:?}, which is that of {} and read-only", set_by(outer));
                self.push(Problem::new(self.origin(set_by(inner)), expected).with_found(path));
            }
        }
    }
}

/// The variable that says where a volume is mounted.
const fn set_by(volume: &PlannedVolume) -> &'static str {
    match volume.kind {
        VolumeKind::Temp => keys::CONFIG_SECURITY_CONTEXT,
        VolumeKind::ConfigMap(_) => keys::CONFIG_MAP_MOUNT_PATH,
        VolumeKind::PluginCache(_) => keys::TF_PLUGIN_CACHE_DIR,
    }
}

/// The folders of a path, whatever the number of slashes.
fn folders(path: &str) -> impl Iterator<Item = &str> {
    path.split('/').filter(|part| !part.is_empty() && *part != ".")
}

fn is_inside(path: &str, folder: &str) -> bool {
    let mut parts = folders(path);
    folders(folder).all(|part| parts.next() == Some(part)) && parts.next().is_some()
}
