//! Namespace, service account, the documented role, and the extended role.

use serde_json::{Value, json};

use super::{Settings, labels, metadata};

/// Names and rules of these three are those of the documentation of ephemeral executors, which operators have
/// applied already. They have no labels, so that applying them again changes nothing.
const SERVICE_ACCOUNT: &str = "terrakube-api-service-account";
const ROLE: &str = "terrakube-api-role";
const ROLE_BINDING: &str = "terrakube-api-role-binding";

const EXTENDED: &str = "terrakube-api-extended-role";

/// Returns the name of the service account of the api-server.
pub(super) fn service_account_name() -> &'static str {
    SERVICE_ACCOUNT
}

/// Pods that are not *restricted* cause a warning and are not rejected, because workspaces may need them.
pub(super) fn namespace(settings: &Settings) -> Value {
    let mut labels = labels();
    labels["pod-security.kubernetes.io/audit"] = json!("restricted");
    labels["pod-security.kubernetes.io/warn"] = json!("restricted");
    json!({
        "apiVersion": "v1",
        "kind": "Namespace",
        "metadata": { "name": settings.namespace, "labels": labels },
    })
}

pub(super) fn service_account(settings: &Settings) -> Value {
    json!({
        "apiVersion": "v1",
        "kind": "ServiceAccount",
        "metadata": { "name": SERVICE_ACCOUNT, "namespace": settings.namespace },
    })
}

pub(super) fn role(settings: &Settings) -> Value {
    let verbs = ["get", "list", "watch", "create", "update", "patch", "delete"];
    json!({
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "Role",
        "metadata": { "namespace": settings.namespace, "name": ROLE },
        "rules": [{ "apiGroups": ["batch"], "resources": ["jobs"], "verbs": verbs }],
    })
}

pub(super) fn role_binding(settings: &Settings) -> Value {
    let mut binding = binding(settings, ROLE);
    binding["metadata"] = json!({ "name": ROLE_BINDING, "namespace": settings.namespace });
    binding
}

/// The extended role: pods and events contain the cause of the end of a Kubernetes Job, Secrets contain
/// payloads that should not be in the Kubernetes Job.
pub(super) fn extended(settings: &Settings) -> [Value; 2] {
    let role = json!({
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "Role",
        "metadata": metadata(settings, EXTENDED),
        "rules": [
            { "apiGroups": [""], "resources": ["pods", "events"], "verbs": ["get", "list", "watch"] },
            { "apiGroups": [""], "resources": ["secrets"], "verbs": ["get", "create"] },
        ],
    });
    let mut binding = binding(settings, EXTENDED);
    binding["metadata"] = metadata(settings, EXTENDED);
    [role, binding]
}

fn binding(settings: &Settings, role: &str) -> Value {
    json!({
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "RoleBinding",
        "subjects": [{ "kind": "ServiceAccount", "name": SERVICE_ACCOUNT, "namespace": settings.namespace }],
        "roleRef": { "kind": "Role", "name": role, "apiGroup": "rbac.authorization.k8s.io" },
    })
}
