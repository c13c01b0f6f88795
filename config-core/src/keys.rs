//! Every name that settings, workspace variables and executor inputs go by.
//!
//! Each name stands here once; [`SETTINGS`] describes them for the reference page. Names of newer family members that
//! are refused for now stand in [`NOT_YET_SUPPORTED`].

/// Environment variable from which a JVM reads options; its `-D` options are settings here.
pub const JAVA_TOOL_OPTIONS: &str = "JAVA_TOOL_OPTIONS";

/// Namespace of the Kubernetes Jobs.
pub const EXECUTOR_EPHEMERAL_NAMESPACE: &str = "ExecutorEphemeralNamespace";
/// Container image of the executor.
pub const EXECUTOR_EPHEMERAL_IMAGE: &str = "ExecutorEphemeralImage";
/// Secret whose entries become environment variables of the executor.
pub const EXECUTOR_EPHEMERAL_SECRET: &str = "ExecutorEphemeralSecret";

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
/// Property under either prefix: the node selector; a label key follows, after a dot or in brackets.
pub const PROPERTY_NODE_SELECTOR: &str = "nodeSelector";

/// Namespace where none is set.
pub const DEFAULT_NAMESPACE: &str = "terrakube";
/// Image where none is set.
pub const DEFAULT_IMAGE: &str = "azbuilder/executor:2.22.0";
/// Secret where none is set.
pub const DEFAULT_SECRET: &str = "terrakube-executor-secrets";

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

/// Executor input: `true` makes the program run one attempt and end.
pub const EPHEMERAL_FLAG_BATCH: &str = "EphemeralFlagBatch";
/// Executor input: the payload, base64 of JSON.
pub const EPHEMERAL_JOB_DATA: &str = "EphemeralJobData";

/// Workspace variables that [`crate::WorkspaceOverrides`] understands.
pub const WORKSPACE_VARIABLES: [&str; 6] = [
    CONFIG_NODE_SELECTOR_TAGS,
    CONFIG_SERVICE_ACCOUNT,
    CONFIG_ANNOTATIONS,
    CONFIG_TOLERATIONS,
    CONFIG_MAP_NAME,
    CONFIG_MAP_MOUNT_PATH,
];

/// Names that other versions of this family understand and this one does not yet. They are refused, so that nobody
/// believes them to have an effect.
pub const NOT_YET_SUPPORTED: [&str; 12] = [
    "EPHEMERAL_CONFIG_ENVFROM_CONFIG_MAP",
    "EPHEMERAL_CONFIG_LABELS",
    "EPHEMERAL_CONFIG_POD_ANNOTATIONS",
    "EPHEMERAL_CONFIG_POD_SECURITY_CONTEXT",
    "EPHEMERAL_CONFIG_SECURITY_CONTEXT",
    "EPHEMERAL_CPU_LIMIT",
    "EPHEMERAL_CPU_REQUEST",
    "EPHEMERAL_JOB_ENV_VARS",
    "EPHEMERAL_MEMORY_LIMIT",
    "EPHEMERAL_MEMORY_REQUEST",
    "EPHEMERAL_STORAGE_LIMIT",
    "EPHEMERAL_STORAGE_REQUEST",
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
    /// What it does, in a sentence.
    pub summary: &'static str,
}

/// Every setting, in the order of the reference page.
pub const SETTINGS: &[Setting] = &[
    Setting {
        name: EXECUTOR_EPHEMERAL_NAMESPACE,
        place: Place::Platform,
        also: &[
            "-DExecutorEphemeralNamespace",
            "-Dio.terrakube.executor.ephemeral.namespace",
            "-Dorg.terrakube.executor.ephemeral.namespace",
            "IO_TERRAKUBE_EXECUTOR_EPHEMERAL_NAMESPACE",
        ],
        grammar: "DNS label",
        default: Some(DEFAULT_NAMESPACE),
        example: "terraform-runs",
        since: "0.1.0",
        summary: "The namespace in which Kubernetes Jobs are created.",
    },
    Setting {
        name: EXECUTOR_EPHEMERAL_IMAGE,
        place: Place::Platform,
        also: &[
            "-DExecutorEphemeralImage",
            "-Dio.terrakube.executor.ephemeral.image",
            "-Dorg.terrakube.executor.ephemeral.image",
            "IO_TERRAKUBE_EXECUTOR_EPHEMERAL_IMAGE",
        ],
        grammar: "`[registry/]path[:tag][@digest]`",
        default: Some(DEFAULT_IMAGE),
        example: "azbuilder/executor:2.27.2",
        since: "0.1.0",
        summary: "The container image of the executor.",
    },
    Setting {
        name: EXECUTOR_EPHEMERAL_SECRET,
        place: Place::Platform,
        also: &[
            "-DExecutorEphemeralSecret",
            "-Dio.terrakube.executor.ephemeral.secret",
            "-Dorg.terrakube.executor.ephemeral.secret",
            "IO_TERRAKUBE_EXECUTOR_EPHEMERAL_SECRET",
        ],
        grammar: "DNS subdomain",
        default: Some(DEFAULT_SECRET),
        example: "executor-secrets",
        since: "0.1.0",
        summary: "The Secret whose entries become environment variables of the executor.",
    },
    Setting {
        name: "-Dio.terrakube.executor.ephemeral.nodeSelector.<label key>",
        place: Place::Platform,
        also: &[
            "-Dio.terrakube.executor.ephemeral.nodeSelector[<label key>]",
            "-Dorg.terrakube.executor.ephemeral.nodeSelector.<label key>",
            "-Dorg.terrakube.executor.ephemeral.nodeSelector[<label key>]",
            "IO_TERRAKUBE_EXECUTOR_EPHEMERAL_NODESELECTOR_<LABEL_KEY>",
        ],
        grammar: "label value; a label key with `/` needs brackets; the environment form gives a key in lower case",
        default: None,
        example: "-Dio.terrakube.executor.ephemeral.nodeSelector.diskType=ssd",
        since: "0.1.0",
        summary: "A label that the node of an executor must have, for workspaces that name no node selector themselves.",
    },
    Setting {
        name: CONFIG_NODE_SELECTOR_TAGS,
        place: Place::Workspace,
        also: &[],
        grammar: "`key=value;key=value`, a label key and a label value each",
        default: None,
        example: "diskType=ssd;nodeType=spot",
        since: "0.1.0",
        summary: "The labels that the node must have; they replace the platform's node selector.",
    },
    Setting {
        name: CONFIG_SERVICE_ACCOUNT,
        place: Place::Workspace,
        also: &[],
        grammar: "DNS subdomain",
        default: None,
        example: "terraform-runner",
        since: "0.1.0",
        summary: "The service account of the pod. Only a pod with a named account gets a token of the cluster.",
    },
    Setting {
        name: CONFIG_ANNOTATIONS,
        place: Place::Workspace,
        also: &[],
        grammar: "`key=value;key=value`, an annotation key and any text without `;` each",
        default: None,
        example: "team=platform;cost-center=a=17",
        since: "0.1.0",
        summary: "Annotations of the Kubernetes Job (not of its pod).",
    },
    Setting {
        name: CONFIG_TOLERATIONS,
        place: Place::Workspace,
        also: &[],
        grammar: "`key[=value][:operator[:effect]]` separated by `;`; operator `Exists` or `Equal`; effect `NoSchedule`, \
                  `PreferNoSchedule` or `NoExecute`; key `*` for every taint",
        default: None,
        example: "spot:Exists:NoSchedule;gpu=true",
        since: "0.1.0",
        summary: "Taints that the pod tolerates.",
    },
    Setting {
        name: CONFIG_MAP_NAME,
        place: Place::Workspace,
        also: &[],
        grammar: "DNS subdomain",
        default: None,
        example: "provider-mirror",
        since: "0.1.0",
        summary: "A config map of the same namespace that is mounted into the executor.",
    },
    Setting {
        name: CONFIG_MAP_MOUNT_PATH,
        place: Place::Workspace,
        also: &[],
        grammar: "absolute path without `:` and `..`",
        default: Some(DEFAULT_CONFIG_MAP_MOUNT_PATH),
        example: "/etc/terraform",
        since: "0.1.0",
        summary: "Where the config map is mounted.",
    },
    Setting {
        name: EPHEMERAL_FLAG_BATCH,
        place: Place::Executor,
        also: &["EPHEMERALFLAGBATCH"],
        grammar: "`true` (or `on`, `yes`, `1`)",
        default: Some("false"),
        example: "true",
        since: "0.1.0",
        summary: "Makes the executor run one attempt and end; it has no other mode.",
    },
    Setting {
        name: EPHEMERAL_JOB_DATA,
        place: Place::Executor,
        also: &["EPHEMERALJOBDATA"],
        grammar: "base64 of a JSON object",
        default: None,
        example: "eyJqb2JJZCI6IjQyIiwi…",
        since: "0.1.0",
        summary: "The payload: everything that the executor needs to run the step.",
    },
];
