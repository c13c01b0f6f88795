//! What is refused in values that are YAML, with which words.

use crate::validate::tests::{Request, overrides};

/// The problems of one variable, without its name, which is the same in all of them.
fn problems(variables: &[(&str, &str)]) -> Vec<String> {
    let request = Request::with(overrides(variables));
    let Err(problems) = request.validate() else { return Vec::new() };
    let text = |problem: &config_core::Problem| match &problem.found {
        Some(found) => format!("{found} | {}", problem.expected),
        None => problem.expected.clone(),
    };
    problems.iter().map(text).collect()
}

#[test]
fn a_problem_names_variable_and_path() {
    let variables = [("EPHEMERAL_CONFIG_AFFINITY_PLAN", "nodeAffinty: {}")];
    let overrides = config_core::WorkspaceOverrides::parse(
        &variables.into_iter().collect(),
        Some(config_core::StepKind::Plan),
    );
    let request = Request::with(overrides.unwrap());
    assert_eq!(
        request.messages(),
        [
            "workspace variable EPHEMERAL_CONFIG_AFFINITY_PLAN: found \"nodeAffinty\", expected a field that Kubernetes \
             has there"
        ]
    );
}

#[test]
fn affinity_is_strict_and_obeys_the_rules_of_kubernetes() {
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
        ("{operator: Exists}", vec![format!("{at}.key: nothing | a value, which Kubernetes requires")]),
        (
            "{key: a, operator: null}",
            vec![format!("{at}.operator: nothing | a value, which Kubernetes requires")],
        ),
        (
            "{key: a, operator: Exists, values: null}",
            vec![format!("{at}.values: nothing | a value, or no such field")],
        ),
        (
            "{key: a, operator: Exists, operatr: x, valuez: y}",
            vec![
                format!("{at}.operatr | a field that Kubernetes has there"),
                format!("{at}.valuez | a field that Kubernetes has there"),
            ],
        ),
        ("x", vec![format!("{at}: text | an object or value of the type NodeSelectorRequirement")]),
    ];
    for (list, expected) in cases {
        assert_eq!(expressions(list), expected, "{list}");
    }
}

#[test]
fn affinity_to_pods_obeys_the_rules_of_kubernetes() {
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
fn topology_spread_obeys_the_rules_of_kubernetes_and_the_faults_of_every_item_are_told() {
    let spread = |text: &str| problems(&[("EPHEMERAL_CONFIG_TOPOLOGY_SPREAD", text)]);
    let fine = "{maxSkew: 1, topologyKey: zone, whenUnsatisfiable: DoNotSchedule, minDomains: 2}";
    assert_eq!(spread(&format!("[{fine}]")), [""; 0]);
    assert_eq!(spread("[]"), [""; 0]);
    assert_eq!(
        spread(&format!("[{fine}, {fine}]")),
        ["[1] | another topologyKey or whenUnsatisfiable than [0] has"]
    );
    assert_eq!(
        spread(
            "[{maxSkew: one}, 7, {}, \
             {maxSkew: 0, topologyKey: z, whenUnsatisfiable: ScheduleAnyway, minDomains: 0, nodeTaintsPolicy: No, matchLabelKeys: [a b]}]"
        ),
        [
            "[0].maxSkew: text | a whole number",
            "[1]: a number | an object or value of the type TopologySpreadConstraint",
            "[2].maxSkew: nothing | a value, which Kubernetes requires",
            "[2].topologyKey: nothing | a value, which Kubernetes requires",
            "[2].whenUnsatisfiable: nothing | a value, which Kubernetes requires",
            "[3].maxSkew: 0 | 1 or more",
            "[3].minDomains: 0 | 1 or more",
            "[3].minDomains: 0 | whenUnsatisfiable: DoNotSchedule beside it",
            "[3].nodeTaintsPolicy: No | one of Honor, Ignore",
            &format!("[3].matchLabelKeys[0]: a b | {}", config_core::kubernetes::Rule::LabelKey.expected()),
        ]
    );
}

#[test]
fn a_long_path_is_shown_by_its_end_and_a_long_text_not_at_all() {
    let deep = (0..20).fold("1".to_owned(), |inner, _| format!("{{{}: {inner}}}", "é".repeat(20)));
    let found = problems(&[("EPHEMERAL_CONFIG_AFFINITY", &deep)]);
    assert_eq!(found, [format!("{} | a field that Kubernetes has there", "é".repeat(20))]);
    let key = "k".repeat(500);
    let found = problems(&[("EPHEMERAL_CONFIG_AFFINITY", &format!("{{{key}: 1}}"))]);
    assert_eq!(found, [format!("…{} | a field that Kubernetes has there", "k".repeat(160))]);
    let text = format!("[{{maxSkew: 1, whenUnsatisfiable: ScheduleAnyway, topologyKey: {key}}}]");
    assert!(
        problems(&[("EPHEMERAL_CONFIG_TOPOLOGY_SPREAD", &text)])[0]
            .starts_with("[0].topologyKey: a long text |")
    );
}
