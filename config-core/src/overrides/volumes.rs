//! What the workspace mounts into the executor.

use super::{ConfigMapMount, PluginCache, reader::Reader};
use crate::{Problem, keys, kubernetes::Rule};

impl Reader<'_> {
    pub(super) fn config_map(&mut self) -> Option<ConfigMapMount> {
        let mount_path = self.get(keys::CONFIG_MAP_MOUNT_PATH).map(|path| path.trim().to_owned());
        if let Some(path) = &mount_path {
            self.check(keys::CONFIG_MAP_MOUNT_PATH, path, Rule::MountPath);
            if self.get(keys::CONFIG_MAP_NAME).is_none() {
                self.push(
                    Problem::new(
                        self.origin(keys::CONFIG_MAP_MOUNT_PATH),
                        format!("{} beside it", keys::CONFIG_MAP_NAME),
                    )
                    .with_hint("name the config map to mount, or remove the path"),
                );
            }
        }
        let name = self.name(keys::CONFIG_MAP_NAME, "remove it to mount no config map")?;
        let mount_path = mount_path.unwrap_or_else(|| keys::DEFAULT_CONFIG_MAP_MOUNT_PATH.to_owned());
        Some(ConfigMapMount { name, mount_path })
    }

    /// Terraform's cache folder alone mounts nothing: whether the usual claim exists, only the cluster knows, and asking it
    /// takes a right that the documented role does not give.
    pub(super) fn plugin_cache(&mut self) -> Option<PluginCache> {
        // Not trimmed: terraform is handed the same text.
        let mount_path = self.get(keys::TF_PLUGIN_CACHE_DIR)?.to_owned();
        let claim = self.name(keys::PVC_CLAIM_NAME, "remove it to mount no claim")?;
        self.check(keys::TF_PLUGIN_CACHE_DIR, &mount_path, Rule::MountPath);
        Some(PluginCache { claim, mount_path })
    }
}
