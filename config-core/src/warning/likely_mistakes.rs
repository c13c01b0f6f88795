//! Valid values of workspace variables that probably mean something else.

use super::Warning;
use crate::{
    Variables,
    value::{Annotations, Quantity},
    workspace::{
        ANNOTATIONS, CPU_LIMIT, CPU_REQUEST, MEMORY_LIMIT, MEMORY_REQUEST, POD_ANNOTATIONS, STORAGE_LIMIT,
        STORAGE_REQUEST,
    },
};

/// Beginnings of annotation keys that only controllers of pods read.
const POD_ANNOTATION_KEYS: [&str; 14] = [
    "sidecar.istio.io/",
    "proxy.istio.io/",
    "traffic.sidecar.istio.io/",
    "linkerd.io/",
    "config.linkerd.io/",
    "cluster-autoscaler.kubernetes.io/",
    "karpenter.sh/",
    "vault.hashicorp.com/",
    "vault.security.banzaicloud.io/",
    "consul.hashicorp.com/",
    "iam.amazonaws.com/",
    "prometheus.io/",
    "ad.datadoghq.com/",
    "container.apparmor.security.beta.kubernetes.io/",
];

const NANOS: u128 = 1_000_000_000;
/// No terraform runs in less memory, and no step in less disk space.
const LEAST_BYTES: u128 = 1024 * 1024;
/// No node has more processors.
const MOST_PROCESSORS: u128 = 256;

/// Annotations that have no effect on a Kubernetes Job.
pub(super) fn pod_annotations(variables: &Variables) -> Option<Warning> {
    let name = ANNOTATIONS.name();
    let annotations: Annotations = variables.get(name)?.parse().ok()?;
    let is_of_pods = |key: &str| POD_ANNOTATION_KEYS.iter().any(|start| key.starts_with(start));
    let keys: Vec<&str> =
        annotations.iter().map(|(key, _)| key.as_str()).filter(|key| is_of_pods(key)).collect();
    if keys.is_empty() {
        return None;
    }
    let hint = format!("set it by {}, which annotates the pod", POD_ANNOTATIONS.name());
    let meaning =
        "which has no effect on a Kubernetes Job, because only the annotations of pods are read for it";
    Some(Warning::new(variables, name, &keys.join(", ")).with_meaning(meaning, hint))
}

/// Amounts with a forgotten or a wrong suffix.
pub(super) fn amounts(variables: &Variables) -> Vec<Warning> {
    let memory = [MEMORY_REQUEST.name(), MEMORY_LIMIT.name(), STORAGE_REQUEST.name(), STORAGE_LIMIT.name()];
    let few_bytes = memory.into_iter().filter_map(|name| {
        let (text, amount) = amount(variables, name)?;
        let is_small = amount.nanos() > 0 && amount.nanos() < LEAST_BYTES * NANOS;
        let number: String = text.chars().take_while(|c| c.is_ascii_digit() || *c == '.').collect();
        is_small.then(|| {
            Warning::new(variables, name, text).with_meaning(
                "which is an amount in bytes, less than 1 MiB",
                format!("write {number}Mi or {number}Gi if that is meant"),
            )
        })
    });
    let processors = [CPU_REQUEST.name(), CPU_LIMIT.name()].into_iter().filter_map(|name| {
        let (text, amount) = amount(variables, name)?;
        (amount.nanos() > MOST_PROCESSORS * NANOS).then(|| {
            let number: String = text.chars().take_while(|c| c.is_ascii_digit() || *c == '.').collect();
            Warning::new(variables, name, text).with_meaning(
                "which is a number of processors, more than a node has",
                format!("write {number}m for thousandths of a processor, or {number} for processors"),
            )
        })
    });
    few_bytes.chain(processors).collect()
}

fn amount<'v>(variables: &'v Variables, name: &str) -> Option<(&'v str, Quantity)> {
    let text = variables.get(name)?.trim();
    Some((text, text.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use crate::{Variables, WorkspaceOverrides};

    fn warnings(name: &str, value: &str) -> Vec<String> {
        let variables: Variables = [(name, value)].into_iter().collect();
        WorkspaceOverrides::warnings(&variables).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn warns_about_annotations_that_only_a_pod_can_have() {
        for (value, keys) in [
            ("sidecar.istio.io/inject=false;team=a", "sidecar.istio.io/inject"),
            (
                "cluster-autoscaler.kubernetes.io/safe-to-evict=false",
                "cluster-autoscaler.kubernetes.io/safe-to-evict",
            ),
            ("karpenter.sh/do-not-disrupt=true", "karpenter.sh/do-not-disrupt"),
            (
                "vault.hashicorp.com/agent-inject=true;vault.hashicorp.com/role=x",
                "vault.hashicorp.com/agent-inject, vault.hashicorp.com/role",
            ),
        ] {
            let found = warnings("EPHEMERAL_CONFIG_ANNOTATIONS", value);
            assert_eq!(found.len(), 1, "{found:?}");
            assert!(found[0].contains(&format!("found {keys:?}")), "{found:?}");
            assert!(found[0].contains("EPHEMERAL_CONFIG_POD_ANNOTATIONS"), "{found:?}");
            assert!(warnings("EPHEMERAL_CONFIG_POD_ANNOTATIONS", value).is_empty());
        }
        assert!(warnings("EPHEMERAL_CONFIG_ANNOTATIONS", "team=a;example.com/karpenter.sh=b").is_empty());
    }

    #[test]
    fn warns_about_amounts_with_a_forgotten_or_wrong_suffix() {
        for (name, value, hint) in [
            ("EPHEMERAL_MEMORY_LIMIT", "512", "write 512Mi or 512Gi"),
            ("EPHEMERAL_MEMORY_REQUEST", "100k", "write 100Mi or 100Gi"),
            ("EPHEMERAL_STORAGE_LIMIT", "2", "write 2Mi or 2Gi"),
            ("EPHEMERAL_CPU_LIMIT", "500", "write 500m for thousandths"),
            ("EPHEMERAL_CPU_LIMIT", "2G", "or 2 for processors"),
        ] {
            let found = warnings(name, value);
            assert!(found.len() == 1 && found[0].contains(hint), "{name}={value}: {found:?}");
        }
        for (name, value) in [
            ("EPHEMERAL_MEMORY_LIMIT", "512Mi"),
            ("EPHEMERAL_MEMORY_LIMIT", "0"),
            ("EPHEMERAL_MEMORY_LIMIT", "1073741824"),
            ("EPHEMERAL_CPU_LIMIT", "500m"),
            ("EPHEMERAL_CPU_LIMIT", "64"),
        ] {
            assert_eq!(warnings(name, value), Vec::<String>::new(), "{name}={value}");
        }
    }
}
