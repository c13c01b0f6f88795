//! The volumes that settings add to the pod, one entry each, with their mounts in the executor's container.
//!
//! Validation, rendering and explain use these entries, so a new volume is described here alone. Volumes that
//! the workspace writes as YAML are not among them.

use config_core::{ConfigMapMount, PluginCache, WorkspaceOverrides, workspace};
use k8s_openapi::api::core::v1::{
    ConfigMapVolumeSource, EmptyDirVolumeSource, ImageVolumeSource, PersistentVolumeClaimVolumeSource,
    Volume, VolumeMount,
};

use crate::names::{MountPath, folders};

/// Temporary files, where the root file system is read-only.
pub(crate) const TEMP: &str = "tmp";
/// The entries of a config map.
pub(crate) const CONFIG_MAP: &str = "config-volume";
/// Terraform's plugin cache on a persistent volume claim.
pub(crate) const PLUGIN_CACHE: &str = "tf-plugin-volume";

/// A provider mirror in an image.
const PROVIDER_MIRROR: &str = "provider-mirror";

/// Names of volumes that a workspace cannot use for its own; users know them from existing Jobs.
pub(crate) const NAMES: [&str; 4] = [TEMP, CONFIG_MAP, PLUGIN_CACHE, PROVIDER_MIRROR];

/// Where programs write temporary files.
const TEMP_PATH: &str = "/tmp";
/// One of the folders in which terraform looks for provider mirrors without being configured.
const PROVIDER_MIRROR_PATH: &str = "/usr/local/share/terraform/plugins";

/// A volume that a setting adds to the pod.
#[derive(Debug, Clone)]
pub(crate) struct SettingVolume {
    pub(crate) volume: Volume,
    pub(crate) mount_path: MountPath,
    pub(crate) is_read_only: bool,
    /// The settings that determine the mount path; the first one that is set, else the last one.
    pub(crate) path_set_by: &'static [&'static str],
}

/// Returns the volumes of the settings, a folder before what is mounted inside it.
pub(crate) fn of_settings(overrides: &WorkspaceOverrides) -> Vec<SettingVolume> {
    let planned =
        [temp(overrides), config_map(overrides), plugin_cache(overrides), provider_mirror(overrides)];
    let mut volumes: Vec<SettingVolume> = planned.into_iter().flatten().collect();
    volumes.sort_by(|left, right| folders(left.mount_path.as_str()).cmp(folders(right.mount_path.as_str())));
    volumes
}

fn temp(overrides: &WorkspaceOverrides) -> Option<SettingVolume> {
    let security = overrides.get(&workspace::SECURITY_CONTEXT)?;
    (security.read_only_root_filesystem() == Some(true)).then(|| SettingVolume {
        volume: Volume { empty_dir: Some(EmptyDirVolumeSource::default()), ..named(TEMP) },
        mount_path: MountPath::new(TEMP_PATH).expect("an absolute path"),
        is_read_only: false,
        path_set_by: const { &[workspace::SECURITY_CONTEXT.name()] },
    })
}

fn config_map(overrides: &WorkspaceOverrides) -> Option<SettingVolume> {
    let ConfigMapMount { name, mount_path } = overrides.config_map()?;
    let source = ConfigMapVolumeSource { name: name.to_string(), ..ConfigMapVolumeSource::default() };
    Some(SettingVolume {
        volume: Volume { config_map: Some(source), ..named(CONFIG_MAP) },
        mount_path,
        is_read_only: true,
        path_set_by: const { &[workspace::CONFIG_MAP_MOUNT_PATH.name(), workspace::CONFIG_MAP_NAME.name()] },
    })
}

fn plugin_cache(overrides: &WorkspaceOverrides) -> Option<SettingVolume> {
    let PluginCache { claim, mount_path } = overrides.plugin_cache()?;
    let source = PersistentVolumeClaimVolumeSource { claim_name: claim.to_string(), read_only: None };
    Some(SettingVolume {
        volume: Volume { persistent_volume_claim: Some(source), ..named(PLUGIN_CACHE) },
        mount_path,
        is_read_only: false,
        path_set_by: const { &[workspace::TF_PLUGIN_CACHE_DIR.name()] },
    })
}

fn provider_mirror(overrides: &WorkspaceOverrides) -> Option<SettingVolume> {
    let image = overrides.get(&workspace::PROVIDER_MIRROR_IMAGE)?;
    let source = ImageVolumeSource { reference: Some(image.to_string()), pull_policy: None };
    Some(SettingVolume {
        volume: Volume { image: Some(source), ..named(PROVIDER_MIRROR) },
        mount_path: MountPath::new(PROVIDER_MIRROR_PATH).expect("an absolute path"),
        is_read_only: true,
        path_set_by: const { &[workspace::PROVIDER_MIRROR_IMAGE.name()] },
    })
}

fn named(name: &str) -> Volume {
    Volume { name: name.to_owned(), ..Volume::default() }
}

impl SettingVolume {
    /// Returns the mount in the executor's container.
    pub(crate) fn mount(&self) -> VolumeMount {
        VolumeMount {
            mount_path: self.mount_path.to_string(),
            name: self.volume.name.clone(),
            // Config maps and images are always mounted so; readers of the Job see it here.
            read_only: self.is_read_only.then_some(true),
            ..VolumeMount::default()
        }
    }
}
