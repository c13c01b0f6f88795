//! The variables of a workspace whose value is YAML, described.
//!
//! Data only, for the reference page; what a value means is decided where it is read.

use super::{CONFIG_AFFINITY, CONFIG_TOPOLOGY_SPREAD, Place, Setting};

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
];
