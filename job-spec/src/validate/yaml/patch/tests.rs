//! What a patch may change, what not, and with which message that is refused.

use config_core::{Origin, Policy, workspace};
use k8s_openapi::api::core::v1::PodSpec;

use crate::{
    AttemptAccess,
    validate::tests::{Request, overrides},
};

use super::super::tests::problems as problems_of;

fn problems(patch: &str) -> Vec<String> {
    problems_of(&[("EPHEMERAL_CONFIG_POD_PATCH", patch)])
}

fn pod(variables: &[(&str, &str)]) -> PodSpec {
    let plan = Request::with(overrides(variables)).validate().unwrap();
    plan.job().spec.unwrap().template.spec.unwrap()
}

#[test]
fn merges_object_patch_and_finds_executor_by_name() {
    let without = pod(&[("EPHEMERAL_CPU_LIMIT", "2")]);
    let patched = pod(&[
        ("EPHEMERAL_CPU_LIMIT", "2"),
        (
            "EPHEMERAL_CONFIG_POD_PATCH",
            "spec: {hostname: runner, enableServiceLinks: true, containers: [{name: executor, stdin: true, \
             resources: {limits: {nvidia.com/gpu: 1}}}]}",
        ),
    ]);
    let mut expected = without;
    expected.hostname = Some("runner".to_owned());
    expected.enable_service_links = Some(true);
    expected.containers[0].stdin = Some(true);
    let limits = expected.containers[0].resources.as_mut().unwrap().limits.as_mut().unwrap();
    limits.insert("nvidia.com/gpu".to_owned(), serde_json::from_str("\"1\"").unwrap());
    assert_eq!(patched, expected);
}

#[test]
fn applies_json_patch_operations() {
    let patched = pod(&[(
        "EPHEMERAL_CONFIG_POD_PATCH",
        r#"[{"op": "test", "path": "/spec/containers/0/name", "value": "executor"},
            {"op": "add", "path": "/spec/dnsPolicy", "value": "Default"},
            {"op": "replace", "path": "/spec/containers/0/terminationMessagePolicy", "value": "File"},
            {"op": "remove", "path": "/spec/enableServiceLinks"}]"#,
    )]);
    assert_eq!(patched.dns_policy.as_deref(), Some("Default"));
    assert_eq!(patched.containers[0].termination_message_policy.as_deref(), Some("File"));
    assert_eq!(patched.enable_service_links, None);
    assert!(
        patched.containers[0].env.as_ref().is_some_and(|env| env.len() == 2),
        "the environment is whole again"
    );
}

#[test]
fn null_removes_unowned_field() {
    let patched = pod(&[(
        "EPHEMERAL_CONFIG_POD_PATCH",
        "{spec: {enableServiceLinks: null, hostname: a, containers: [{name: executor, \
         terminationMessagePolicy: null}]}}",
    )]);
    let mut expected = pod(&[]);
    expected.enable_service_links = None;
    expected.hostname = Some("a".to_owned());
    expected.containers[0].termination_message_policy = None;
    assert_eq!(patched, expected);
    for (patch, field, owner) in [
        ("{spec: {restartPolicy: null}}", "spec.restartPolicy", "a step runs once"),
        (
            "{spec: {securityContext: null}}",
            "spec.securityContext.fsGroup",
            "EPHEMERAL_CONFIG_POD_SECURITY_CONTEXT sets it",
        ),
    ] {
        let first = problems(patch).swap_remove(0);
        assert_eq!(first, format!("{field} | no change there: {owner}"), "{patch}");
    }
    for patch in ["{spec: null}", "{spec: {containers: null}}"] {
        assert!(!problems(patch).is_empty(), "{patch}");
    }
}

#[test]
#[expect(clippy::too_many_lines, reason = "a table of cases")]
fn rejects_patch_of_owned_fields() {
    for (patch, field, owner) in [
        (
            "{spec: {serviceAccountName: root}}",
            "spec.serviceAccountName",
            "EPHEMERAL_CONFIG_SERVICE_ACCOUNT sets it",
        ),
        ("{spec: {serviceAccount: root}}", "spec.serviceAccount", "EPHEMERAL_CONFIG_SERVICE_ACCOUNT sets it"),
        (
            "{spec: {nodeSelector: {a: b}}}",
            "spec.nodeSelector.a",
            "EPHEMERAL_CONFIG_NODE_SELECTOR_TAGS sets it",
        ),
        (
            "{spec: {tolerations: [{operator: Exists}]}}",
            "spec.tolerations[0].operator",
            "EPHEMERAL_CONFIG_TOLERATIONS sets it",
        ),
        (
            "{spec: {volumes: [{name: a, secret: {secretName: job-1-2-3}}]}}",
            "spec.volumes[a].name",
            "EPHEMERAL_CONFIG_VOLUMES sets it",
        ),
        ("{spec: {restartPolicy: Always}}", "spec.restartPolicy", "a step runs once"),
        (
            "{spec: {securityContext: {runAsUser: 7}}}",
            "spec.securityContext.runAsUser",
            "EPHEMERAL_CONFIG_POD_SECURITY_CONTEXT sets it",
        ),
        (
            "{spec: {containers: [{name: other}]}}",
            "spec.containers[other].name",
            "EPHEMERAL_CONFIG_SIDECARS sets it",
        ),
        (
            "{spec: {initContainers: [{name: other}]}}",
            "spec.initContainers[other].name",
            "EPHEMERAL_CONFIG_SIDECARS or EPHEMERAL_CONFIG_INIT_CONTAINERS sets it",
        ),
        ("{metadata: {labels: {a: b}}}", "metadata.labels.a", "EPHEMERAL_CONFIG_LABELS sets it"),
        (
            "{spec: {nodeName: a}}",
            "spec.nodeName",
            "the scheduler chooses a node, and minds node selector, taints and free room",
        ),
        ("{metadata: {name: a}}", "metadata.name", "a pod of a Kubernetes Job is named by the cluster"),
        (
            "[{op: remove, path: /spec/automountServiceAccountToken}]",
            "spec.automountServiceAccountToken",
            "EPHEMERAL_CONFIG_SERVICE_ACCOUNT sets it",
        ),
    ] {
        assert_eq!(problems(patch), [format!("{field} | no change there: {owner}")], "{patch}");
    }
    for (patch, field, owner) in [
        ("image: other", "image", "EPHEMERAL_CONFIG_IMAGE or ExecutorEphemeralImage sets it"),
        ("env: [{name: A, value: b}]", "env[A].name", "EPHEMERAL_JOB_ENV_VARS sets it"),
        (
            "env: [{name: EphemeralFlagBatch, value: 'false'}]",
            "env[EphemeralFlagBatch].name",
            "an executor has no mode but batch",
        ),
        ("envFrom: [{prefix: A}]", "envFrom[0].prefix", "EPHEMERAL_CONFIG_ENVFROM_CONFIG_MAP sets it"),
        ("resources: {limits: {cpu: 9}}", "resources.limits.cpu", "EPHEMERAL_CPU_LIMIT sets it"),
        (
            "volumeMounts: [{name: tmp, mountPath: /x}]",
            "volumeMounts[/x].mountPath",
            "EPHEMERAL_CONFIG_VOLUME_MOUNTS sets it",
        ),
        ("restartPolicy: Always", "restartPolicy", "a step runs once"),
    ] {
        let patch = format!("{{spec: {{containers: [{{name: executor, {patch}}}]}}}}");
        let found = problems(&patch);
        assert_eq!(
            found[0],
            format!("spec.containers[executor].{field} | no change there: {owner}"),
            "{patch}"
        );
    }
}

#[test]
fn reports_every_owner_once() {
    let patch = "{spec: {restartPolicy: Always, nodeSelector: {a: b, c: d}, containers: [{name: executor, \
        restartPolicy: Always}]}}";
    assert_eq!(
        problems(patch),
        [
            "spec.containers[executor].restartPolicy | no change there: a step runs once",
            "spec.nodeSelector.a | no change there: EPHEMERAL_CONFIG_NODE_SELECTOR_TAGS sets it",
        ]
    );
}

#[test]
fn rejects_invalid_patch_with_its_path() {
    let no_such_path =
        "a path that the pod has before this operation; the executor's environment cannot be seen";
    for (patch, expected) in [
        (
            "{spec: {hostNetwrk: true}}",
            "spec.hostNetwrk: unknown field | a field of the Kubernetes API".to_owned(),
        ),
        ("{spec: {hostname: 7}}", "spec.hostname: a number | text".to_owned()),
        ("{spec: {hostNetwork: 7}}", "spec.hostNetwork: a number | a boolean".to_owned()),
        ("{spec: {$patch: delete}}", "spec.$patch: unknown field | a field of the Kubernetes API".to_owned()),
        ("{sepc: {}}", "sepc: unknown field | a field of the Kubernetes API".to_owned()),
        (
            "[{op: copy, from: /spec, path: /spec/hostname}]",
            "[0].op: copy or move | one of add, remove, replace, test".to_owned(),
        ),
        (
            "[{op: add, path: /spec/hostNetwrk, value: true}]",
            "spec.hostNetwrk: unknown field | a field of the Kubernetes API".to_owned(),
        ),
        ("[{op: add, path: /spec/hostname, value: 7}]", "spec.hostname: a number | text".to_owned()),
        ("[{op: remove, path: /spec/dnsPolicy}]", format!("[0].path: /spec/dnsPolicy | {no_such_path}")),
        (
            "[{op: replace, path: /spec/containers/0/env/0, value: x}]",
            format!("[0].path: /spec/containers/0/env/0 | {no_such_path}"),
        ),
        (
            "[{op: test, path: /spec/restartPolicy, value: x}]",
            "[0].path: /spec/restartPolicy | the value that stands there".to_owned(),
        ),
        ("[{op: add, path: /spec/hostname}]", "[0]: an object | a value of the expected type".to_owned()),
        (
            "{spec: {containers: [{name: executor, resources: {limits: {nvidia.com/gpu: lots}}}]}}",
            format!(
                "spec.containers[executor].resources.limits.nvidia.com/gpu: lots | {}",
                "lots".parse::<config_core::value::Quantity>().unwrap_err().expected
            ),
        ),
        (
            "{spec: {resources: {limits: {cpu: 1}, requests: {cpu: 2}}}}",
            "spec.resources.requests.cpu: 2 | at most the limit, 1".to_owned(),
        ),
        (
            "{spec: {dnsPolicy: null}}",
            "spec.dnsPolicy: null, which removes a field | a field that the pod has".to_owned(),
        ),
    ] {
        assert_eq!(problems(patch), [expected], "{patch}");
    }
}

#[test]
fn policy_applies_to_patch_and_names_it() {
    let patch =
        "{spec: {hostNetwork: true, containers: [{name: executor, securityContext: {privileged: true}}]}}";
    let mut request = Request::with(overrides(&[("EPHEMERAL_CONFIG_POD_PATCH", patch)]));
    let messages = request.messages();
    assert_eq!(messages.len(), 2, "{messages:?}");
    for (message, field) in
        messages.iter().zip(["spec.hostNetwork", "spec.containers[executor].securityContext.privileged"])
    {
        assert!(message.starts_with("workspace variable EPHEMERAL_CONFIG_POD_PATCH: "), "{message}");
        assert!(message.contains(&format!("expected {field} to be")), "{message}");
    }
    request.rules = Policy::parse("[default]\npod-security = 'privileged'").unwrap().rules_for(&[]);
    assert!(request.validate().is_ok());
}

#[test]
fn patch_is_not_named_for_fields_of_other_variables() {
    let request = Request::with(overrides(&[
        ("EPHEMERAL_CONFIG_POD_PATCH", "{spec: {hostname: a}}"),
        ("EPHEMERAL_CONFIG_SECURITY_CONTEXT", "addCapabilities=SYS_ADMIN"),
    ]));
    let messages = request.messages();
    assert_eq!(messages.len(), 1, "{messages:?}");
    assert!(
        messages[0].starts_with("workspace variable EPHEMERAL_CONFIG_SECURITY_CONTEXT: "),
        "{messages:?}"
    );
}

#[test]
fn explains_patched_field_by_patch_without_secrets() {
    let patch = "[{op: add, path: /spec/hostname, value: a}]";
    let mut request = Request::with(overrides(&[("EPHEMERAL_CONFIG_POD_PATCH", patch)]));
    request.access = Some(AttemptAccess::new("https://a", "s3cret"));
    let plan = request.validate().unwrap();
    let by_patch: Vec<(String, Origin)> = plan
        .explain()
        .fields
        .into_iter()
        .filter(|field| field.origin.key == workspace::POD_PATCH.name())
        .map(|field| (field.path, field.origin))
        .collect();
    assert_eq!(by_patch.len(), 1, "{by_patch:?}");
    assert_eq!(by_patch[0].0, "spec.template.spec.hostname");
    let template = serde_json::to_string(&plan.template).unwrap();
    assert!(!template.contains("s3cret") && !template.contains("EphemeralJobData"), "{template}");
}
