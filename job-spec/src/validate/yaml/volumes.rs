//! Volumes that a workspace adds, and what of them is mounted into the executor.

use std::collections::BTreeSet;

use config_core::{kubernetes::Rule, value::Yaml, workspace};
use k8s_openapi::api::core::v1::{Volume, VolumeMount};

use super::{Checks, FieldErrors, resources, secrets, shown, strict};
use crate::{
    validate::mounts::Mounted,
    volumes::{NAMES, SettingVolume},
};

impl Checks<'_> {
    pub(super) fn extra_volumes(&mut self, yaml: &Yaml) -> Vec<Volume> {
        self.of_variable(workspace::VOLUMES.name(), |errors| {
            secrets::check(errors, "", yaml.value());
            let list: Vec<(usize, Volume)> = strict::list(errors, yaml.value());
            let mut names = BTreeSet::new();
            for (index, volume) in &list {
                check_volume(errors, &format!("[{index}]"), volume);
                if NAMES.contains(&volume.name.as_str()) {
                    errors.push(
                        &format!("[{index}].name"),
                        &volume.name,
                        "a name that no other setting uses",
                    );
                }
                if !names.insert(volume.name.as_str()) {
                    errors.push(
                        &format!("[{index}].name"),
                        shown(&volume.name),
                        "a name that stands once in the list",
                    );
                }
            }
            list.into_iter().map(|(_, volume)| volume).collect()
        })
    }

    pub(super) fn extra_mounts(
        &mut self,
        yaml: &Yaml,
        volumes: &[Volume],
        planned: &[SettingVolume],
    ) -> Vec<VolumeMount> {
        let names = volume_names(volumes, planned);
        let mounts: Vec<VolumeMount> = self.of_variable(workspace::VOLUME_MOUNTS.name(), |errors| {
            let list: Vec<(usize, VolumeMount)> = strict::list(errors, yaml.value());
            for (index, mount) in &list {
                check_mount(errors, &format!("[{index}]"), mount, &names);
            }
            list.into_iter().map(|(_, mount)| mount).collect()
        });
        let is_read_only = |mount: &VolumeMount| {
            let mut of_workspace = volumes.iter().filter(|volume| volume.name == mount.name);
            mount.read_only == Some(true)
                || planned.iter().any(|volume| volume.is_read_only && volume.volume.name == mount.name)
                || of_workspace.any(|volume| {
                    let Volume { config_map, secret, projected, downward_api, image, .. } = volume;
                    config_map.is_some()
                        || secret.is_some()
                        || projected.is_some()
                        || downward_api.is_some()
                        || image.is_some()
                })
        };
        let mut before: Vec<Mounted<'_>> = planned.iter().map(Mounted::from).collect();
        for mount in &mounts {
            let mounted = Mounted {
                path: &mount.mount_path,
                set_by: workspace::VOLUME_MOUNTS.name(),
                is_read_only: is_read_only(mount),
            };
            for other in &before {
                self.pair(mounted, *other);
            }
            before.push(mounted);
        }
        mounts
    }
}

/// The names of the volumes that the pod has.
pub(super) fn volume_names(volumes: &[Volume], planned: &[SettingVolume]) -> BTreeSet<String> {
    let ours = planned.iter().map(|volume| volume.volume.name.clone());
    volumes.iter().map(|volume| volume.name.clone()).chain(ours).collect()
}

fn check_volume(errors: &mut FieldErrors, path: &str, volume: &Volume) {
    errors.check(&format!("{path}.name"), &volume.name, Rule::DnsLabel);
    if let Some(limit) = volume.empty_dir.as_ref().and_then(|folder| folder.size_limit.as_ref()) {
        resources::amount(errors, &format!("{path}.emptyDir.sizeLimit"), limit);
    }
    // Every field but the name says where the content comes from.
    let sources: Vec<String> = match serde_json::to_value(volume) {
        Ok(serde_json::Value::Object(fields)) => {
            fields.into_iter().map(|(key, _)| key).filter(|key| key != "name").collect()
        }
        _ => Vec::new(),
    };
    if sources.len() > 1 {
        errors.push(path, &sources.join(" and "), "one of them: a volume is of one kind");
    }
}

/// Checks a mount of any container.
pub(super) fn check_mount(
    errors: &mut FieldErrors,
    path: &str,
    mount: &VolumeMount,
    volumes: &BTreeSet<String>,
) {
    let VolumeMount { mount_path, mount_propagation, name, sub_path, sub_path_expr, .. } = mount;
    if !volumes.contains(name) {
        let known: Vec<&str> = volumes.iter().map(String::as_str).collect();
        let expected = if known.is_empty() {
            format!("a volume of {}; the pod has none", workspace::VOLUMES.name())
        } else {
            format!("a volume of the pod, which are {}", known.join(", "))
        };
        errors.push(&format!("{path}.name"), shown(name), expected);
    }
    errors.check(&format!("{path}.mountPath"), mount_path, Rule::MountPath);
    if let Some(propagation) = mount_propagation {
        let known = ["None", "HostToContainer", "Bidirectional"];
        errors.check_one_of(&format!("{path}.mountPropagation"), propagation, &known);
    }
    for (field, sub_path) in [("subPath", sub_path), ("subPathExpr", sub_path_expr)] {
        if let Some(sub_path) = sub_path
            && (sub_path.starts_with('/') || sub_path.split('/').any(|part| part == ".."))
        {
            errors.push(&format!("{path}.{field}"), shown(sub_path), "a relative path without `..`");
        }
    }
    if sub_path.is_some() && sub_path_expr.is_some() {
        errors.push(path, "subPath and subPathExpr", "one of them");
    }
}
