//! Config map and plugin cache that the workspace mounts into the executor.

use super::{ConfigMapMount, PluginCache, reader::Reader};
use crate::{Problem, keys, names::MountPath};

impl Reader<'_> {
    pub(super) fn config_map(&mut self) -> Option<ConfigMapMount> {
        let name = self.name(keys::CONFIG_MAP_NAME, "remove it to mount no config map");
        let Some(path) = self.get(keys::CONFIG_MAP_MOUNT_PATH) else {
            let mount_path =
                MountPath::new(keys::DEFAULT_CONFIG_MAP_MOUNT_PATH).expect("the default is a path");
            return Some(ConfigMapMount { name: name?, mount_path });
        };
        let mount_path = self.checked(keys::CONFIG_MAP_MOUNT_PATH, path.trim(), None);
        if self.get(keys::CONFIG_MAP_NAME).is_none() {
            let expected = format!("{} beside it", keys::CONFIG_MAP_NAME);
            self.push(
                Problem::new(self.origin(keys::CONFIG_MAP_MOUNT_PATH), expected)
                    .with_hint("name the config map to mount, or remove the path"),
            );
        }
        Some(ConfigMapMount { name: name?, mount_path: mount_path? })
    }

    /// Terraform's cache folder alone mounts nothing: whether the usual claim exists, only the cluster knows, and asking it
    /// takes a right that the documented role does not give.
    pub(super) fn plugin_cache(&mut self) -> Option<PluginCache> {
        // Not trimmed: terraform gets the same text.
        let mount_path = self.get(keys::TF_PLUGIN_CACHE_DIR)?;
        self.get(keys::PVC_CLAIM_NAME)?;
        let claim = self.name(keys::PVC_CLAIM_NAME, "remove it to mount no claim");
        let mount_path = self.checked(keys::TF_PLUGIN_CACHE_DIR, mount_path, None);
        Some(PluginCache { claim: claim?, mount_path: mount_path? })
    }
}
