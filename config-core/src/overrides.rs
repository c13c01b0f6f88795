//! What a workspace changes about its own pods: its `EPHEMERAL_*` variables as one typed struct.
//!
//! Whether an operator's policy permits a change is not decided here. The grammars are those of [`crate::value`]; this
//! module adds the names of the variables and the rules of Kubernetes.

use crate::{
    Problem, Problems, StepKind, Variables, keys,
    names::{
        ClaimName, ConfigMapName, Image, MountPath, PriorityClassName, RuntimeClassName, SecretName,
        ServiceAccountName,
    },
    value::{
        Annotations, ContainerSecurity, EnvVars, HostAliases, ImagePullPolicy, Labels, NameList, PodSecurity,
        Tolerations,
    },
};

mod origins;
mod reader;
mod resources;
mod time_limits;
mod volumes;
mod yaml;

pub use origins::Origins;
use reader::Reader;
pub(crate) use reader::{is_workspace_variable, unknown_name, without_kind};
pub use resources::{ResourceName, Resources};
pub use time_limits::TimeLimits;
pub use yaml::YamlOverrides;

/// What a workspace changes about its own pods; `Default` changes nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct WorkspaceOverrides {
    /// Labels that the node must have. They replace the node selector of the settings; an empty list means any node.
    pub node_selector: Option<Labels>,
    /// Container image of the executor. It replaces the image of the settings.
    pub image: Option<Image>,
    /// When the image is pulled.
    pub image_pull_policy: Option<ImagePullPolicy>,
    /// Secrets with the credentials of image registries.
    pub image_pull_secrets: Option<NameList<SecretName>>,
    /// Priority class of the pod.
    pub priority_class: Option<PriorityClassName>,
    /// Runtime class of the pod.
    pub runtime_class: Option<RuntimeClassName>,
    /// Names of hosts beside those that DNS knows.
    pub host_aliases: Option<HostAliases>,
    /// How long things may take.
    pub time_limits: TimeLimits,
    /// Service account of the pod.
    pub service_account: Option<ServiceAccountName>,
    /// Annotations of the Kubernetes Job.
    pub annotations: Option<Annotations>,
    /// Annotations of the pod.
    pub pod_annotations: Option<Annotations>,
    /// Labels of the Kubernetes Job and of its pod, beside those that every one has.
    pub labels: Option<Labels>,
    /// Taints that the pod tolerates.
    pub tolerations: Option<Tolerations>,
    /// Config map that is mounted into the executor.
    pub config_map: Option<ConfigMapMount>,
    /// Claim that keeps the plugins of terraform from one step to the next.
    pub plugin_cache: Option<PluginCache>,
    /// What the container asks of its node, and what it may use.
    pub resources: Resources,
    /// As whom the pod runs.
    pub pod_security: PodSecurity,
    /// What the container may do.
    pub container_security: ContainerSecurity,
    /// Config maps whose entries become environment variables of the container; entries of the platform's Secrets win.
    pub env_from_config_maps: Option<NameList<ConfigMapName>>,
    /// Environment variables of the container, handed over as they are: nothing in them is expanded.
    pub env_vars: EnvVars,
    /// Parts of the pod in the words of Kubernetes.
    pub yaml: YamlOverrides,
    /// Which variable decided what.
    pub origins: Origins,
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
    /// Reads the overrides of steps of a kind from variables of category `ENV`; `None` is for steps that neither plan nor
    /// apply, such as scripts.
    ///
    /// Variables whose name does not begin with `EPHEMERAL_` are ignored, but for `TF_PLUGIN_CACHE_DIR` and
    /// `PVC_CLAIM_NAME`, which together mount a plugin cache.
    ///
    /// ```
    /// use config_core::{Variables, WorkspaceOverrides};
    ///
    /// let variables: Variables =
    ///     [("EPHEMERAL_CONFIG_TOLERATIONS", "gpu:Exsts"), ("EPHEMERAL_CONFIG_ANOTATION", "a=b")]
    ///         .into_iter()
    ///         .collect();
    /// let problems = WorkspaceOverrides::parse(&variables, None).expect_err("both are wrong");
    /// assert_eq!(
    ///     problems.to_string(),
    ///     "workspace variable EPHEMERAL_CONFIG_ANOTATION: expected the name of a known setting; did you \
    ///      mean \"EPHEMERAL_CONFIG_ANNOTATIONS\"?\n\
    ///      workspace variable EPHEMERAL_CONFIG_TOLERATIONS: found \"gpu:Exsts\", expected the operator Exists or \
    ///      Equal, not \"Exsts\"; did you mean \"Exists\"?"
    /// );
    /// ```
    ///
    /// # Errors
    /// Every problem, sorted by name: unknown names, malformed entries, values that
    /// break a rule of Kubernetes, a mount path without a config map.
    pub fn parse(variables: &Variables, kind: Option<StepKind>) -> Result<Self, Problems> {
        let (overrides, problems) = Self::read(variables, kind);
        Problems::none_or(problems, overrides)
    }

    /// Reads as [`parse`](Self::parse) does, but leaves out what is faulty and returns the problems beside it, so that they
    /// can be reported together with those of later stages.
    ///
    /// Variables for steps of another kind are checked too: a fault in what only an apply uses is found before the plan.
    #[must_use]
    pub fn read(variables: &Variables, kind: Option<StepKind>) -> (Self, Vec<Problem>) {
        let mut reader = Reader::new(variables, kind);
        reader.refuse_unknown_names();
        let overrides = Self::from_reader(&mut reader);
        let mut problems = reader.into_problems();
        for other in StepKind::ALL {
            if Some(other) != kind && reader::has_values_for(variables, other) {
                let mut reader = Reader::new(variables, Some(other));
                Self::from_reader(&mut reader);
                problems.extend(reader.into_problems());
            }
        }
        (overrides, problems)
    }

    fn from_reader(reader: &mut Reader<'_>) -> Self {
        Self {
            node_selector: reader.list(keys::CONFIG_NODE_SELECTOR_TAGS),
            image: reader.name(keys::CONFIG_IMAGE, "remove it to use the image of the platform"),
            image_pull_policy: reader.entry(keys::CONFIG_IMAGE_PULL_POLICY),
            image_pull_secrets: reader.list(keys::CONFIG_IMAGE_PULL_SECRETS),
            priority_class: reader
                .name(keys::CONFIG_PRIORITY_CLASS, "remove it to use the cluster's default class"),
            runtime_class: reader
                .name(keys::CONFIG_RUNTIME_CLASS, "remove it to use the cluster's default runtime"),
            host_aliases: reader.list(keys::CONFIG_HOST_ALIASES),
            time_limits: reader.time_limits(),
            service_account: reader
                .name(keys::CONFIG_SERVICE_ACCOUNT, "remove it to use no account of its own"),
            annotations: reader.list(keys::CONFIG_ANNOTATIONS),
            pod_annotations: reader.list(keys::CONFIG_POD_ANNOTATIONS),
            labels: reader.list(keys::CONFIG_LABELS),
            tolerations: reader.list(keys::CONFIG_TOLERATIONS),
            config_map: reader.config_map(),
            plugin_cache: reader.plugin_cache(),
            resources: reader.resources(),
            pod_security: reader.list(keys::CONFIG_POD_SECURITY_CONTEXT).unwrap_or_default(),
            container_security: reader.list(keys::CONFIG_SECURITY_CONTEXT).unwrap_or_default(),
            env_from_config_maps: reader.list(keys::CONFIG_ENVFROM_CONFIG_MAP),
            env_vars: reader.list(keys::JOB_ENV_VARS).unwrap_or_default(),
            yaml: reader.yaml_overrides(),
            origins: reader.origins(),
        }
    }
}

#[cfg(test)]
mod tests;
