//! Volumes and their mounts.

use k8s_openapi::api::core::v1::{
    ConfigMapVolumeSource, EmptyDirVolumeSource, PersistentVolumeClaimVolumeSource, Volume, VolumeMount,
};

use crate::{
    names::folders,
    plan::{PlannedVolume, VolumeKind},
};

pub(super) fn volumes(planned: &[PlannedVolume], of_workspace: &[Volume]) -> Option<Vec<Volume>> {
    let planned = planned.iter().map(|volume| of_kind(&volume.kind));
    let all: Vec<Volume> = planned.chain(of_workspace.iter().cloned()).collect();
    (!all.is_empty()).then_some(all)
}

/// A folder comes before what is mounted inside it.
pub(super) fn mounts(planned: &[PlannedVolume], of_workspace: &[VolumeMount]) -> Option<Vec<VolumeMount>> {
    let mut all: Vec<VolumeMount> = planned.iter().map(mount).chain(of_workspace.iter().cloned()).collect();
    all.sort_by(|left, right| folders(&left.mount_path).cmp(folders(&right.mount_path)));
    (!all.is_empty()).then_some(all)
}

fn of_kind(kind: &VolumeKind) -> Volume {
    let mut volume = Volume { name: kind.name().to_owned(), ..Volume::default() };
    match kind {
        VolumeKind::Temp => volume.empty_dir = Some(EmptyDirVolumeSource::default()),
        VolumeKind::ConfigMap(config_map) => {
            volume.config_map = Some(ConfigMapVolumeSource {
                name: config_map.as_str().to_owned(),
                ..ConfigMapVolumeSource::default()
            });
        }
        VolumeKind::PluginCache(claim) => {
            volume.persistent_volume_claim = Some(PersistentVolumeClaimVolumeSource {
                claim_name: claim.as_str().to_owned(),
                read_only: None,
            });
        }
    }
    volume
}

fn mount(planned: &PlannedVolume) -> VolumeMount {
    let PlannedVolume { kind, mount_path } = planned;
    VolumeMount {
        mount_path: mount_path.as_str().to_owned(),
        name: kind.name().to_owned(),
        // Config maps are always mounted so; said here for those who read the Job.
        read_only: matches!(kind, VolumeKind::ConfigMap(_)).then_some(true),
        ..VolumeMount::default()
    }
}
