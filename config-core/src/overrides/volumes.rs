//! What the workspace mounts into the executor.

use super::{
    ConfigMapMount,
    reader::{Reader, origin},
};
use crate::{Problem, keys, kubernetes::Rule};

impl Reader<'_> {
    pub(super) fn config_map(&mut self) -> Option<ConfigMapMount> {
        let mount_path = self.get(keys::CONFIG_MAP_MOUNT_PATH).map(|path| path.trim().to_owned());
        if let Some(path) = &mount_path {
            self.check(keys::CONFIG_MAP_MOUNT_PATH, path, Rule::MountPath);
            if self.get(keys::CONFIG_MAP_NAME).is_none() {
                self.problems.push(
                    Problem::new(
                        origin(keys::CONFIG_MAP_MOUNT_PATH),
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
}
