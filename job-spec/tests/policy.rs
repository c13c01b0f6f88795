//! The policy program: with a policy that forbids service accounts and images of workspaces,
//! no public way renders them.
//!
//! The ways that do not compile are documentation tests of `Planner`.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail by a panic too")]

use std::collections::BTreeMap;

use config_core::{Collection, EnvSnapshot, EphemeralSettings, Policy, SettingsFile, Variables};
use job_spec::{
    AttemptAccess, AttemptKey, Defect, EphemeralJobData, Organization, Planner, Profile, StepType,
};
use serde_json::Value;

/// Everything else is permitted, so that only the two rules can refuse.
const FORBID: &str = "
[default]
allow = [
  'EPHEMERAL_CONFIG_INIT_CONTAINERS', 'EPHEMERAL_CONFIG_POD_PATCH', 'EPHEMERAL_CONFIG_SIDECARS',
  'EPHEMERAL_CONFIG_VOLUMES',
]
forbid = ['EPHEMERAL_CONFIG_IMAGE', 'EPHEMERAL_CONFIG_SERVICE_ACCOUNT']
pod-security = 'privileged'
";

/// A name that stands in a rendered Job only if a rule was skipped.
const EVIL: &str = "evil";

/// Variables that ask for an account or an image in every way that the pod of a Job has for one.
const ATTEMPTS: &[&[(&str, &str)]] = &[
    &[("EPHEMERAL_CONFIG_SERVICE_ACCOUNT", "evil")],
    &[("EPHEMERAL_CONFIG_SERVICE_ACCOUNT_PLAN", "evil"), ("EPHEMERAL_CONFIG_SERVICE_ACCOUNT_APPLY", "evil")],
    &[("EPHEMERAL_CONFIG_IMAGE", "evil")],
    &[("EPHEMERAL_CONFIG_IMAGE_PLAN", "evil"), ("EPHEMERAL_CONFIG_IMAGE_APPLY", "evil")],
    &[("EPHEMERAL_CONFIG_INIT_CONTAINERS", "[{name: a, image: evil}]")],
    &[("EPHEMERAL_CONFIG_SIDECARS", "[{name: a, image: evil}]")],
    &[("EPHEMERAL_CONFIG_VOLUMES", "[{name: a, image: {reference: evil}}]")],
    &[(
        "EPHEMERAL_CONFIG_VOLUMES",
        "[{name: a, projected: {sources: [{serviceAccountToken: {path: evil}}]}}]",
    )],
    &[("EPHEMERAL_CONFIG_POD_PATCH", "{spec: {serviceAccountName: evil}}")],
    &[("EPHEMERAL_CONFIG_POD_PATCH", "{spec: {serviceAccount: evil}}")],
    &[("EPHEMERAL_CONFIG_POD_PATCH", "{spec: {containers: [{name: executor, image: evil}]}}")],
    &[("EPHEMERAL_CONFIG_POD_PATCH", "{spec: {containers: [{name: second, image: evil}]}}")],
    &[("EPHEMERAL_CONFIG_POD_PATCH", "{spec: {initContainers: [{name: first, image: evil}]}}")],
    &[("EPHEMERAL_CONFIG_POD_PATCH", "{spec: {ephemeralContainers: [{name: late, image: evil}]}}")],
    &[("EPHEMERAL_CONFIG_POD_PATCH", "{spec: {volumes: [{name: v, image: {reference: evil}}]}}")],
    &[("EPHEMERAL_CONFIG_POD_PATCH", "[{op: add, path: /spec/serviceAccountName, value: evil}]")],
    &[("EPHEMERAL_CONFIG_POD_PATCH", "[{op: replace, path: /spec/containers/0/image, value: evil}]")],
    &[("EPHEMERAL_CONFIG_POD_PATCH", "[{op: add, path: /spec/containers/-, value: {name: b, image: evil}}]")],
    &[(
        "EPHEMERAL_CONFIG_POD_PATCH",
        "[{op: add, path: /spec/initContainers, value: [{name: b, image: evil}]}]",
    )],
    // A second item of one name does not hide behind the first one.
    &[(
        "EPHEMERAL_CONFIG_POD_PATCH",
        "[{op: add, path: /spec/containers/0, value: {name: executor, image: evil}}]",
    )],
    &[
        ("EPHEMERAL_CONFIG_INIT_CONTAINERS", "[{name: a, image: 'azbuilder/executor:2.22.0'}]"),
        (
            "EPHEMERAL_CONFIG_POD_PATCH",
            "[{op: add, path: /spec/initContainers/0, value: {name: a, image: evil}}]",
        ),
    ],
    &[
        ("EPHEMERAL_CONFIG_VOLUMES", "[{name: a, emptyDir: {}}]"),
        (
            "EPHEMERAL_CONFIG_POD_PATCH",
            "[{op: add, path: /spec/volumes/0, value: {name: a, image: {reference: evil}}}]",
        ),
    ],
    // The image of the platform is permitted, and a patch of the init container is not.
    &[
        ("EPHEMERAL_CONFIG_INIT_CONTAINERS", "[{name: a, image: 'azbuilder/executor:2.22.0'}]"),
        ("EPHEMERAL_CONFIG_POD_PATCH", "{spec: {initContainers: [{name: a, image: evil}]}}"),
    ],
];

fn organization() -> Organization {
    Organization::new("org-7", "acme")
}

fn payload(key: &AttemptKey, step_type: StepType) -> EphemeralJobData {
    EphemeralJobData::new(step_type, key, "step-1")
}

/// The same variables, set in each layer that owners of workspaces and organizations have.
fn layers(pairs: &[(&str, &str)]) -> [Variables; 3] {
    let map: BTreeMap<String, String> =
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    let none = BTreeMap::new();
    let collection = Collection { name: "c/d.e".to_owned(), priority: 1, variables: map.clone() };
    [
        Variables::merge(&map, &none, &[]),
        Variables::merge(&none, &map, &[]),
        Variables::merge(&none, &none, &[collection]),
    ]
}

/// One type of step of each kind.
const STEP_TYPES: [StepType; 3] =
    [StepType::TerraformPlan, StepType::TerraformApply, StepType::CustomScripts];

/// Renders by every public way and returns the objects as JSON, without the values that may be secret.
fn rendered(planner: &Planner<'_>, variables: &Variables, step_type: StepType) -> Vec<String> {
    let key = AttemptKey::new(organization(), "ws-8", 42, 100, 1);
    let payload = payload(&key, step_type);
    let access = AttemptAccess::new("https://api.example.com/a", "t");
    let mut objects: Vec<Value> = Vec::new();
    if let Ok(plan) = planner.plan(variables, &payload, &key, access.clone()) {
        objects.push(serde_json::to_value(plan.job()).unwrap());
        objects.push(serde_json::to_value(plan.explain()).unwrap());
        objects.push(serde_json::to_value(plan.into_objects()).unwrap());
    }
    for profile in [Profile::Safe, Profile::Compatible] {
        let explanation = planner.preview(profile, variables, &payload, &key, access.clone()).explanation;
        objects.push(serde_json::to_value(explanation).unwrap());
    }
    objects.push(serde_json::to_value(planner.compatible(variables, &payload, &key, access).job).unwrap());
    objects.iter().map(ToString::to_string).collect()
}

#[test]
fn forbidden_accounts_and_images_are_rendered_by_no_public_way() {
    let settings = EphemeralSettings::default();
    for policy in [FORBID.to_owned(), FORBID.replace("[default]", "[organizations.acme]"), {
        FORBID.replace("[default]", "[organizations.org-7]")
    }] {
        let policy = Policy::parse(&policy).unwrap();
        let planner = Planner::new(&settings, &policy);
        for pairs in ATTEMPTS {
            for variables in layers(pairs) {
                for step_type in STEP_TYPES {
                    for object in rendered(&planner, &variables, step_type) {
                        assert!(!object.contains(EVIL), "{step_type} {pairs:?}: {object}");
                    }
                    let key = AttemptKey::new(organization(), "ws-8", 42, 100, 1);
                    let plan = planner.plan(&variables, &payload(&key, step_type), &key, None);
                    assert!(plan.is_err(), "{step_type} {pairs:?}");
                }
            }
        }
    }
}

#[test]
fn same_variables_are_rendered_where_the_policy_permits_them() {
    let settings = EphemeralSettings::default();
    let policy = Policy::permissive();
    let planner = Planner::new(&settings, &policy);
    // A patch may change neither, whatever the policy says.
    for pairs in
        ATTEMPTS.iter().filter(|pairs| pairs[0].0 != "EPHEMERAL_CONFIG_POD_PATCH" && pairs.len() == 1)
    {
        let objects = rendered(&planner, &pairs.iter().copied().collect(), StepType::TerraformPlan);
        assert!(objects[0].contains(EVIL), "{pairs:?}: {objects:?}");
    }
}

#[test]
fn variables_of_another_settings_file_have_no_privilege() {
    let file = |text: &str| {
        let file = SettingsFile::parse(text).unwrap();
        EphemeralSettings::load_with(&EnvSnapshot::default(), Some(&file)).unwrap()
    };
    let foreign = file(
        "[variables]\nEPHEMERAL_CONFIG_SERVICE_ACCOUNT = 'evil'\n\
         [organizations.other.variables]\nEPHEMERAL_CONFIG_IMAGE = 'evil'\n",
    );
    let policy = Policy::parse(FORBID).unwrap();
    // Neither the file of other settings nor, in the same file, what it says for another organization.
    let own = file("[organizations.other.variables]\nEPHEMERAL_CONFIG_IMAGE = 'evil'\n");
    for settings in [EphemeralSettings::default(), own] {
        let planner = Planner::new(&settings, &policy);
        for variables in [foreign.variables_for(&["acme"]), foreign.variables_for(&["other"])] {
            for object in rendered(&planner, &variables, StepType::TerraformApply) {
                assert!(!object.contains(EVIL), "{object}");
            }
        }
    }
}

#[test]
fn operator_may_set_what_the_policy_forbids_workspaces() {
    let file = SettingsFile::parse("[variables]\nEPHEMERAL_CONFIG_SERVICE_ACCOUNT = 'runner'\n").unwrap();
    let settings = EphemeralSettings::load_with(&EnvSnapshot::default(), Some(&file)).unwrap();
    let policy = Policy::parse(FORBID).unwrap();
    let planner = Planner::new(&settings, &policy);
    let of_operator = rendered(&planner, &Variables::default(), StepType::TerraformPlan);
    assert!(of_operator[0].contains("\"serviceAccountName\":\"runner\""), "{}", of_operator[0]);
    // A value of the workspace replaces the operator's, and is then a value of the workspace.
    let variables = [("EPHEMERAL_CONFIG_SERVICE_ACCOUNT", "evil")].into_iter().collect();
    assert!(rendered(&planner, &variables, StepType::TerraformPlan).iter().all(|json| !json.contains(EVIL)));
}

#[test]
fn compatible_profile_reports_what_the_policy_left_out() {
    let (settings, policy) = (EphemeralSettings::default(), Policy::parse(FORBID).unwrap());
    let key = AttemptKey::new(organization(), "ws-8", 42, 100, 1);
    let variables = [("EPHEMERAL_CONFIG_SERVICE_ACCOUNT", "evil")].into_iter().collect();
    let payload = payload(&key, StepType::TerraformPlan);
    let found = Planner::new(&settings, &policy).compatible(&variables, &payload, &key, None);
    let of_account = |defect: &&Defect| defect.about == "EPHEMERAL_CONFIG_SERVICE_ACCOUNT";
    let defect = found.defects.iter().find(of_account).unwrap();
    assert!(defect.text.contains("default.forbid"), "{defect}");
}

#[test]
fn refusal_of_an_added_image_names_container_and_rule() {
    let policy = "[default]\nallow = ['EPHEMERAL_CONFIG_INIT_CONTAINERS']\n\
                  [default.values]\nEPHEMERAL_CONFIG_IMAGE = ['registry.example.com/*']\n";
    let (settings, policy) = (EphemeralSettings::default(), Policy::parse(policy).unwrap());
    let key = AttemptKey::new(organization(), "ws-8", 42, 100, 1);
    let plan = |image: &str| {
        let value = format!("[{{name: fetch, image: '{image}'}}]");
        let variables = [("EPHEMERAL_CONFIG_INIT_CONTAINERS", value.as_str())].into_iter().collect();
        let payload = payload(&key, StepType::TerraformPlan);
        Planner::new(&settings, &policy).plan(&variables, &payload, &key, None)
    };
    assert!(plan("registry.example.com/fetch:1").is_ok());
    assert!(plan(settings.image.value.as_str()).is_ok(), "the image of the platform is always permitted");
    assert_eq!(
        plan("docker.io/evil:1").unwrap_err().to_string(),
        "workspace variable EPHEMERAL_CONFIG_INIT_CONTAINERS: found \"[fetch].image: docker.io/evil:1\", \
         expected registry.example.com/*, by policy default.values.EPHEMERAL_CONFIG_IMAGE"
    );
}

/// Plans with a settings file and a policy that allows every variable of YAML.
fn plan_under(settings: &str, rules: &str, variables: &[(&str, &str)]) -> Result<(), String> {
    let file = SettingsFile::parse(settings).unwrap();
    let settings = EphemeralSettings::load_with(&EnvSnapshot::default(), Some(&file)).unwrap();
    let allow = "[default]\nallow = ['EPHEMERAL_CONFIG_INIT_CONTAINERS', 'EPHEMERAL_CONFIG_POD_PATCH', \
                 'EPHEMERAL_CONFIG_SIDECARS', 'EPHEMERAL_CONFIG_VOLUMES']\n";
    let policy = Policy::parse(&format!("{allow}{rules}")).unwrap();
    let key = AttemptKey::new(organization(), "ws-8", 42, 100, 1);
    let payload = payload(&key, StepType::TerraformPlan);
    let variables = variables.iter().copied().collect();
    let plan = Planner::new(&settings, &policy).plan(&variables, &payload, &key, None);
    plan.map(|_| ()).map_err(|problems| problems.to_string())
}

const VOLUMES: &str = "EPHEMERAL_CONFIG_VOLUMES";
const INITS: &str = "EPHEMERAL_CONFIG_INIT_CONTAINERS";
const PATCH: &str = "EPHEMERAL_CONFIG_POD_PATCH";

/// The variable that a rule is for, another variable, and two values of that: one that a rule for `good`
/// refuses, and one that it permits.
const OTHER_WAYS: &[(&str, &str, &str, &str)] = &[
    (
        "PVC_CLAIM_NAME",
        VOLUMES,
        "[{name: a, persistentVolumeClaim: {claimName: evil}}]",
        "[{name: a, persistentVolumeClaim: {claimName: good}}]",
    ),
    (
        "EPHEMERAL_CONFIG_MAP_NAME",
        VOLUMES,
        "[{name: a, configMap: {name: evil}}]",
        "[{name: a, configMap: {name: good}}]",
    ),
    (
        "EPHEMERAL_CONFIG_MAP_NAME",
        VOLUMES,
        "[{name: a, projected: {sources: [{configMap: {name: evil}}]}}]",
        "[{name: a, projected: {sources: [{configMap: {name: good}}]}}]",
    ),
    (
        "EPHEMERAL_CONFIG_ENVFROM_CONFIG_MAP",
        INITS,
        "[{name: a, image: b, envFrom: [{configMapRef: {name: evil}}]}]",
        "[{name: a, image: b, envFrom: [{configMapRef: {name: good}}]}]",
    ),
    (
        "EPHEMERAL_CONFIG_ENVFROM_CONFIG_MAP",
        INITS,
        "[{name: a, image: b, env: [{name: A, valueFrom: {configMapKeyRef: {name: evil, key: a}}}]}]",
        "[{name: a, image: b, env: [{name: A, valueFrom: {configMapKeyRef: {name: good, key: a}}}]}]",
    ),
    (
        "EPHEMERAL_CONFIG_IMAGE_PULL_POLICY",
        INITS,
        "[{name: a, image: b, imagePullPolicy: Never}]",
        "[{name: a, image: b}]",
    ),
    (
        "EPHEMERAL_CONFIG_SECURITY_CONTEXT",
        INITS,
        "[{name: a, image: b, securityContext: {allowPrivilegeEscalation: true}}]",
        "[{name: a, image: b, securityContext: {allowPrivilegeEscalation: false}}]",
    ),
    (
        "EPHEMERAL_CONFIG_SECURITY_CONTEXT",
        INITS,
        "[{name: a, image: b, securityContext: {allowPrivilegeEscalation: false, capabilities: {add: \
         [CHOWN]}}}]",
        "[{name: a, image: b}]",
    ),
    (
        "EPHEMERAL_CONFIG_POD_SECURITY_CONTEXT",
        INITS,
        "[{name: a, image: b, securityContext: {allowPrivilegeEscalation: false, runAsUser: 0}}]",
        "[{name: a, image: b, securityContext: {allowPrivilegeEscalation: false, runAsUser: 1002}}]",
    ),
    (
        "EPHEMERAL_CONFIG_POD_SECURITY_CONTEXT",
        PATCH,
        "{spec: {containers: [{name: executor, securityContext: {runAsUser: 0}}]}}",
        "{spec: {containers: [{name: executor, securityContext: {runAsUser: 1002}}]}}",
    ),
    (
        "EPHEMERAL_CONFIG_POD_SECURITY_CONTEXT",
        PATCH,
        "{spec: {containers: [{name: executor, securityContext: {runAsNonRoot: false}}]}}",
        "{spec: {containers: [{name: executor, securityContext: {runAsNonRoot: true}}]}}",
    ),
];

#[test]
fn rules_for_variables_of_the_executor_apply_to_added_containers_and_volumes() {
    for &(rule, variable, refused, permitted) in OTHER_WAYS {
        for rules in
            [format!("forbid = ['{rule}']\n"), format!("[default.values]\n{rule} = ['good', 'Always']\n")]
        {
            let problem = plan_under("", &rules, &[(variable, refused)]).unwrap_err();
            assert!(problem.starts_with(&format!("workspace variable {variable}")), "{problem}");
            assert!(problem.contains("by policy default."), "{problem}");
            // What the operator writes is exempt.
            let file = format!("[variables]\n{variable} = '{refused}'\n");
            assert_eq!(plan_under(&file, &rules, &[]), Ok(()), "{rules} {refused}");
        }
        let rules = format!("[default.values]\n{rule} = ['good', 'Always']\n");
        assert_eq!(plan_under("", &rules, &[(variable, permitted)]), Ok(()), "{rule} {permitted}");
        assert_eq!(plan_under("", "", &[(variable, refused)]), Ok(()), "{rule} {refused}");
    }
}

#[test]
fn patch_that_removes_a_field_is_not_exempt_because_of_a_variable_of_the_operator() {
    let file = "[variables]\nEPHEMERAL_CONFIG_SECURITY_CONTEXT = 'readOnlyRootFilesystem=true'\n";
    for patch in [
        "{spec: {containers: [{name: executor, securityContext: {capabilities: null}}]}}",
        "[{op: remove, path: /spec/containers/0/securityContext/capabilities/drop}]",
    ] {
        let variables = [("EPHEMERAL_CONFIG_POD_PATCH", patch)];
        let problem = plan_under(file, "pod-security = 'restricted'\n", &variables).unwrap_err();
        assert!(problem.contains("capabilities.drop to be ALL"), "{problem}");
    }
}

#[test]
fn patch_cannot_set_priority_or_overhead_past_their_variables() {
    for (patch, owner) in [
        ("{spec: {priority: 1000000}}", "EPHEMERAL_CONFIG_PRIORITY_CLASS"),
        ("{spec: {preemptionPolicy: Never}}", "EPHEMERAL_CONFIG_PRIORITY_CLASS"),
        ("{spec: {overhead: {cpu: 1}}}", "EPHEMERAL_CONFIG_RUNTIME_CLASS"),
    ] {
        let problem = plan_under("", "", &[("EPHEMERAL_CONFIG_POD_PATCH", patch)]).unwrap_err();
        assert!(problem.contains(&format!("{owner} sets it")), "{problem}");
    }
}

#[test]
fn compatible_job_has_no_value_that_the_policy_refuses_for_another_kind_of_step_or_cannot_parse() {
    let policy = "[default.values]\nEPHEMERAL_CONFIG_NODE_SELECTOR_TAGS = ['pool=good']\n\
                  [default.maximum]\ncpu = '4'\n";
    let (settings, policy) = (EphemeralSettings::default(), Policy::parse(policy).unwrap());
    for pairs in [
        &[
            ("EPHEMERAL_CPU_LIMIT", "666"),
            ("EPHEMERAL_CPU_LIMIT_PLAN", "1"),
            ("EPHEMERAL_CPU_LIMIT_APPLY", "1"),
        ] as &[(&str, &str)],
        // Kubernetes caps this amount and accepts it.
        &[("EPHEMERAL_CPU_LIMIT", "666e400")],
        // Terrakube 2.27 cuts off the second value.
        &[("EPHEMERAL_CONFIG_NODE_SELECTOR_TAGS", "pool=666;a=b=c")],
    ] {
        let variables: Variables = pairs.iter().copied().collect();
        for object in rendered(&Planner::new(&settings, &policy), &variables, StepType::TerraformPlan) {
            assert!(!object.contains("\"666"), "{pairs:?}: {object}");
        }
    }
}

#[test]
fn debug_of_a_compatible_job_does_not_show_its_payload() {
    let (settings, policy) = (EphemeralSettings::default(), Policy::default());
    let key = AttemptKey::new(organization(), "ws-8", 42, 100, 1);
    let payload = payload(&key, StepType::TerraformPlan).with_variables([("token", "hunter2")]);
    let planner = Planner::new(&settings, &policy);
    let shown = format!("{:?}", planner.compatible(&Variables::default(), &payload, &key, None));
    assert!(!shown.contains(&payload.encode()), "{shown}");
    assert!(shown.starts_with("Compatible { job: Some(\"job-42\")"), "{shown}");
}
