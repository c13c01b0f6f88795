//! Volumes and their mounts.

use k8s_openapi::api::core::v1::{
    ConfigMapVolumeSource, EmptyDirVolumeSource, PersistentVolumeClaimVolumeSource, Volume, VolumeMount,
};

use crate::plan::{PlannedVolume, VolumeKind};

pub(super) fn volumes(planned: &[PlannedVolume]) -> Option<Vec<Volume>> {
    (!planned.is_empty()).then(|| planned.iter().map(|volume| of_kind(&volume.kind)).collect())
}

pub(super) fn mounts(planned: &[PlannedVolume]) -> Option<Vec<VolumeMount>> {
    (!planned.is_empty()).then(|| planned.iter().map(mount).collect())
}

/// The names are those that people know from existing Jobs.
const fn name(kind: &VolumeKind) -> &'static str {
    match kind {
        VolumeKind::Temp => "tmp",
        VolumeKind::ConfigMap(_) => "config-volume",
        VolumeKind::PluginCache(_) => "tf-plugin-volume",
    }
}

fn of_kind(kind: &VolumeKind) -> Volume {
    let mut volume = Volume { name: name(kind).to_owned(), ..Volume::default() };
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
        name: name(kind).to_owned(),
        // Config maps are always mounted so; said here for those who read the Job.
        read_only: matches!(kind, VolumeKind::ConfigMap(_)).then_some(true),
        ..VolumeMount::default()
    }
}
