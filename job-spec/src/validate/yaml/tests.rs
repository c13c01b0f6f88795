//! What is refused in values that are YAML, with which message.

use crate::validate::tests::{Request, overrides};

/// The problems of one variable, without its name, which is the same in all of them.
pub(super) fn problems(variables: &[(&str, &str)]) -> Vec<String> {
    let request = Request::with(overrides(variables));
    let Err(problems) = request.validate() else { return Vec::new() };
    let text = |problem: &config_core::Problem| match &problem.found {
        Some(found) => format!("{found} | {}", problem.expected),
        None => problem.expected.clone(),
    };
    problems.iter().map(text).collect()
}

#[test]
fn problem_names_variable_and_path() {
    let variables = [("EPHEMERAL_CONFIG_AFFINITY_PLAN", "nodeAffinty: {}")];
    let overrides = config_core::WorkspaceOverrides::parse(
        &variables.into_iter().collect(),
        Some(config_core::StepKind::Plan),
    );
    let request = Request::with(overrides.unwrap());
    assert_eq!(
        request.messages(),
        ["workspace variable EPHEMERAL_CONFIG_AFFINITY_PLAN: found \"nodeAffinty: unknown field\", \
             expected a field of the Kubernetes API"]
    );
}

#[test]
fn validates_node_affinity_strictly() {
    let required = "nodeAffinity: {requiredDuringSchedulingIgnoredDuringExecution: {nodeSelectorTerms: ";
    let path = "nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution.nodeSelectorTerms";
    let node = |terms: &str| problems(&[("EPHEMERAL_CONFIG_AFFINITY", &format!("{required}{terms}}}}}"))]);
    let expressions = |list: &str| node(&format!("[{{matchExpressions: [{list}]}}]"));
    assert_eq!(node("[{matchFields: [{key: metadata.name, operator: In, values: [a]}]}]"), [""; 0]);
    assert_eq!(expressions("{key: a, operator: Exists}, {key: b, operator: Gt, values: ['1']}"), [""; 0]);
    assert_eq!(
        node("[]"),
        [format!("{path}: an empty list | at least one term; without terms no node is chosen")]
    );
    let at = format!("{path}[0].matchExpressions[0]");
    let cases = [
        (
            "{key: a, operator: Inn, values: [b]}",
            vec![format!("{at}.operator: Inn | one of In, NotIn, Exists, DoesNotExist, Gt, Lt")],
        ),
        ("{key: a, operator: In}", vec![format!("{at}.values: 0 | at least one value beside this operator")]),
        (
            "{key: a, operator: Exists, values: [b]}",
            vec![format!("{at}.values: 1 | no values beside this operator")],
        ),
        ("{key: a, operator: Lt, values: [x]}", vec![format!("{at}.values[0]: x | a whole number, as text")]),
        (
            "{key: a, operator: Lt, values: ['1', '2']}",
            vec![format!("{at}.values: 2 | exactly one value beside this operator")],
        ),
        ("{key: a, operator: In, values: [hunter2, 1]}", vec![format!("{at}.values[1]: a number | text")]),
        ("{operator: Exists}", vec![format!("{at}.key: nothing | a value: the field is required")]),
        (
            "{key: a, operator: null}",
            vec![format!("{at}.operator: nothing | a value: the field is required")],
        ),
        (
            "{key: a, operator: Exists, values: null}",
            vec![format!("{at}.values: null | a value, or no such field")],
        ),
        (
            "{key: a, operator: Exists, operatr: x, valuez: y}",
            vec![
                format!("{at}.operatr: unknown field | a field of the Kubernetes API"),
                format!("{at}.valuez: unknown field | a field of the Kubernetes API"),
            ],
        ),
        ("x", vec![format!("{at}: text | an object or value of the type NodeSelectorRequirement")]),
    ];
    for (list, expected) in cases {
        assert_eq!(expressions(list), expected, "{list}");
    }
}

#[test]
fn validates_pod_affinity() {
    let text = "
podAffinity:
  requiredDuringSchedulingIgnoredDuringExecution:
  - topologyKey: zone name
    namespaces: [A]
    matchLabelKeys: [a]
podAntiAffinity:
  preferredDuringSchedulingIgnoredDuringExecution:
  - weight: 101
    podAffinityTerm:
      topologyKey: zone
      labelSelector:
        matchLabels: {a b: c, d: e f}
        matchExpressions: [{key: g, operator: Gt, values: ['1']}]
  - weight: 1
    podAffinityTerm: {topologyKey: zone}
";
    let required = "podAffinity.requiredDuringSchedulingIgnoredDuringExecution[0]";
    let preferred = "podAntiAffinity.preferredDuringSchedulingIgnoredDuringExecution[0]";
    let found: Vec<String> = problems(&[("EPHEMERAL_CONFIG_AFFINITY", text)])
        .into_iter()
        .map(|text| text.split(" | ").next().unwrap().to_owned())
        .collect();
    assert_eq!(
        found,
        [
            format!("{required}.topologyKey: zone name"),
            format!("{required}.matchLabelKeys"),
            format!("{required}.namespaces[0]: A"),
            format!("{preferred}.weight: 101"),
            format!("{preferred}.podAffinityTerm.labelSelector.matchLabels: a b"),
            format!("{preferred}.podAffinityTerm.labelSelector.matchLabels.d: e f"),
            format!("{preferred}.podAffinityTerm.labelSelector.matchExpressions[0].operator: Gt"),
        ]
    );
}

#[test]
fn validates_topology_spread_and_reports_errors_of_every_item() {
    let spread = |text: &str| problems(&[("EPHEMERAL_CONFIG_TOPOLOGY_SPREAD", text)]);
    let fine = "{maxSkew: 1, topologyKey: zone, whenUnsatisfiable: DoNotSchedule, minDomains: 1}";
    assert_eq!(spread(&format!("[{fine}]")), [""; 0]);
    assert_eq!(spread("[]"), [""; 0]);
    for other in [
        "topologyKey: zone, whenUnsatisfiable: ScheduleAnyway",
        "topologyKey: host, whenUnsatisfiable: DoNotSchedule",
    ] {
        assert_eq!(spread(&format!("[{fine}, {{maxSkew: 1, {other}}}]")), [""; 0], "{other}");
    }
    assert_eq!(
        spread(&format!("[{fine}, {fine}]")),
        ["[1] | another topologyKey or whenUnsatisfiable than [0] has"]
    );
    assert_eq!(
        spread(
            "[{maxSkew: one}, 7, {}, \
             {maxSkew: 0, topologyKey: z, whenUnsatisfiable: ScheduleAnyway, minDomains: 0, \
             nodeTaintsPolicy: No, matchLabelKeys: [a b]}]"
        ),
        [
            "[0].maxSkew: text | a whole number",
            "[1]: a number | an object or value of the type TopologySpreadConstraint",
            "[2].maxSkew: nothing | a value: the field is required",
            "[2].topologyKey: nothing | a value: the field is required",
            "[2].whenUnsatisfiable: nothing | a value: the field is required",
            "[3].maxSkew: 0 | 1 or more",
            "[3].minDomains: 0 | 1 or more",
            "[3].minDomains: 0 | whenUnsatisfiable: DoNotSchedule beside it",
            "[3].nodeTaintsPolicy: No | one of Honor, Ignore",
            &format!("[3].matchLabelKeys[0]: a b | {}", config_core::kubernetes::Rule::LabelKey.expected()),
        ]
    );
}

#[test]
fn shortens_long_paths_and_hides_long_texts() {
    let deep = (0..20).fold("1".to_owned(), |inner, _| format!("{{{}: {inner}}}", "é".repeat(20)));
    let found = problems(&[("EPHEMERAL_CONFIG_AFFINITY", &deep)]);
    assert_eq!(found, [format!("{}: unknown field | a field of the Kubernetes API", "é".repeat(20))]);
    let key = "k".repeat(500);
    let found = problems(&[("EPHEMERAL_CONFIG_AFFINITY", &format!("{{{key}: 1}}"))]);
    assert_eq!(found, [format!("…{}: unknown field | a field of the Kubernetes API", "k".repeat(160))]);
    for (key, shown) in [(key.as_str(), "a long text"), ("''", "empty text"), ("-a", "-a")] {
        let text = format!("[{{maxSkew: 1, whenUnsatisfiable: ScheduleAnyway, topologyKey: {key}}}]");
        let found = problems(&[("EPHEMERAL_CONFIG_TOPOLOGY_SPREAD", &text)]).swap_remove(0);
        assert!(found.starts_with(&format!("[0].topologyKey: {shown} |")), "{found}");
    }
}

#[test]
fn validates_volumes_and_unique_names() {
    let volumes = |text: &str| problems(&[("EPHEMERAL_CONFIG_VOLUMES", text)]);
    assert_eq!(
        volumes("[{name: a, emptyDir: {}}, {name: b, nfs: {server: s, path: /x}}, {name: c}]"),
        [""; 0]
    );
    let taken = "a name that no other setting uses";
    let rule = config_core::kubernetes::Rule::DnsLabel.expected();
    let cases = [
        ("{name: tmp, emptyDir: {}}", format!("[0].name: tmp | {taken}")),
        ("{name: config-volume}", format!("[0].name: config-volume | {taken}")),
        ("{name: tf-plugin-volume}", format!("[0].name: tf-plugin-volume | {taken}")),
        ("{name: A}", format!("[0].name: A | {rule}")),
        ("{emptyDir: {}}", "[0].name: nothing | a value: the field is required".to_owned()),
        ("{name: a}, {name: a}", "[1].name: a | a name that stands once in the list".to_owned()),
        (
            "{name: a, emptyDir: {}, nfs: {server: s, path: /x}}",
            "[0]: emptyDir and nfs | one of them: a volume is of one kind".to_owned(),
        ),
        ("{name: a, emptydir: {}}", "[0].emptydir: unknown field | a field of the Kubernetes API".to_owned()),
    ];
    for (list, expected) in cases {
        assert_eq!(volumes(&format!("[{list}]")), [expected], "{list}");
    }
    assert!(
        volumes("[{name: a, emptyDir: {sizeLimit: many}}]")[0].starts_with("[0].emptyDir.sizeLimit: many |")
    );
}

#[test]
fn rejects_mount_inside_read_only_volume() {
    let inside = |volume: &str, read_only: bool| {
        problems(&[
            ("EPHEMERAL_CONFIG_VOLUMES", format!("[{{name: a}}, {{name: r, {volume}}}]").as_str()),
            (
                "EPHEMERAL_CONFIG_VOLUME_MOUNTS",
                &format!("[{{name: r, mountPath: /r, readOnly: {read_only}}}, {{name: a, mountPath: /r/x}}]"),
            ),
        ])
    };
    for volume in [
        "configMap: {name: x}",
        "secret: {secretName: x}",
        "projected: {sources: [{configMap: {name: x}}]}",
        "downwardAPI: {items: [{path: x, fieldRef: {fieldPath: metadata.name}}]}",
        "image: {reference: x}",
    ] {
        assert!(inside(volume, false)[0].contains("and read-only"), "{volume}: {:?}", inside(volume, false));
    }
    assert_eq!(inside("emptyDir: {}", false), [""; 0]);
    assert!(inside("emptyDir: {}", true)[0].contains("and read-only"));
}

#[test]
fn validates_mounts_and_unique_paths() {
    let mounts = |text: &str| {
        problems(&[
            ("EPHEMERAL_CONFIG_VOLUMES", "[{name: a}, {name: s, secret: {secretName: x}}]"),
            ("EPHEMERAL_CONFIG_MAP_NAME", "extra"),
            ("EPHEMERAL_CONFIG_VOLUME_MOUNTS", text),
        ])
    };
    let variable = "EPHEMERAL_CONFIG_VOLUME_MOUNTS";
    for fine in [
        "{name: a, mountPath: /x}, {name: config-volume, mountPath: /y}",
        "{name: a, mountPath: /x, subPath: b/c}",
    ] {
        assert_eq!(mounts(&format!("[{fine}]")), [""; 0], "{fine}");
    }
    let cases = [
        (
            "{name: b, mountPath: /x}",
            "[0].name: b | a volume of the pod, which are a, config-volume, s".to_owned(),
        ),
        (
            "{name: tmp, mountPath: /x}",
            "[0].name: tmp | a volume of the pod, which are a, config-volume, s".to_owned(),
        ),
        ("{name: a}", "[0].mountPath: nothing | a value: the field is required".to_owned()),
        (
            "{name: a, mountPath: /x, subPath: ../y}",
            "[0].subPath: ../y | a relative path without `..`".to_owned(),
        ),
        (
            "{name: a, mountPath: /x, subPath: y, subPathExpr: z}",
            "[0]: subPath and subPathExpr | one of them".to_owned(),
        ),
        (
            "{name: a, mountPath: /data/}",
            "/data/ | another path than \"/data\", which is that of EPHEMERAL_CONFIG_MAP_MOUNT_PATH"
                .to_owned(),
        ),
        (
            "{name: a, mountPath: /data/x}",
            "/data/x | a path outside \"/data\", which is that of \
             EPHEMERAL_CONFIG_MAP_MOUNT_PATH and read-only"
                .to_owned(),
        ),
        (
            "{name: s, mountPath: /s}, {name: a, mountPath: /s/x}",
            format!("/s/x | a path outside \"/s\", which is that of {variable} and read-only"),
        ),
        (
            "{name: a, mountPath: /x}, {name: a, mountPath: //x}",
            format!("//x | another path than \"/x\", which is that of {variable}"),
        ),
    ];
    for (list, expected) in cases {
        assert_eq!(mounts(&format!("[{list}]")), [expected], "{list}");
    }
    assert_eq!(
        problems(&[(variable, "[{name: a, mountPath: /x}]")]),
        ["[0].name: a | a volume of EPHEMERAL_CONFIG_VOLUMES; the pod has none"]
    );
}

#[test]
fn validates_containers_and_unique_names() {
    let init = |text: &str| {
        problems(&[
            ("EPHEMERAL_CONFIG_SIDECARS", "[{name: side, image: a, lifecycle: {}}]"),
            ("EPHEMERAL_CONFIG_INIT_CONTAINERS", text),
        ])
    };
    assert_eq!(
        init("[{name: a, image: b}, {name: c, image: d, restartPolicy: Always, livenessProbe: {}}]"),
        [""; 0]
    );
    let cases = [
        ("name: executor", "[0].name: executor | another name than that of the executor's container"),
        ("name: side", "[0].name: side | a name that no other container has"),
        ("name: a, restartPolicy: Never", "[0].restartPolicy: Never | one of Always"),
        (
            "name: a, imagePullPolicy: Often",
            "[0].imagePullPolicy: Often | one of Always, IfNotPresent, Never",
        ),
        (
            "name: a, startupProbe: {}",
            "[0].startupProbe | restartPolicy: Always beside it, which makes it a sidecar",
        ),
        ("name: a, env: [{name: B, value: 7}]", "[0].env[0].value: a number | text"),
        (
            "name: a, env: [{name: B, value: hunter2, valueFrom: {fieldRef: {fieldPath: x}}}]",
            "[0].env[0]: value and valueFrom | one of them",
        ),
        ("name: a, env: [{name: B, valueFrom: {}}]", "[0].env[0].valueFrom: 0 fields | exactly one"),
        ("name: a, envFrom: [{}]", "[0].envFrom[0] | either configMapRef or secretRef"),
        (
            "name: a, volumeMounts: [{name: b, mountPath: /x}]",
            "[0].volumeMounts[0].name: b | a volume of EPHEMERAL_CONFIG_VOLUMES; the pod has none",
        ),
        (
            "name: a, resources: {requests: {cpu: 2}, limits: {cpu: 1500m}}",
            "[0].resources.requests.cpu: 2 | at most the limit, 1500m",
        ),
    ];
    for (fields, expected) in cases {
        assert_eq!(init(&format!("[{{image: b, {fields}}}]")), [expected], "{fields}");
    }
    assert!(init("[{name: a}]")[0].starts_with("[0].image: nothing |"));
    assert!(init("[{name: A, image: b}]")[0].starts_with("[0].name: A |"));
    assert!(init("[{name: a, image: b c}]")[0].starts_with("[0].image: b c |"));
    let long = "x".repeat(60_000);
    assert!(
        !init(&format!("[{{name: a, image: b, env: [{{name: 1, value: {long}}}]}}]"))
            .concat()
            .contains("xxx")
    );
}

#[test]
fn rejects_secret_of_an_attempt_in_containers_and_volumes() {
    let expected = "another Secret: Secrets with such names hold the payload of an attempt";
    let cases = [
        ("VOLUMES", "[{name: a, secret: {secretName: job-1-100-1}}]", "[0].secret.secretName"),
        (
            "VOLUMES",
            "[{name: a, projected: {sources: [{secret: {name: job-1-100-1}}]}}]",
            "[0].projected.sources[0].secret.name",
        ),
        (
            "VOLUMES",
            "[{name: a, csi: {driver: d, nodePublishSecretRef: {name: job-1-100-1}}}]",
            "[0].csi.nodePublishSecretRef.name",
        ),
        (
            "SIDECARS",
            "[{name: a, image: b, envFrom: [{secretRef: {name: job-1-100-1}}]}]",
            "[0].envFrom[0].secretRef.name",
        ),
        (
            "INIT_CONTAINERS",
            "[{name: a, image: b, env: [{name: C, valueFrom: {secretKeyRef: {name: job-1-100-1, key: k}}}]}]",
            "[0].env[0].valueFrom.secretKeyRef.name",
        ),
    ];
    for (variable, text, path) in cases {
        let variable = format!("EPHEMERAL_CONFIG_{variable}");
        assert_eq!(problems(&[(&variable, text)]), [format!("{path}: job-1-100-1 | {expected}")], "{text}");
        assert_eq!(problems(&[(&variable, &text.replace("job-1-100-1", "job-1-100"))]), [""; 0], "{text}");
    }
    // Other things may have such names.
    assert_eq!(
        problems(&[("EPHEMERAL_CONFIG_SIDECARS", "[{name: job-1-100-1, image: job-1-100-1}]")]),
        [""; 0]
    );
}
