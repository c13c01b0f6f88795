//! Where the pod runs: affinity and topology spread, by the rules of
//! <https://kubernetes.io/docs/concepts/scheduling-eviction/assign-pod-node/> and
//! <https://kubernetes.io/docs/concepts/scheduling-eviction/topology-spread-constraints/>.

use config_core::{kubernetes::Rule, value::Yaml, workspace};
use k8s_openapi::{
    api::core::v1::{
        Affinity, NodeSelectorRequirement, NodeSelectorTerm, PodAffinityTerm, TopologySpreadConstraint,
        WeightedPodAffinityTerm,
    },
    apimachinery::pkg::apis::meta::v1::LabelSelector,
};

use super::{Checks, FieldErrors, strict};
use crate::labels;

const REQUIRED: &str = "requiredDuringSchedulingIgnoredDuringExecution";
const PREFERRED: &str = "preferredDuringSchedulingIgnoredDuringExecution";

impl Checks<'_> {
    pub(super) fn affinity(&mut self, yaml: &Yaml) -> Option<Affinity> {
        self.of_variable(workspace::AFFINITY.name(), |errors| {
            let affinity: Affinity = strict::object(errors, "", yaml.value())?;
            check_affinity(errors, &affinity);
            Some(affinity)
        })
    }

    pub(super) fn topology_spread(&mut self, yaml: &Yaml) -> Vec<TopologySpreadConstraint> {
        self.of_variable(workspace::TOPOLOGY_SPREAD.name(), |errors| {
            let mut list: Vec<(usize, TopologySpreadConstraint)> = strict::list(errors, yaml.value());
            for (at, (index, constraint)) in list.iter().enumerate() {
                check_constraint(errors, &format!("[{index}]"), constraint);
                let same = |(_, other): &&(usize, TopologySpreadConstraint)| {
                    other.topology_key == constraint.topology_key
                        && other.when_unsatisfiable == constraint.when_unsatisfiable
                };
                if let Some((first, _)) = list[..at].iter().find(same) {
                    let expected = format!("another topologyKey or whenUnsatisfiable than [{first}] has");
                    errors.push(&format!("[{index}]"), "", expected);
                }
            }
            for (_, constraint) in &mut list {
                constraint.label_selector.get_or_insert_with(all_executors);
            }
            list.into_iter().map(|(_, constraint)| constraint).collect()
        })
    }
}

fn all_executors() -> LabelSelector {
    let label = (labels::MANAGED_BY.to_owned(), labels::MANAGED_BY_VALUE.to_owned());
    LabelSelector { match_expressions: None, match_labels: Some([label].into()) }
}

fn check_affinity(errors: &mut FieldErrors, affinity: &Affinity) {
    let Affinity { node_affinity, pod_affinity, pod_anti_affinity } = affinity;
    if let Some(of_nodes) = node_affinity {
        if let Some(selector) = &of_nodes.required_during_scheduling_ignored_during_execution {
            let path = format!("nodeAffinity.{REQUIRED}.nodeSelectorTerms");
            if selector.node_selector_terms.is_empty() {
                errors.push(&path, "an empty list", "at least one term; without terms no node is chosen");
            }
            for (index, term) in selector.node_selector_terms.iter().enumerate() {
                check_node_term(errors, &format!("{path}[{index}]"), term);
            }
        }
        let preferred = of_nodes.preferred_during_scheduling_ignored_during_execution.iter().flatten();
        for (index, term) in preferred.enumerate() {
            let path = format!("nodeAffinity.{PREFERRED}[{index}]");
            check_weight(errors, &path, term.weight);
            check_node_term(errors, &format!("{path}.preference"), &term.preference);
        }
    }
    if let Some(near) = pod_affinity {
        let required = near.required_during_scheduling_ignored_during_execution.as_deref();
        let preferred = near.preferred_during_scheduling_ignored_during_execution.as_deref();
        check_pod_terms(errors, "podAffinity", required, preferred);
    }
    if let Some(far) = pod_anti_affinity {
        let required = far.required_during_scheduling_ignored_during_execution.as_deref();
        let preferred = far.preferred_during_scheduling_ignored_during_execution.as_deref();
        check_pod_terms(errors, "podAntiAffinity", required, preferred);
    }
}

fn check_weight(errors: &mut FieldErrors, path: &str, weight: i32) {
    if !(1..=100).contains(&weight) {
        errors.push(&format!("{path}.weight"), &weight.to_string(), "1 to 100");
    }
}

fn check_node_term(errors: &mut FieldErrors, path: &str, term: &NodeSelectorTerm) {
    for (index, requirement) in term.match_expressions.iter().flatten().enumerate() {
        let path = format!("{path}.matchExpressions[{index}]");
        errors.check(&format!("{path}.key"), &requirement.key, Rule::LabelKey);
        check_node_requirement(errors, &path, requirement);
    }
    for (index, requirement) in term.match_fields.iter().flatten().enumerate() {
        let path = format!("{path}.matchFields[{index}]");
        // Kubernetes knows no other field, and compares it with exactly one name.
        errors.check_one_of(&format!("{path}.key"), &requirement.key, &["metadata.name"]);
        errors.check_one_of(&format!("{path}.operator"), &requirement.operator, &["In", "NotIn"]);
        check_number_of_values(errors, &path, requirement.values.as_deref(), 1..=1);
    }
}

fn check_node_requirement(errors: &mut FieldErrors, path: &str, requirement: &NodeSelectorRequirement) {
    let NodeSelectorRequirement { key: _, operator, values } = requirement;
    let values = values.as_deref();
    match operator.as_str() {
        "In" | "NotIn" => check_number_of_values(errors, path, values, 1..=usize::MAX),
        "Exists" | "DoesNotExist" => check_number_of_values(errors, path, values, 0..=0),
        "Gt" | "Lt" => {
            check_number_of_values(errors, path, values, 1..=1);
            for (index, value) in values.iter().copied().flatten().enumerate() {
                if value.parse::<i64>().is_err() {
                    errors.push(
                        &format!("{path}.values[{index}]"),
                        super::shown(value),
                        "a whole number, as text",
                    );
                }
            }
        }
        other => {
            let known = ["In", "NotIn", "Exists", "DoesNotExist", "Gt", "Lt"];
            errors.check_one_of(&format!("{path}.operator"), other, &known);
        }
    }
}

fn check_number_of_values(
    errors: &mut FieldErrors,
    path: &str,
    values: Option<&[String]>,
    allowed: std::ops::RangeInclusive<usize>,
) {
    let count = values.map_or(0, <[String]>::len);
    if !allowed.contains(&count) {
        let expected = match (allowed.start(), allowed.end()) {
            (0, _) => "no values beside this operator",
            (_, 1) => "exactly one value beside this operator",
            _ => "at least one value beside this operator",
        };
        errors.push(&format!("{path}.values"), &count.to_string(), expected);
    }
}

fn check_pod_terms(
    errors: &mut FieldErrors,
    place: &str,
    required: Option<&[PodAffinityTerm]>,
    preferred: Option<&[WeightedPodAffinityTerm]>,
) {
    for (index, term) in required.iter().copied().flatten().enumerate() {
        check_pod_term(errors, &format!("{place}.{REQUIRED}[{index}]"), term);
    }
    for (index, term) in preferred.iter().copied().flatten().enumerate() {
        let path = format!("{place}.{PREFERRED}[{index}]");
        check_weight(errors, &path, term.weight);
        check_pod_term(errors, &format!("{path}.podAffinityTerm"), &term.pod_affinity_term);
    }
}

fn check_pod_term(errors: &mut FieldErrors, path: &str, term: &PodAffinityTerm) {
    let PodAffinityTerm {
        label_selector,
        match_label_keys,
        mismatch_label_keys,
        namespace_selector,
        namespaces,
        topology_key,
    } = term;
    errors.check(&format!("{path}.topologyKey"), topology_key, Rule::LabelKey);
    for (name, selector) in [("labelSelector", label_selector), ("namespaceSelector", namespace_selector)] {
        if let Some(selector) = selector {
            check_selector(errors, &format!("{path}.{name}"), selector);
        }
    }
    for (name, list) in [("matchLabelKeys", match_label_keys), ("mismatchLabelKeys", mismatch_label_keys)] {
        check_keys(errors, &format!("{path}.{name}"), list.as_deref());
        if list.as_ref().is_some_and(|list| !list.is_empty()) && label_selector.is_none() {
            errors.push(&format!("{path}.{name}"), "", "labelSelector beside it");
        }
    }
    for (index, namespace) in namespaces.iter().flatten().enumerate() {
        errors.check(&format!("{path}.namespaces[{index}]"), namespace, Rule::DnsLabel);
    }
}

fn check_keys(errors: &mut FieldErrors, path: &str, list: Option<&[String]>) {
    for (index, key) in list.iter().copied().flatten().enumerate() {
        errors.check(&format!("{path}[{index}]"), key, Rule::LabelKey);
    }
}

fn check_selector(errors: &mut FieldErrors, path: &str, selector: &LabelSelector) {
    let LabelSelector { match_expressions, match_labels } = selector;
    for (key, value) in match_labels.iter().flatten() {
        let path = format!("{path}.matchLabels");
        errors.check(&path, key, Rule::LabelKey);
        errors.check(&strict::field(&path, key), value, Rule::LabelValue);
    }
    for (index, requirement) in match_expressions.iter().flatten().enumerate() {
        let path = format!("{path}.matchExpressions[{index}]");
        let values = requirement.values.as_deref();
        errors.check(&format!("{path}.key"), &requirement.key, Rule::LabelKey);
        match requirement.operator.as_str() {
            "In" | "NotIn" => check_number_of_values(errors, &path, values, 1..=usize::MAX),
            "Exists" | "DoesNotExist" => check_number_of_values(errors, &path, values, 0..=0),
            other => {
                let known = ["In", "NotIn", "Exists", "DoesNotExist"];
                errors.check_one_of(&format!("{path}.operator"), other, &known);
            }
        }
        for (index, value) in values.iter().copied().flatten().enumerate() {
            errors.check(&format!("{path}.values[{index}]"), value, Rule::LabelValue);
        }
    }
}

fn check_constraint(errors: &mut FieldErrors, path: &str, constraint: &TopologySpreadConstraint) {
    let TopologySpreadConstraint {
        label_selector,
        match_label_keys,
        max_skew,
        min_domains,
        node_affinity_policy,
        node_taints_policy,
        topology_key,
        when_unsatisfiable,
    } = constraint;
    errors.check(&format!("{path}.topologyKey"), topology_key, Rule::LabelKey);
    errors.check_one_of(
        &format!("{path}.whenUnsatisfiable"),
        when_unsatisfiable,
        &["DoNotSchedule", "ScheduleAnyway"],
    );
    if *max_skew < 1 {
        errors.push(&format!("{path}.maxSkew"), &max_skew.to_string(), "1 or more");
    }
    if let Some(domains) = min_domains {
        let path = format!("{path}.minDomains");
        if *domains < 1 {
            errors.push(&path, &domains.to_string(), "1 or more");
        }
        if when_unsatisfiable != "DoNotSchedule" {
            errors.push(&path, &domains.to_string(), "whenUnsatisfiable: DoNotSchedule beside it");
        }
    }
    for (name, policy) in
        [("nodeAffinityPolicy", node_affinity_policy), ("nodeTaintsPolicy", node_taints_policy)]
    {
        if let Some(policy) = policy {
            errors.check_one_of(&format!("{path}.{name}"), policy, &["Honor", "Ignore"]);
        }
    }
    check_keys(errors, &format!("{path}.matchLabelKeys"), match_label_keys.as_deref());
    if let Some(selector) = label_selector {
        check_selector(errors, &format!("{path}.labelSelector"), selector);
    }
}
