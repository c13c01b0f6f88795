//! The variables of a workspace whose value is YAML, described.
//!
//! Data only, for the reference page; what a value means is decided where it is read.

use super::{
    CONFIG_AFFINITY, CONFIG_INIT_CONTAINERS, CONFIG_SIDECARS, CONFIG_TOPOLOGY_SPREAD, CONFIG_VOLUME_MOUNTS,
    CONFIG_VOLUMES, Place, Setting,
};

pub(super) const SETTINGS: &[Setting] = &[
    Setting {
        name: CONFIG_AFFINITY,
        place: Place::Workspace,
        also: &[],
        grammar: "YAML or JSON: an object `v1.Affinity` of Kubernetes",
        default: None,
        example: "{nodeAffinity: {requiredDuringSchedulingIgnoredDuringExecution: {nodeSelectorTerms: [{matchExpressions: [{key: disk, operator: In, values: [ssd]}]}]}}}",
        since: "0.1.0",
        permission: false,
        summary: "The nodes on which the pod must or should run, and the pods beside which it must, should or should not. A field that Kubernetes does not know is refused.",
    },
    Setting {
        name: CONFIG_TOPOLOGY_SPREAD,
        place: Place::Workspace,
        also: &[],
        grammar: "YAML or JSON: a list of `v1.TopologySpreadConstraint` of Kubernetes",
        default: None,
        example: "[{maxSkew: 1, topologyKey: topology.kubernetes.io/zone, whenUnsatisfiable: ScheduleAnyway}]",
        since: "0.1.0",
        permission: false,
        summary: "How evenly pods are spread over nodes, zones or the like. Where `labelSelector` is absent, the pods of all executors are counted; Kubernetes itself would count none, and the constraint would do nothing.",
    },
    Setting {
        name: CONFIG_INIT_CONTAINERS,
        place: Place::Workspace,
        also: &[],
        grammar: "YAML or JSON: a list of `v1.Container` of Kubernetes",
        default: None,
        example: "[{name: fetch, image: registry.example.com/fetch:1, volumeMounts: [{name: shared, mountPath: /shared}]}]",
        since: "0.1.0",
        permission: true,
        summary: "Containers that run to their end before the executor starts, one after the other; they start after those of `EPHEMERAL_CONFIG_SIDECARS`. One with `restartPolicy: Always` is a sidecar that starts at its place in this list. A container without a `securityContext` gets one that Pod Security *restricted* accepts. The Secret of an attempt cannot be named.",
    },
    Setting {
        name: CONFIG_SIDECARS,
        place: Place::Workspace,
        also: &[],
        grammar: "YAML or JSON: a list of `v1.Container` of Kubernetes",
        default: None,
        example: "[{name: proxy, image: registry.example.com/proxy:1}]",
        since: "0.1.0",
        permission: true,
        summary: "Containers that start before the executor, before all init containers, and are stopped after its end: init containers with `restartPolicy: Always`, which do not keep the Kubernetes Job from ending. Security context and Secrets as with init containers.",
    },
    Setting {
        name: CONFIG_VOLUMES,
        place: Place::Workspace,
        also: &[],
        grammar: "YAML or JSON: a list of `v1.Volume` of Kubernetes",
        default: None,
        example: "[{name: shared, emptyDir: {sizeLimit: 1Gi}}]",
        since: "0.1.0",
        permission: true,
        summary: "More volumes of the pod, with names of their own. They are mounted by `EPHEMERAL_CONFIG_VOLUME_MOUNTS` into the executor, and by init containers and sidecars into these. The Secret of an attempt cannot be named.",
    },
    Setting {
        name: CONFIG_VOLUME_MOUNTS,
        place: Place::Workspace,
        also: &[],
        grammar: "YAML or JSON: a list of `v1.VolumeMount` of Kubernetes",
        default: None,
        example: "[{name: shared, mountPath: /shared, readOnly: true}]",
        since: "0.1.0",
        permission: false,
        summary: "What else is mounted into the executor: volumes of `EPHEMERAL_CONFIG_VOLUMES`, or those that other settings make (`config-volume`, `tf-plugin-volume`, `tmp`). No two mounts have one path, and none lies inside one that is read-only.",
    },
];
