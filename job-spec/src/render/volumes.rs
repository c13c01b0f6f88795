//! The volume of the workspace's config map and its mount.

use k8s_openapi::api::core::v1::{ConfigMapVolumeSource, Volume, VolumeMount};

use crate::plan::ConfigMapVolume;

/// Name of the volume of the workspace's config map.
const CONFIG_VOLUME: &str = "config-volume";

pub(super) fn volume(config_map: &ConfigMapVolume) -> Volume {
    let ConfigMapVolume { name, mount_path: _ } = config_map;
    Volume {
        name: CONFIG_VOLUME.to_owned(),
        config_map: Some(ConfigMapVolumeSource {
            name: name.as_str().to_owned(),
            ..ConfigMapVolumeSource::default()
        }),
        ..Volume::default()
    }
}

pub(super) fn mount(config_map: &ConfigMapVolume) -> VolumeMount {
    let ConfigMapVolume { name: _, mount_path } = config_map;
    VolumeMount {
        mount_path: mount_path.as_str().to_owned(),
        name: CONFIG_VOLUME.to_owned(),
        // Config maps are always mounted so; said here for those who read the Job.
        read_only: Some(true),
        ..VolumeMount::default()
    }
}
