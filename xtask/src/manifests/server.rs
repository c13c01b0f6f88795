//! The api-server: Deployment, claim, Service, disruption budget.

use serde_json::{Value, json};

use super::{
    SERVER, Settings, access, labels, metadata, policy,
    secrets::{ADMIN_TOKEN, ENCRYPTION_KEY},
    settings::{PORT, Storage},
};

const DATA: &str = "/data";
const SECRETS: &str = "/secrets";
/// The user of our images, as a number: with `runAsNonRoot` the kubelet rejects a user that is only a name.
const USER: u32 = 1002;
/// Owns the mounted volumes.
const GROUP: u32 = 1000;

/// The label by which Service, `NetworkPolicy` and `PodDisruptionBudget` find the pod. Workspaces cannot set
/// it: with a label that they can set, the pod of an executor could receive requests to the server,
/// and the tokens in them.
pub(super) fn selector() -> Value {
    json!({ "ephemeral-agents.dev/component": "api-server" })
}

/// The label by which the Deployment finds the pod; the selector of a Deployment cannot change.
fn selector_of_deployment() -> Value {
    json!({ "app.kubernetes.io/name": SERVER })
}

fn pod_labels() -> Value {
    let mut labels = labels();
    labels["ephemeral-agents.dev/component"] = selector()["ephemeral-agents.dev/component"].clone();
    labels
}

/// Returns the claim for the data, if the data is on a volume.
pub(super) fn claim(settings: &Settings) -> Option<Value> {
    if settings.storage != Storage::Claim {
        return None;
    }
    let mut spec = json!({
        "accessModes": ["ReadWriteOnce"],
        "resources": { "requests": { "storage": settings.storage_size } },
    });
    if let Some(class) = &settings.storage_class {
        spec["storageClassName"] = json!(class);
    }
    Some(json!({
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": metadata(settings, SERVER),
        "spec": spec,
    }))
}

/// Returns the Service, for executors and clients inside the cluster.
pub(super) fn service(settings: &Settings) -> Value {
    json!({
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": metadata(settings, SERVER),
        "spec": {
            "selector": selector(),
            "ports": [{ "name": "http", "port": PORT, "targetPort": "http", "protocol": "TCP" }],
        },
    })
}

/// A drain may evict the pod at any time: a killed server loses nothing and continues on another node.
pub(super) fn disruption_budget(settings: &Settings) -> Value {
    json!({
        "apiVersion": "policy/v1",
        "kind": "PodDisruptionBudget",
        "metadata": metadata(settings, SERVER),
        "spec": {
            "maxUnavailable": 1,
            "selector": { "matchLabels": selector() },
            "unhealthyPodEvictionPolicy": "AlwaysAllow",
        },
    })
}

/// One pod, and the old one is deleted before the new one is created: the store is one SQLite file,
/// which two servers cannot share.
pub(super) fn deployment(settings: &Settings) -> Value {
    json!({
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": metadata(settings, SERVER),
        "spec": {
            "replicas": 1,
            "revisionHistoryLimit": 3,
            "selector": { "matchLabels": selector_of_deployment() },
            "strategy": { "type": "Recreate" },
            "template": {
                "metadata": {
                    "labels": pod_labels(),
                    "annotations": { policy::HASH: policy::hash(settings) },
                },
                "spec": pod(settings),
            },
        },
    })
}

fn pod(settings: &Settings) -> Value {
    let data = match settings.storage {
        Storage::Claim => json!({ "name": "data", "persistentVolumeClaim": { "claimName": SERVER } }),
        Storage::EmptyDir => json!({ "name": "data", "emptyDir": {} }),
    };
    let mut pod = json!({
        "automountServiceAccountToken": true,
        "containers": [container(settings)],
        "enableServiceLinks": settings.no_cluster_dns,
        "securityContext": {
            "fsGroup": GROUP,
            "fsGroupChangePolicy": "OnRootMismatch",
            "runAsGroup": GROUP,
            "runAsNonRoot": true,
            "runAsUser": USER,
            "seccompProfile": { "type": "RuntimeDefault" },
        },
        "serviceAccountName": access::service_account_name(),
        "terminationGracePeriodSeconds": 30,
        "volumes": [
            data,
            { "name": "secrets", "secret": { "secretName": SERVER, "defaultMode": 0o440 } },
            { "name": "policy", "configMap": { "name": SERVER } },
            { "name": "tmp", "emptyDir": { "sizeLimit": "256Mi" } },
        ],
    });
    if let Some(name) = &settings.image_pull_secret {
        pod["imagePullSecrets"] = json!([{ "name": name }]);
    }
    pod
}

fn container(settings: &Settings) -> Value {
    let env: Vec<_> =
        settings.environment().iter().map(|(name, value)| json!({ "name": name, "value": value })).collect();
    json!({
        "name": "api-server",
        "image": settings.image,
        "args": [
            "serve",
            "--backend=kubernetes",
            format!("--listen=0.0.0.0:{PORT}"),
            format!("--api-url={}", settings.api_url()),
            format!("--data-dir={DATA}"),
            format!("--encryption-key-file={SECRETS}/{ENCRYPTION_KEY}"),
            format!("--admin-token-file={SECRETS}/{ADMIN_TOKEN}"),
            format!("--policy={}/{}", policy::FOLDER, policy::FILE),
        ],
        "env": env,
        "ports": [{ "name": "http", "containerPort": PORT, "protocol": "TCP" }],
        // The first start may migrate a large store.
        "startupProbe": { "httpGet": probe("/healthz"), "periodSeconds": 2, "failureThreshold": 60 },
        "livenessProbe": { "httpGet": probe("/healthz"), "periodSeconds": 10, "timeoutSeconds": 5, "failureThreshold": 6 },
        "readinessProbe": { "httpGet": probe("/readyz"), "periodSeconds": 5, "timeoutSeconds": 5 },
        "resources": {
            "requests": { "cpu": "100m", "memory": "128Mi" },
            "limits": { "memory": "512Mi" },
        },
        "securityContext": {
            "allowPrivilegeEscalation": false,
            "capabilities": { "drop": ["ALL"] },
            "readOnlyRootFilesystem": true,
        },
        "volumeMounts": [
            { "name": "data", "mountPath": DATA },
            { "name": "secrets", "mountPath": SECRETS, "readOnly": true },
            { "name": "policy", "mountPath": policy::FOLDER, "readOnly": true },
            { "name": "tmp", "mountPath": "/tmp" },
        ],
    })
}

fn probe(path: &str) -> Value {
    json!({ "path": path, "port": "http" })
}
