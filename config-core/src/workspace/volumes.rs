//! Volumes of the pod and their mounts in the executor's container.

use crate::{
    Problem, WorkspaceOverrides,
    names::{ClaimName, ConfigMapName, Image, MountPath},
    setting::{Items, Setting, trimmed, value, variables},
    value::Yaml,
};

use super::containers::list;

const PATH: &str = "absolute path without `:` and `..`";

variables! {
    VOLUMES_GROUP;

    /// A config map of the same namespace that is mounted into the executor.
    CONFIG_MAP_NAME: ConfigMapName = trimmed, Setting {
        grammar: "DNS subdomain",
        example: "provider-mirror",
        if_empty: Some("remove it to mount no config map"),
        sets: &["spec.template.spec.volumes.config-volume.**"],
        ..Setting::workspace("EPHEMERAL_CONFIG_MAP_NAME")
    };

    /// Where the config map is mounted.
    CONFIG_MAP_MOUNT_PATH: MountPath = trimmed, Setting {
        grammar: PATH,
        default: Some("/data"),
        example: "/etc/terraform",
        ..Setting::workspace("EPHEMERAL_CONFIG_MAP_MOUNT_PATH")
    };

    /// The folder in which terraform keeps plugins. Together with `PVC_CLAIM_NAME` a claim is mounted there;
    /// alone it is only passed to terraform.
    TF_PLUGIN_CACHE_DIR: MountPath = value, Setting {
        grammar: PATH,
        example: "/plugin-cache",
        // Terraform gets the same text.
        items: Items::Verbatim,
        only_with: Some("PVC_CLAIM_NAME"),
        ..Setting::workspace("TF_PLUGIN_CACHE_DIR")
    };

    /// The persistent volume claim that is mounted at `TF_PLUGIN_CACHE_DIR`. There is no default: a pod whose
    /// claim does not exist never starts.
    PVC_CLAIM_NAME: ClaimName = trimmed, Setting {
        grammar: "DNS subdomain",
        example: "terrakube-plugin-pvc",
        if_empty: Some("remove it to mount no claim"),
        only_with: Some("TF_PLUGIN_CACHE_DIR"),
        sets: &["spec.template.spec.volumes.tf-plugin-volume.**"],
        ..Setting::workspace("PVC_CLAIM_NAME")
    };

    /// The image with a provider mirror, in the layout that `terraform providers mirror` writes. It is
    /// mounted read-only at `/usr/local/share/terraform/plugins`, one of the folders in which terraform looks
    /// for mirrors. Providers of the mirror are installed from there alone, other providers from their
    /// registries. A `provider_installation` block in a CLI configuration file replaces this search. Needs
    /// image volumes: Kubernetes 1.35, or 1.33 with the feature gate `ImageVolume`.
    PROVIDER_MIRROR_IMAGE: Image = trimmed, Setting {
        grammar: "`[registry/]path[:tag][@digest]`",
        example: "registry.example.com/team/provider-mirror:1",
        permission: true,
        if_empty: Some("remove it to mount no provider mirror"),
        sets: &["spec.template.spec.volumes.provider-mirror.**"],
        ..Setting::workspace("EPHEMERAL_CONFIG_PROVIDER_MIRROR_IMAGE")
    };

    /// More volumes of the pod, with names of their own. `EPHEMERAL_CONFIG_VOLUME_MOUNTS` mounts them into
    /// the executor, init containers and sidecars mount them by their own `volumeMounts`.
    /// The Secret of an attempt cannot be named.
    VOLUMES: Yaml = list, Setting {
        grammar: "YAML or JSON: a list of `v1.Volume` of Kubernetes",
        example: "[{name: shared, emptyDir: {sizeLimit: 1Gi}}]",
        permission: true,
        items: Items::Yaml,
        sets: &["spec.template.spec.volumes.**"],
        ..Setting::workspace("EPHEMERAL_CONFIG_VOLUMES")
    };

    /// More mounts of the executor: volumes of `EPHEMERAL_CONFIG_VOLUMES`, or those of other settings
    /// (`config-volume`, `tf-plugin-volume`, `tmp`). No two mounts have one path,
    /// and none is inside one that is read-only.
    VOLUME_MOUNTS: Yaml = list, Setting {
        grammar: "YAML or JSON: a list of `v1.VolumeMount` of Kubernetes",
        example: "[{name: shared, mountPath: /shared, readOnly: true}]",
        items: Items::Yaml,
        ..Setting::workspace("EPHEMERAL_CONFIG_VOLUME_MOUNTS")
    };
}

/// A config map and the folder in which its entries appear as files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigMapMount {
    /// Name of the config map, in the namespace of the Kubernetes Job.
    pub name: ConfigMapName,
    /// Absolute path inside the container.
    pub mount_path: MountPath,
}

/// A persistent volume claim and the folder at which it is mounted, which is terraform's plugin cache.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PluginCache {
    /// Name of the claim, in the namespace of the Kubernetes Job.
    pub claim: ClaimName,
    /// Absolute path inside the container.
    pub mount_path: MountPath,
}

impl WorkspaceOverrides {
    /// Returns the config map that is mounted into the executor.
    #[must_use]
    pub fn config_map(&self) -> Option<ConfigMapMount> {
        let name = self.get(&CONFIG_MAP_NAME)?.clone();
        Some(ConfigMapMount { name, mount_path: self.get_or_default(&CONFIG_MAP_MOUNT_PATH) })
    }

    /// Returns the claim that keeps terraform's plugins from one step to the next.
    ///
    /// Terraform's cache folder alone mounts nothing: whether the usual claim exists, only the cluster knows,
    /// and the documented role may not read claims.
    #[must_use]
    pub fn plugin_cache(&self) -> Option<PluginCache> {
        let (claim, mount_path) = (self.get(&PVC_CLAIM_NAME)?, self.get(&TF_PLUGIN_CACHE_DIR)?);
        Some(PluginCache { claim: claim.clone(), mount_path: mount_path.clone() })
    }
}

/// A mount path needs a config map.
pub(super) fn check(overrides: &mut WorkspaceOverrides, problems: &mut Vec<Problem>) {
    let Some(origin) = overrides.origins().get(CONFIG_MAP_MOUNT_PATH.name()) else { return };
    if overrides.origins().get(CONFIG_MAP_NAME.name()).is_none() {
        problems.push(
            Problem::new(origin.clone(), format!("{} beside it", CONFIG_MAP_NAME.name()))
                .with_hint("name the config map to mount, or remove the path"),
        );
    }
    if overrides.get(&CONFIG_MAP_MOUNT_PATH).is_none() {
        // At the default path it might be in the way of other mounts,
        // which would be reported as one more problem.
        overrides.remove(&CONFIG_MAP_NAME);
    }
}
