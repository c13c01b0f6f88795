//! Each control with a value that violates it and the lowest level that has it,
//! compared with the messages of a real server.

use config_core::{Origin, Policy, SourceName};
use serde_json::{Value, json};

use super::*;

/// A pod of a namespace that enforces the level restricted; it ran on Kubernetes 1.36.2 without a warning.
fn conforming() -> Value {
    json!({
        "metadata": {},
        "spec": {
            "restartPolicy": "Never",
            "automountServiceAccountToken": false,
            "enableServiceLinks": false,
            "securityContext": {
                "runAsNonRoot": true, "runAsUser": 1000, "runAsGroup": 1000, "fsGroup": 1000,
                "seccompProfile": {"type": "RuntimeDefault"},
            },
            "containers": [{
                "name": "executor",
                "image": "localhost/busybox:1",
                "securityContext": {"allowPrivilegeEscalation": false, "capabilities": {"drop": ["ALL"]}},
            }],
        },
    })
}

fn fields(template: &Value, level: PodSecurityLevel) -> Vec<String> {
    let template: PodTemplateSpec = serde_json::from_value(template.clone()).unwrap();
    violations(&template, level).into_iter().map(|violation| violation.field).collect()
}

#[test]
fn accepts_conforming_pod() {
    assert_eq!(fields(&conforming(), PodSecurityLevel::Restricted), [""; 0]);
}

#[test]
fn empty_pod_violates_same_controls_as_on_real_server() {
    // That server said of this pod: allowPrivilegeEscalation != false, unrestricted capabilities (must set
    // capabilities.drop=["ALL"]), runAsNonRoot != true (pod or container), seccompProfile (pod or container).
    let template = json!({"spec": {"containers": [{"name": "executor", "image": "localhost/busybox:1"}]}});
    assert_eq!(
        fields(&template, PodSecurityLevel::Restricted),
        [
            "spec.containers[executor].securityContext.allowPrivilegeEscalation",
            "spec.containers[executor].securityContext.capabilities.drop",
            "spec.securityContext.runAsNonRoot",
            "spec.securityContext.seccompProfile.type",
        ]
    );
    assert_eq!(fields(&template, PodSecurityLevel::Baseline), [""; 0]);
}

/// Writes a value into a conforming pod; a number in the path is a place in a list.
fn with(path: &str, value: &Value) -> Value {
    let mut template = conforming();
    let mut place = &mut template;
    for part in path.split('/') {
        place = match part.parse::<usize>() {
            Ok(index) => {
                if place.is_null() {
                    *place = json!([]);
                }
                let list = place.as_array_mut().unwrap();
                list.resize(list.len().max(index + 1), Value::Null);
                &mut list[index]
            }
            Err(_) => &mut place[part],
        };
    }
    *place = value.clone();
    template
}

/// Asserts that both levels refuse a value, by that field, and that level privileged permits it.
#[track_caller]
fn breaks_baseline(path: &str, value: &Value, field: &str) {
    let field = field.replace("own.", "spec.containers[executor].");
    let template = with(path, value);
    for level in [PodSecurityLevel::Baseline, PodSecurityLevel::Restricted] {
        assert_eq!(fields(&template, level), [field.as_str()], "{path}");
    }
    assert_eq!(fields(&template, PodSecurityLevel::Privileged), [""; 0], "{path}");
}

#[test]
fn checks_every_baseline_control_of_pods() {
    for (path, value, field) in [
        ("spec/hostNetwork", json!(true), "spec.hostNetwork"),
        ("spec/hostPID", json!(true), "spec.hostPID"),
        ("spec/hostIPC", json!(true), "spec.hostIPC"),
        (
            "spec/securityContext/windowsOptions",
            json!({"hostProcess": true}),
            "spec.securityContext.windowsOptions.hostProcess",
        ),
        ("spec/volumes", json!([{"name": "v", "hostPath": {"path": "/"}}]), "spec.volumes[v].hostPath"),
        (
            "spec/securityContext/appArmorProfile",
            json!({"type": "Unconfined"}),
            "spec.securityContext.appArmorProfile.type",
        ),
        (
            "spec/securityContext/seLinuxOptions",
            json!({"user": "u"}),
            "spec.securityContext.seLinuxOptions.user",
        ),
        (
            "spec/securityContext/seLinuxOptions",
            json!({"role": "r"}),
            "spec.securityContext.seLinuxOptions.role",
        ),
        (
            "spec/securityContext/seLinuxOptions",
            json!({"type": "spc_t"}),
            "spec.securityContext.seLinuxOptions.type",
        ),
        (
            "spec/securityContext/seccompProfile",
            json!({"type": "Unconfined"}),
            "spec.securityContext.seccompProfile.type",
        ),
        (
            "spec/securityContext/sysctls",
            json!([{"name": "kernel.msgmax", "value": "1"}]),
            "spec.securityContext.sysctls",
        ),
        (
            "metadata/annotations",
            json!({"container.apparmor.security.beta.kubernetes.io/executor": "unconfined"}),
            "metadata.annotations[container.apparmor.security.beta.kubernetes.io/executor]",
        ),
    ] {
        breaks_baseline(path, &value, field);
    }
}

#[test]
fn checks_every_baseline_control_of_containers() {
    let own = "spec/containers/0";
    for (path, value, field) in [
        (&format!("{own}/securityContext/privileged"), json!(true), "own.securityContext.privileged"),
        (
            &format!("{own}/securityContext/capabilities/add"),
            json!(["SYS_ADMIN"]),
            "own.securityContext.capabilities.add",
        ),
        (&format!("{own}/securityContext/procMount"), json!("Unmasked"), "own.securityContext.procMount"),
        (
            &format!("{own}/securityContext/windowsOptions"),
            json!({"hostProcess": true}),
            "own.securityContext.windowsOptions.hostProcess",
        ),
        (
            &format!("{own}/securityContext/seccompProfile"),
            json!({"type": "Unconfined"}),
            "own.securityContext.seccompProfile.type",
        ),
        (
            &format!("{own}/securityContext/appArmorProfile"),
            json!({"type": "Unconfined"}),
            "own.securityContext.appArmorProfile.type",
        ),
        (
            &format!("{own}/securityContext/seLinuxOptions"),
            json!({"type": "spc_t"}),
            "own.securityContext.seLinuxOptions.type",
        ),
        (&format!("{own}/ports"), json!([{"containerPort": 80, "hostPort": 80}]), "own.ports.hostPort"),
        (
            &format!("{own}/livenessProbe"),
            json!({"httpGet": {"host": "h", "port": 1}}),
            "own.livenessProbe.httpGet.host",
        ),
        (
            &format!("{own}/readinessProbe"),
            json!({"tcpSocket": {"host": "h", "port": 1}}),
            "own.readinessProbe.tcpSocket.host",
        ),
        (
            &format!("{own}/startupProbe"),
            json!({"tcpSocket": {"host": "h", "port": 1}}),
            "own.startupProbe.tcpSocket.host",
        ),
        (
            &format!("{own}/lifecycle"),
            json!({"preStop": {"httpGet": {"host": "h", "port": 1}}}),
            "own.lifecycle.preStop.httpGet.host",
        ),
        (
            &format!("{own}/lifecycle"),
            json!({"postStart": {"tcpSocket": {"host": "h", "port": 1}}}),
            "own.lifecycle.postStart.tcpSocket.host",
        ),
    ] {
        breaks_baseline(path, &value, field);
    }
}

#[test]
fn checks_every_restricted_control() {
    let own = "spec/containers/0/securityContext";
    for (path, value, field) in [
        ("spec/volumes", json!([{"name": "v", "nfs": {"path": "/", "server": "s"}}]), "spec.volumes[v]"),
        ("spec/securityContext/runAsNonRoot", json!(false), "spec.securityContext.runAsNonRoot"),
        ("spec/securityContext/runAsNonRoot", json!(null), "spec.securityContext.runAsNonRoot"),
        ("spec/securityContext/runAsUser", json!(0), "spec.securityContext.runAsUser"),
        ("spec/securityContext/seccompProfile", json!(null), "spec.securityContext.seccompProfile.type"),
        (&format!("{own}/allowPrivilegeEscalation"), json!(true), "own.allowPrivilegeEscalation"),
        (&format!("{own}/allowPrivilegeEscalation"), json!(null), "own.allowPrivilegeEscalation"),
        (&format!("{own}/runAsNonRoot"), json!(false), "own.runAsNonRoot"),
        (&format!("{own}/runAsUser"), json!(0), "own.runAsUser"),
        (&format!("{own}/capabilities/drop"), json!(["CHOWN"]), "own.capabilities.drop"),
        (&format!("{own}/capabilities/add"), json!(["CHOWN"]), "own.capabilities.add"),
    ] {
        let field = field.replace("own.", "spec.containers[executor].securityContext.");
        let template = with(path, &value);
        assert_eq!(fields(&template, PodSecurityLevel::Restricted), [field], "{path}");
        assert_eq!(fields(&template, PodSecurityLevel::Baseline), [""; 0], "{path}");
    }
}

#[test]
fn accepts_values_that_levels_permit() {
    let own = "spec/containers/0";
    for (path, value) in [
        ("spec/hostNetwork", json!(false)),
        ("spec/securityContext/seccompProfile", json!({"type": "Localhost", "localhostProfile": "p"})),
        ("spec/securityContext/appArmorProfile", json!({"type": "RuntimeDefault"})),
        ("spec/securityContext/seLinuxOptions", json!({"type": "container_t", "level": "s0"})),
        ("spec/securityContext/sysctls", json!([{"name": "net.ipv4.tcp_syncookies", "value": "1"}])),
        (
            "metadata/annotations",
            json!({"container.apparmor.security.beta.kubernetes.io/executor": "localhost/p"}),
        ),
        (
            "spec/volumes",
            json!([
                {"name": "a", "emptyDir": {}}, {"name": "b", "secret": {"secretName": "s"}},
                {"name": "c", "configMap": {"name": "c"}}, {"name": "d", "persistentVolumeClaim": {"claimName": "c"}},
                {"name": "e", "csi": {"driver": "d"}}, {"name": "f", "downwardAPI": {}}, {"name": "g", "projected": {}},
                {"name": "h", "ephemeral": {}}, {"name": "i", "image": {"reference": "mirror:1"}},
            ]),
        ),
        (&format!("{own}/securityContext/capabilities/add"), json!(["NET_BIND_SERVICE"])),
        (&format!("{own}/securityContext/procMount"), json!("Default")),
        (&format!("{own}/ports"), json!([{"containerPort": 80}])),
        (&format!("{own}/livenessProbe"), json!({"httpGet": {"port": 1}})),
    ] {
        assert_eq!(fields(&with(path, &value), PodSecurityLevel::Restricted), [""; 0], "{path}");
    }
}

#[test]
fn checks_init_containers_and_reports_missing_pod_fields_once() {
    let mut template = conforming();
    template["spec"]["securityContext"] = json!({});
    template["spec"]["initContainers"] = json!([{"name": "git"}]);
    assert_eq!(
        fields(&template, PodSecurityLevel::Restricted),
        [
            "spec.securityContext.runAsNonRoot",
            "spec.securityContext.seccompProfile.type",
            "spec.initContainers[git].securityContext.allowPrivilegeEscalation",
            "spec.initContainers[git].securityContext.capabilities.drop",
        ]
    );
    let own = json!({"runAsNonRoot": true, "seccompProfile": {"type": "RuntimeDefault"}, "allowPrivilegeEscalation": false,
        "capabilities": {"drop": ["ALL"]}});
    template["spec"]["initContainers"][0]["securityContext"] = own.clone();
    template["spec"]["containers"][0]["securityContext"] = own;
    assert_eq!(fields(&template, PodSecurityLevel::Restricted), [""; 0]);
}

fn check_root(source: Option<SourceName>) -> (Vec<String>, Vec<String>) {
    let template = serde_json::from_value(with("spec/securityContext/runAsUser", &json!(0))).unwrap();
    let rules = Policy::parse("[default]\npod-security = 'restricted'\n").unwrap().rules_for(&[]);
    let key = workspace::POD_SECURITY_CONTEXT.name();
    let origins = source.map(|source| (key, Origin::new(source, key))).into_iter().collect();
    let mut problems = Vec::new();
    let warnings = check(&template, &rules, &origins, &PatchedFields::default(), &mut problems);
    let texts = |warnings: &[Warning]| warnings.iter().map(ToString::to_string).collect();
    (problems.iter().map(ToString::to_string).collect(), texts(&warnings))
}

#[test]
fn refuses_workspace_by_variable_and_warns_operator() {
    let none: Vec<String> = Vec::new();
    assert_eq!(
        check_root(Some(SourceName::Workspace)),
        (
            vec![
                "workspace variable EPHEMERAL_CONFIG_POD_SECURITY_CONTEXT: found \"0\", expected \
                 spec.securityContext.runAsUser to be absent or another than 0 (Running as Non-root user, \
                 Pod Security level restricted), by policy default.pod-security"
                    .to_owned()
            ],
            none.clone()
        )
    );
    assert_eq!(
        check_root(None).0,
        ["policy default.pod-security: found \"0\", expected spec.securityContext.runAsUser to be absent \
             or another than 0 (Running as Non-root user, Pod Security level restricted)"]
    );
    assert_eq!(
        check_root(Some(SourceName::SettingsFile)),
        (
            none,
            vec![
                "settings file EPHEMERAL_CONFIG_POD_SECURITY_CONTEXT: found \"0\", although policy \
                 default.pod-security wants spec.securityContext.runAsUser to be absent or another than 0 \
                 (Running as Non-root user, Pod Security level restricted); \
                 the settings file and the policy contradict each other"
                    .to_owned()
            ]
        )
    );
}
