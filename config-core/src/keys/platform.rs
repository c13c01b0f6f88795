//! The settings of the platform operator, described.
//!
//! Data only, for the reference page; what a value means is decided where it is read.

use super::{
    DEFAULT_IMAGE, DEFAULT_NAMESPACE, DEFAULT_PAYLOAD_DELIVERY, DEFAULT_SECRET, EXECUTOR_EPHEMERAL_IMAGE,
    EXECUTOR_EPHEMERAL_NAMESPACE, EXECUTOR_EPHEMERAL_PAYLOAD_DELIVERY, EXECUTOR_EPHEMERAL_SECRET, Place,
    Setting,
};

pub(super) const SETTINGS: &[Setting] = &[
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
        permission: false,
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
        permission: false,
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
        grammar: "DNS subdomains separated by `,`",
        default: Some(DEFAULT_SECRET),
        example: "executor-secrets,cloud-credentials",
        since: "0.1.0",
        permission: false,
        summary: "The Secrets whose entries become environment variables of the executor; of two entries with one name, that of the later Secret holds.",
    },
    Setting {
        name: EXECUTOR_EPHEMERAL_PAYLOAD_DELIVERY,
        place: Place::Platform,
        permission: false,
        also: &[
            "-DExecutorEphemeralPayloadDelivery",
            "-Dio.terrakube.executor.ephemeral.payloadDelivery",
            "-Dorg.terrakube.executor.ephemeral.payloadDelivery",
            "IO_TERRAKUBE_EXECUTOR_EPHEMERAL_PAYLOADDELIVERY",
        ],
        grammar: "`env`, `secret`, `claim`, or several of them separated by `,`, of which the first that can carry the payload is taken",
        default: Some(DEFAULT_PAYLOAD_DELIVERY),
        example: "env,claim",
        since: "0.1.0",
        summary: "How an executor is handed its payload: in the Kubernetes Job itself, in a Secret that belongs to it (the api-server needs the right to create Secrets), or over the network when it claims its attempt (only executors of this project can do that). An environment variable holds at most 131,054 bytes of it, from a Secret too.",
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
        permission: false,
        summary: "A label that the node of an executor must have, for workspaces that name no node selector themselves.",
    },
];
