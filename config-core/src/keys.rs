//! Every name that settings, workspace variables and executor inputs go by.
//!
//! Each name stands here once; [`settings`] describes them for the reference page.

mod executor;
mod platform;
mod workspace;
mod yaml;

/// Environment variable from which a JVM reads options; its `-D` options are settings here.
pub const JAVA_TOOL_OPTIONS: &str = "JAVA_TOOL_OPTIONS";
/// The same for `HotSpot` alone; its options are stronger.
pub const JAVA_OPTIONS: &str = "_JAVA_OPTIONS";
/// Environment variable with properties as JSON, stronger than all options.
pub const SPRING_APPLICATION_JSON: &str = "SPRING_APPLICATION_JSON";

/// Namespace of the Kubernetes Jobs.
pub const EXECUTOR_EPHEMERAL_NAMESPACE: &str = "ExecutorEphemeralNamespace";
/// Container image of the executor.
pub const EXECUTOR_EPHEMERAL_IMAGE: &str = "ExecutorEphemeralImage";
/// Secrets whose entries become environment variables of the executor.
pub const EXECUTOR_EPHEMERAL_SECRET: &str = "ExecutorEphemeralSecret";

/// How executors are handed their payloads.
pub const EXECUTOR_EPHEMERAL_PAYLOAD_DELIVERY: &str = "ExecutorEphemeralPayloadDelivery";

/// Prefix of the properties since version 2.27 of the system that these names come from.
pub const PROPERTY_PREFIX: &str = "io.terrakube.executor.ephemeral.";
/// Older prefix of the same properties; the newer one wins where both name a setting.
pub const OLD_PROPERTY_PREFIX: &str = "org.terrakube.executor.ephemeral.";
/// Property under either prefix: namespace.
pub const PROPERTY_NAMESPACE: &str = "namespace";
/// Property under either prefix: image.
pub const PROPERTY_IMAGE: &str = "image";
/// Property under either prefix: secret.
pub const PROPERTY_SECRET: &str = "secret";
/// Property under either prefix: how payloads are delivered.
pub const PROPERTY_PAYLOAD_DELIVERY: &str = "payloadDelivery";
/// Property under either prefix: the node selector; a label key follows, after a dot or in brackets.
pub const PROPERTY_NODE_SELECTOR: &str = "nodeSelector";

/// Namespace where none is set.
pub const DEFAULT_NAMESPACE: &str = "terrakube";
/// Image where none is set.
pub const DEFAULT_IMAGE: &str = "azbuilder/executor:2.22.0";
/// Secret where none is set.
pub const DEFAULT_SECRET: &str = "terrakube-executor-secrets";

/// Way of delivery where none is set.
pub const DEFAULT_PAYLOAD_DELIVERY: &str = "env";

/// Prefix of all workspace variables that shape the Kubernetes Job.
pub const EPHEMERAL_PREFIX: &str = "EPHEMERAL_";
/// Workspace variable: labels that a node must have.
pub const CONFIG_NODE_SELECTOR_TAGS: &str = "EPHEMERAL_CONFIG_NODE_SELECTOR_TAGS";
/// Workspace variable: service account of the pod.
pub const CONFIG_SERVICE_ACCOUNT: &str = "EPHEMERAL_CONFIG_SERVICE_ACCOUNT";
/// Workspace variable: annotations of the Kubernetes Job.
pub const CONFIG_ANNOTATIONS: &str = "EPHEMERAL_CONFIG_ANNOTATIONS";
/// Workspace variable: tolerations of the pod.
pub const CONFIG_TOLERATIONS: &str = "EPHEMERAL_CONFIG_TOLERATIONS";
/// Workspace variable: config map to mount.
pub const CONFIG_MAP_NAME: &str = "EPHEMERAL_CONFIG_MAP_NAME";
/// Workspace variable: where the config map is mounted.
pub const CONFIG_MAP_MOUNT_PATH: &str = "EPHEMERAL_CONFIG_MAP_MOUNT_PATH";
/// Mount path where only a config map is named.
pub const DEFAULT_CONFIG_MAP_MOUNT_PATH: &str = "/data";

/// Workspace variable: as whom the pod runs.
pub const CONFIG_POD_SECURITY_CONTEXT: &str = "EPHEMERAL_CONFIG_POD_SECURITY_CONTEXT";
/// Workspace variable: what the container may do.
pub const CONFIG_SECURITY_CONTEXT: &str = "EPHEMERAL_CONFIG_SECURITY_CONTEXT";
/// Workspace variable: processor time that the node must have free.
pub const CPU_REQUEST: &str = "EPHEMERAL_CPU_REQUEST";
/// Workspace variable: processor time that the executor may use.
pub const CPU_LIMIT: &str = "EPHEMERAL_CPU_LIMIT";
/// Workspace variable: memory that the node must have free.
pub const MEMORY_REQUEST: &str = "EPHEMERAL_MEMORY_REQUEST";
/// Workspace variable: memory that the executor may use.
pub const MEMORY_LIMIT: &str = "EPHEMERAL_MEMORY_LIMIT";
/// Workspace variable: disk space that the node must have free.
pub const STORAGE_REQUEST: &str = "EPHEMERAL_STORAGE_REQUEST";
/// Workspace variable: disk space that the executor may use.
pub const STORAGE_LIMIT: &str = "EPHEMERAL_STORAGE_LIMIT";

/// Workspace variable: labels of the Kubernetes Job and of its pod.
pub const CONFIG_LABELS: &str = "EPHEMERAL_CONFIG_LABELS";
/// Workspace variable: annotations of the pod.
pub const CONFIG_POD_ANNOTATIONS: &str = "EPHEMERAL_CONFIG_POD_ANNOTATIONS";
/// Workspace variable: config maps whose entries become environment variables.
pub const CONFIG_ENVFROM_CONFIG_MAP: &str = "EPHEMERAL_CONFIG_ENVFROM_CONFIG_MAP";
/// Workspace variable: container image of the executor.
pub const CONFIG_IMAGE: &str = "EPHEMERAL_CONFIG_IMAGE";
/// Workspace variable: when the image is pulled.
pub const CONFIG_IMAGE_PULL_POLICY: &str = "EPHEMERAL_CONFIG_IMAGE_PULL_POLICY";
/// Workspace variable: Secrets with the credentials of image registries.
pub const CONFIG_IMAGE_PULL_SECRETS: &str = "EPHEMERAL_CONFIG_IMAGE_PULL_SECRETS";
/// Workspace variable: priority class of the pod.
pub const CONFIG_PRIORITY_CLASS: &str = "EPHEMERAL_CONFIG_PRIORITY_CLASS";
/// Workspace variable: runtime class of the pod.
pub const CONFIG_RUNTIME_CLASS: &str = "EPHEMERAL_CONFIG_RUNTIME_CLASS";

/// Workspace variable: names of hosts beside those that DNS knows.
pub const CONFIG_HOST_ALIASES: &str = "EPHEMERAL_CONFIG_HOST_ALIASES";
/// Workspace variable: from the start of the Kubernetes Job to the signal to stop.
pub const CONFIG_DEADLINE: &str = "EPHEMERAL_CONFIG_DEADLINE";
/// Workspace variable: from the signal to stop to the kill.
pub const CONFIG_GRACE_PERIOD: &str = "EPHEMERAL_CONFIG_GRACE_PERIOD";
/// Workspace variable: from the end to the removal of the Kubernetes Job.
pub const CONFIG_TTL: &str = "EPHEMERAL_CONFIG_TTL";

/// Workspace variable: environment variables of the container.
pub const JOB_ENV_VARS: &str = "EPHEMERAL_JOB_ENV_VARS";

/// Workspace variable: nodes and pods near which, or far from which, the pod runs.
pub const CONFIG_AFFINITY: &str = "EPHEMERAL_CONFIG_AFFINITY";
/// Workspace variable: how evenly pods are spread over nodes or zones.
pub const CONFIG_TOPOLOGY_SPREAD: &str = "EPHEMERAL_CONFIG_TOPOLOGY_SPREAD";
/// Workspace variable: containers that run to their end before the executor starts.
pub const CONFIG_INIT_CONTAINERS: &str = "EPHEMERAL_CONFIG_INIT_CONTAINERS";
/// Workspace variable: containers that run beside the executor.
pub const CONFIG_SIDECARS: &str = "EPHEMERAL_CONFIG_SIDECARS";
/// Workspace variable: more volumes of the pod.
pub const CONFIG_VOLUMES: &str = "EPHEMERAL_CONFIG_VOLUMES";
/// Workspace variable: what else is mounted into the executor.
pub const CONFIG_VOLUME_MOUNTS: &str = "EPHEMERAL_CONFIG_VOLUME_MOUNTS";
/// Workspace variable: fields of the pod that no other variable sets.
pub const CONFIG_POD_PATCH: &str = "EPHEMERAL_CONFIG_POD_PATCH";

/// Workspace variable: makes the steps of the workspace run in ephemeral executors, whatever its value.
pub const ENABLE_EPHEMERAL_EXECUTOR: &str = "TERRAKUBE_ENABLE_EPHEMERAL_EXECUTOR";
/// Workspace variable, terraform's own: the folder in which it keeps plugins.
pub const TF_PLUGIN_CACHE_DIR: &str = "TF_PLUGIN_CACHE_DIR";
/// Workspace variable: persistent volume claim to mount at the folder of [`TF_PLUGIN_CACHE_DIR`].
pub const PVC_CLAIM_NAME: &str = "PVC_CLAIM_NAME";
/// Name that such a claim has by the documentation of existing systems; it is not mounted unless it is written.
pub const USUAL_PVC_CLAIM_NAME: &str = "terrakube-plugin-pvc";

/// Executor input: `true` makes the program run one attempt and end.
pub const EPHEMERAL_FLAG_BATCH: &str = "EphemeralFlagBatch";
/// Executor input: the payload, base64 of JSON.
pub const EPHEMERAL_JOB_DATA: &str = "EphemeralJobData";

/// Executor input: address of its attempt at the api-server, without a slash at the end.
pub const EPHEMERAL_ATTEMPT_URL: &str = "EphemeralAttemptUrl";
/// Executor input: the attempt's token.
pub const EPHEMERAL_ATTEMPT_TOKEN: &str = "EphemeralAttemptToken";

/// Workspace variables that [`crate::WorkspaceOverrides`] understands.
pub const WORKSPACE_VARIABLES: &[&str] = &[
    CONFIG_NODE_SELECTOR_TAGS,
    CONFIG_SERVICE_ACCOUNT,
    CONFIG_ANNOTATIONS,
    CONFIG_TOLERATIONS,
    CONFIG_MAP_NAME,
    CONFIG_MAP_MOUNT_PATH,
    CONFIG_POD_SECURITY_CONTEXT,
    CONFIG_SECURITY_CONTEXT,
    CPU_REQUEST,
    CPU_LIMIT,
    MEMORY_REQUEST,
    MEMORY_LIMIT,
    STORAGE_REQUEST,
    STORAGE_LIMIT,
    CONFIG_LABELS,
    CONFIG_POD_ANNOTATIONS,
    CONFIG_ENVFROM_CONFIG_MAP,
    JOB_ENV_VARS,
    CONFIG_IMAGE,
    CONFIG_IMAGE_PULL_POLICY,
    CONFIG_IMAGE_PULL_SECRETS,
    CONFIG_PRIORITY_CLASS,
    CONFIG_RUNTIME_CLASS,
    CONFIG_AFFINITY,
    CONFIG_TOPOLOGY_SPREAD,
    CONFIG_HOST_ALIASES,
    CONFIG_DEADLINE,
    CONFIG_GRACE_PERIOD,
    CONFIG_TTL,
    CONFIG_INIT_CONTAINERS,
    CONFIG_SIDECARS,
    CONFIG_VOLUMES,
    CONFIG_VOLUME_MOUNTS,
    CONFIG_POD_PATCH,
];

/// Who sets a setting, and where.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// The platform operator, in the environment of the api-server or in its `JAVA_TOOL_OPTIONS`.
    Platform,
    /// The workspace owner, as a workspace variable of category `ENV`.
    Workspace,
    /// The api-server, in the environment of an executor.
    Executor,
}

/// The description of one setting, as the reference page prints it.
#[derive(Debug, Clone, Copy)]
pub struct Setting {
    /// Its name.
    pub name: &'static str,
    /// Who sets it.
    pub place: Place,
    /// Other spellings that mean the same.
    pub also: &'static [&'static str],
    /// The form of its value.
    pub grammar: &'static str,
    /// The value where it is not set.
    pub default: Option<&'static str>,
    /// A value that works.
    pub example: &'static str,
    /// The first version that has it.
    pub since: &'static str,
    /// Whether a workspace may set it only where the operator's policy allows it, because it reaches beyond the workspace's
    /// own pods or decides what runs in them.
    pub permission: bool,
    /// What it does, in a sentence.
    pub summary: &'static str,
}

/// Iterates over every setting, in the order of the reference page.
pub fn settings() -> impl Iterator<Item = &'static Setting> {
    [platform::SETTINGS, workspace::SETTINGS, workspace::POD, yaml::SETTINGS, executor::SETTINGS]
        .into_iter()
        .flatten()
}

/// Finds the description of a variable of a workspace.
#[must_use]
pub fn workspace_setting(name: &str) -> Option<&'static Setting> {
    settings().find(|setting| setting.place == Place::Workspace && setting.name == name)
}

/// Tells whether a workspace may set a variable only where the operator's policy allows it.
#[must_use]
pub fn needs_permission(name: &str) -> bool {
    workspace_setting(name).is_some_and(|setting| setting.permission)
}

/// Tells whether the value of a variable is YAML, which patterns of a policy say nothing about.
pub(crate) fn is_yaml(name: &str) -> bool {
    workspace_setting(name).is_some_and(|setting| setting.grammar.starts_with("YAML"))
}
