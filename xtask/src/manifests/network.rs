//! The connections that are allowed to the api-server and to executors.
//!
//! Outgoing connections are not limited: the address of the Kubernetes API depends on the cluster, and
//! terraform connects to whatever its providers need. Clusters whose network plugin
//! does not implement policies ignore them.

use serde_json::{Value, json};

use super::{SERVER, Settings, metadata, server, settings::PORT};

const EXECUTORS: &str = "ephemeral-agents-executors";

/// No pod can connect to an executor. Executors, and pods of the chosen namespaces, can connect to the
/// api-server. `kubectl port-forward` connects from the node, where policies do not apply.
pub(super) fn policies(settings: &Settings) -> [Value; 2] {
    let executors = json!({ "matchLabels": { "app.kubernetes.io/managed-by": "ephemeral-agents" } });
    let mut from = vec![json!({ "podSelector": executors })];
    from.extend(settings.allow_from_namespace.iter().map(
        |name| json!({ "namespaceSelector": { "matchLabels": { "kubernetes.io/metadata.name": name } } }),
    ));
    let mut server = policy(settings, SERVER, &json!({ "matchLabels": server::selector() }));
    server["spec"]["ingress"] = json!([{ "from": from, "ports": [{ "port": PORT, "protocol": "TCP" }] }]);
    [server, policy(settings, EXECUTORS, &executors)]
}

/// A policy that denies all connections to these pods.
///
/// It has no `ingress`: the API server does not store an empty list,
/// so `deploy --diff` would always report one.
fn policy(settings: &Settings, name: &str, pods: &Value) -> Value {
    json!({
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": metadata(settings, name),
        "spec": { "podSelector": pods, "policyTypes": ["Ingress"] },
    })
}
