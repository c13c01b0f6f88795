//! Who may open connections to whom.
//!
//! What pods may reach is not limited: where the Kubernetes API listens differs from cluster to cluster, and terraform
//! reaches whatever its providers need. Clusters whose network plugin knows no policies ignore all of this.

use serde_json::{Value, json};

use super::{SERVER, Settings, metadata, server, settings::PORT};

const EXECUTORS: &str = "ephemeral-agents-executors";

/// Nobody reaches an executor; executors reach the api-server, and so do pods of the namespaces that were named.
/// A `kubectl port-forward` comes from the node and is not asked.
pub(super) fn policies(settings: &Settings) -> [Value; 2] {
    let executors = json!({ "matchLabels": { "app.kubernetes.io/managed-by": "ephemeral-agents" } });
    let mut from = vec![json!({ "podSelector": executors })];
    from.extend(settings.allow_from_namespace.iter().map(
        |name| json!({ "namespaceSelector": { "matchLabels": { "kubernetes.io/metadata.name": name } } }),
    ));
    let to_server = json!([{ "from": from, "ports": [{ "port": PORT, "protocol": "TCP" }] }]);
    let server = json!({ "matchLabels": server::selector() });
    [policy(settings, SERVER, &server, &to_server), policy(settings, EXECUTORS, &executors, &json!([]))]
}

fn policy(settings: &Settings, name: &str, pods: &Value, ingress: &Value) -> Value {
    json!({
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": metadata(settings, name),
        "spec": { "podSelector": pods, "policyTypes": ["Ingress"], "ingress": ingress },
    })
}
