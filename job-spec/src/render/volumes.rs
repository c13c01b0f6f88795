//! Volumes and their mounts.

use k8s_openapi::api::core::v1::{Volume, VolumeMount};

use crate::{names::folders, volumes::SettingVolume};

pub(super) fn volumes(of_settings: &[SettingVolume], of_workspace: &[Volume]) -> Option<Vec<Volume>> {
    let of_settings = of_settings.iter().map(|planned| planned.volume.clone());
    let all: Vec<Volume> = of_settings.chain(of_workspace.iter().cloned()).collect();
    (!all.is_empty()).then_some(all)
}

/// A folder comes before what is mounted inside it.
pub(super) fn mounts(
    of_settings: &[SettingVolume],
    of_workspace: &[VolumeMount],
) -> Option<Vec<VolumeMount>> {
    let of_settings = of_settings.iter().map(SettingVolume::mount);
    let mut all: Vec<VolumeMount> = of_settings.chain(of_workspace.iter().cloned()).collect();
    all.sort_by(|left, right| folders(&left.mount_path).cmp(folders(&right.mount_path)));
    (!all.is_empty()).then_some(all)
}
