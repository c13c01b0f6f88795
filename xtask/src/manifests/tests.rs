//! Tests of all objects; the schemas of Kubernetes check each in detail (`tests/deploy/schemas.rs`).

use super::*;

/// The manifests in the documentation of ephemeral executors, verbatim.
const DOCUMENTED: &str = r#"
apiVersion: v1
kind: ServiceAccount
metadata:
  name: terrakube-api-service-account
  namespace: terrakube
---
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata:
  namespace: terrakube
  name: terrakube-api-role
rules:
- apiGroups: ["batch"]
  resources: ["jobs"]
  verbs: ["get", "list", "watch", "create", "update", "patch", "delete"]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata:
  name: terrakube-api-role-binding
  namespace: terrakube
subjects:
- kind: ServiceAccount
  name: terrakube-api-service-account
  namespace: terrakube
roleRef:
  kind: Role
  name: terrakube-api-role
  apiGroup: rbac.authorization.k8s.io
"#;

#[test]
fn account_role_and_binding_equal_the_documented_ones() {
    let documented: Vec<Value> = serde_saphyr::from_multiple(DOCUMENTED).unwrap();
    let ours = objects(&Settings::defaults());
    let rights: Vec<_> = ours
        .into_iter()
        .filter(|object| ["ServiceAccount", "Role", "RoleBinding"].iter().any(|kind| object["kind"] == *kind))
        .collect();
    assert_eq!(rights, documented);
}

#[test]
fn extended_role_is_an_additional_role() {
    let settings = Settings { extended_role: true, ..Settings::defaults() };
    let (plain, extended) = (objects(&Settings::defaults()), objects(&settings));
    let added: Vec<_> = extended.iter().filter(|object| !plain.contains(object)).collect();
    assert_eq!(added, optional_objects(&settings).iter().collect::<Vec<_>>());
    assert_eq!(extended.len(), plain.len() + 2);
}

#[test]
fn every_object_is_in_the_namespace_and_names_no_other() {
    let settings = Settings { namespace: "runs".to_owned(), extended_role: true, ..Settings::defaults() };
    for object in objects(&settings) {
        let place = if object["kind"] == "Namespace" { "/metadata/name" } else { "/metadata/namespace" };
        assert_eq!(object.pointer(place), Some(&json!("runs")), "{object:#}");
        // The names of roles and Secrets do not depend on the namespace.
        assert!(!object.to_string().contains("\"terrakube\""), "{object:#}");
    }
}

/// <https://kubernetes.io/docs/concepts/security/pod-security-standards/#restricted>
#[test]
fn pod_of_the_server_satisfies_the_restricted_pod_security_standard() {
    let objects = objects(&Settings::defaults());
    let pod = objects.iter().find_map(|object| object.pointer("/spec/template/spec")).unwrap();
    assert_eq!(pod["securityContext"]["runAsNonRoot"], true);
    assert_eq!(pod["securityContext"]["seccompProfile"]["type"], "RuntimeDefault");
    let container = &pod["containers"][0]["securityContext"];
    assert_eq!(container["allowPrivilegeEscalation"], false);
    assert_eq!(container["capabilities"], json!({ "drop": ["ALL"] }));
    assert_eq!(container["readOnlyRootFilesystem"], true);
    for volume in pod["volumes"].as_array().unwrap() {
        let kinds = ["configMap", "emptyDir", "secret", "persistentVolumeClaim"];
        assert!(kinds.iter().any(|kind| volume.get(kind).is_some()), "{volume}");
    }
}

#[test]
fn policy_protects_what_belongs_to_the_server() {
    let policy = policy::DEFAULT;
    for excluded in [access::service_account_name(), SERVER] {
        assert!(policy.contains(&format!("[\"!{excluded}\"]")), "{policy}");
    }
}

#[test]
fn changed_policy_restarts_the_server() {
    let template = |settings: &Settings| {
        let objects = objects(settings);
        objects.iter().find_map(|object| object.pointer("/spec/template")).unwrap().clone()
    };
    let settings = Settings::defaults();
    let changed = Settings { policy: "[default]\n".to_owned(), ..settings.clone() };
    assert_ne!(template(&settings), template(&changed));
}

#[test]
fn no_object_has_the_label_of_executors() {
    for object in objects(&Settings { extended_role: true, ..Settings::defaults() }) {
        for place in ["/metadata/labels", "/spec/template/metadata/labels"] {
            let label = object.pointer(place).and_then(|labels| labels.get("app.kubernetes.io/managed-by"));
            assert_eq!(label, None, "{object:#}");
        }
    }
}

#[test]
fn executors_in_a_cluster_without_dns_use_the_address_of_the_service() {
    let settings = Settings { no_cluster_dns: true, ..Settings::defaults() };
    let objects = objects(&settings);
    let pod = objects.iter().find_map(|object| object.pointer("/spec/template/spec")).unwrap();
    let arguments = pod["containers"][0]["args"].to_string();
    assert!(arguments.contains("--api-url=http://$(EPHEMERAL_AGENTS_API_SERVICE_HOST):8080"), "{arguments}");
    assert_eq!(pod["enableServiceLinks"], true, "it sets the variable");
    // The variable is set only in pods that are younger than the Service.
    let place = |kind: &str| objects.iter().position(|object| object["kind"] == kind).unwrap();
    assert!(place("Service") < place("Deployment"));
}

/// The API server drops these, so that `deploy --diff` would report a difference right after `deploy`.
#[test]
fn no_object_holds_an_empty_list_or_null() {
    fn check(path: &str, value: &Value) {
        match value {
            Value::Null => panic!("{path} is null"),
            Value::Array(items) => {
                assert!(!items.is_empty(), "{path} is empty");
                items.iter().enumerate().for_each(|(index, item)| check(&format!("{path}/{index}"), item));
            }
            Value::Object(fields) => {
                fields.iter().for_each(|(name, field)| check(&format!("{path}/{name}"), field));
            }
            _ => {}
        }
    }
    for object in objects(&Settings { extended_role: true, ..Settings::defaults() }) {
        check(&reference(&object), &object);
    }
}
