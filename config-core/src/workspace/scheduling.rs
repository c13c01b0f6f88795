//! Variables that decide on which node the pod runs, and how its container is run there.

use crate::{
    kubernetes::Rule,
    names::{LabelValue, PriorityClassName, RuntimeClassName},
    setting::{Items, Setting, trimmed, value, variables},
    value::{EntryError, Labels, ListError, Tolerations, Yaml},
};

use super::containers::{list, object};

variables! {
    SCHEDULING_GROUP;

    /// The labels that the node must have; they replace the platform's node selector.
    /// An empty list means any node.
    NODE_SELECTOR_TAGS: Labels = value, Setting {
        grammar: "`key=value;key=value`, a label key and a label value each",
        example: "diskType=ssd;nodeType=spot",
        items: Items::SeparatedBy(';'),
        ..Setting::workspace("EPHEMERAL_CONFIG_NODE_SELECTOR_TAGS")
    };

    /// Taints that the pod tolerates.
    TOLERATIONS: Tolerations = value, Setting {
        grammar: "`key[=value][:operator[:effect[:seconds]]]` separated by `;`; operator `Exists` or \
                  `Equal`; effect `NoSchedule`, `PreferNoSchedule` or `NoExecute`; seconds with `NoExecute` \
                  only; key `*` for every taint",
        example: "spot:Exists:NoSchedule;gpu=true",
        items: Items::SeparatedBy(';'),
        sets: &["spec.template.spec.tolerations.**"],
        ..Setting::workspace("EPHEMERAL_CONFIG_TOLERATIONS")
    };

    /// The nodes on which the pod must or should run, and the pods beside which it must, should or should
    /// not. Unknown fields are refused.
    AFFINITY: Yaml = object, Setting {
        grammar: "YAML or JSON: an object `v1.Affinity` of Kubernetes",
        example: "{nodeAffinity: {requiredDuringSchedulingIgnoredDuringExecution: {nodeSelectorTerms: \
                  [{matchExpressions: [{key: disk, operator: In, values: [ssd]}]}]}}}",
        items: Items::Yaml,
        sets: &["spec.template.spec.affinity.**"],
        ..Setting::workspace("EPHEMERAL_CONFIG_AFFINITY")
    };

    /// How evenly pods are spread over nodes, zones or the like. Where `labelSelector` is absent, the pods of
    /// all executors are counted; Kubernetes itself would count none, and the constraint would do nothing.
    TOPOLOGY_SPREAD: Yaml = list, Setting {
        grammar: "YAML or JSON: a list of `v1.TopologySpreadConstraint` of Kubernetes",
        example: "[{maxSkew: 1, topologyKey: topology.kubernetes.io/zone, whenUnsatisfiable: \
            ScheduleAnyway}]",
        items: Items::Yaml,
        sets: &["spec.template.spec.topologySpreadConstraints.**"],
        ..Setting::workspace("EPHEMERAL_CONFIG_TOPOLOGY_SPREAD")
    };

    /// The priority class of the pod: which pods wait and which are evicted where nodes are full.
    PRIORITY_CLASS: PriorityClassName = trimmed, Setting {
        grammar: "DNS subdomain",
        example: "terraform-apply",
        permission: true,
        if_empty: Some("remove it to use the cluster's default class"),
        sets: &[
            "spec.template.spec.priorityClassName",
            "spec.template.spec.priority",
            "spec.template.spec.preemptionPolicy",
        ],
        ..Setting::workspace("EPHEMERAL_CONFIG_PRIORITY_CLASS")
    };

    /// The runtime class of the pod: which container runtime runs it.
    RUNTIME_CLASS: RuntimeClassName = trimmed, Setting {
        grammar: "DNS subdomain",
        example: "gvisor",
        permission: true,
        if_empty: Some("remove it to use the cluster's default runtime"),
        sets: &["spec.template.spec.runtimeClassName", "spec.template.spec.overhead.**"],
        ..Setting::workspace("EPHEMERAL_CONFIG_RUNTIME_CLASS")
    };

    /// The Kueue queue of the Kubernetes Job: a `LocalQueue` of its namespace. The Job has the label
    /// `kueue.x-k8s.io/queue-name` and is created suspended; its pod starts when Kueue admits the Job. The
    /// deadline counts from then on, because Kubernetes resets the start time of a Job that is resumed. In a
    /// cluster without Kueue the Job stays suspended.
    QUEUE_NAME: LabelValue = queue_name, Setting {
        grammar: "DNS subdomain of at most 63 characters",
        example: "team-platform",
        permission: true,
        if_empty: Some("remove it to start the Kubernetes Job without a queue"),
        sets: &["spec.suspend"],
        job_label: Some("kueue.x-k8s.io/queue-name"),
        ..Setting::workspace("EPHEMERAL_CONFIG_QUEUE_NAME")
    };
}

/// The name of an object that is also the value of a label.
fn queue_name(text: &str) -> Result<LabelValue, ListError> {
    let text = text.trim();
    if !Rule::DnsSubdomain.holds(text) {
        return Err(EntryError::new(text, Rule::DnsSubdomain.expected()).into());
    }
    LabelValue::new(text).map_err(Into::into)
}
