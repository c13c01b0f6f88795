//! Settings from every source at once.

use proptest::prelude::*;

use super::*;
use crate::kubernetes::Rule;

fn load(pairs: &[(&str, &str)]) -> Result<EphemeralSettings, Problems> {
    EphemeralSettings::load(&pairs.iter().copied().collect())
}

fn messages(pairs: &[(&str, &str)]) -> Vec<String> {
    load(pairs).unwrap_err().iter().map(ToString::to_string).collect()
}

fn shown<T: AsRef<str>>(sourced: &Sourced<T>) -> (&str, String) {
    (sourced.value.as_ref(), sourced.origin.to_string())
}

#[test]
fn empty_environment_has_documented_defaults() {
    let settings = load(&[]).unwrap();
    assert_eq!(
        shown(&settings.namespace),
        ("terrakube", "built-in default ExecutorEphemeralNamespace".to_owned())
    );
    assert_eq!(settings.image.value, "azbuilder/executor:2.22.0");
    assert_eq!(settings.secrets.value.to_string(), "terrakube-executor-secrets");
    assert!(settings.node_selector.is_empty());
    assert_eq!(settings, EphemeralSettings::default());
}

#[test]
fn reads_settings_of_existing_deployments() {
    let settings = load(&[
        ("ExecutorEphemeralNamespace", "terrakube"),
        ("ExecutorEphemeralImage", "azbuilder/executor:2.27.2"),
        ("ExecutorEphemeralSecret", "terrakube-executor-secrets"),
        (
            "JAVA_TOOL_OPTIONS",
            "-Dorg.terrakube.executor.ephemeral.nodeSelector.diskType=ssd \
             -Dorg.terrakube.executor.ephemeral.nodeSelector.nodeType=spot",
        ),
    ])
    .unwrap();
    assert_eq!(
        shown(&settings.image),
        ("azbuilder/executor:2.27.2", "environment variable ExecutorEphemeralImage".to_owned())
    );
    let labels: Vec<(&str, &str)> =
        settings.node_selector.iter().map(|(key, value)| (key.as_str(), value.value.as_str())).collect();
    assert_eq!(labels, [("diskType", "ssd"), ("nodeType", "spot")]);
}

#[test]
fn reads_several_secrets_separated_by_commas() {
    let settings = load(&[("ExecutorEphemeralSecret", "a, b.c")]).unwrap();
    assert_eq!(settings.secrets.value.to_string(), "a,b.c");
    assert_eq!(settings.secrets.origin.to_string(), "environment variable ExecutorEphemeralSecret");
    let subdomain = Rule::DnsSubdomain.expected();
    assert_eq!(
        messages(&[("ExecutorEphemeralSecret", "a,B;c,_")]),
        [
            format!("environment variable ExecutorEphemeralSecret: found \"B;c\", expected {subdomain}"),
            format!("environment variable ExecutorEphemeralSecret: found \"_\", expected {subdomain}"),
        ]
    );
    assert_eq!(
        messages(&[("ExecutorEphemeralSecret", "")]),
        ["environment variable ExecutorEphemeralSecret: found \"\", expected at least one name; \
             remove it to use the default"]
    );
}

#[test]
fn strongest_source_wins() {
    let (short, old, new) = (
        "ExecutorEphemeralImage",
        "org.terrakube.executor.ephemeral.image",
        "io.terrakube.executor.ephemeral.image",
    );
    // From the weakest to the strongest; each case leaves out one more of the strongest.
    let places = [
        ("EXECUTOREPHEMERALIMAGE", ""),
        (short, ""),
        ("JAVA_TOOL_OPTIONS", short),
        ("_JAVA_OPTIONS", short),
        ("SPRING_APPLICATION_JSON", short),
        ("ORG_TERRAKUBE_EXECUTOR_EPHEMERAL_IMAGE", ""),
        ("IO_TERRAKUBE_EXECUTOR_EPHEMERAL_IMAGE", ""),
        ("JAVA_TOOL_OPTIONS", old),
        ("JAVA_TOOL_OPTIONS", new),
        ("_JAVA_OPTIONS", old),
        ("_JAVA_OPTIONS", new),
        ("SPRING_APPLICATION_JSON", old),
        ("SPRING_APPLICATION_JSON", new),
    ];
    for count in 1..=places.len() {
        let mut env: BTreeMap<&str, String> = BTreeMap::new();
        for (step, (variable, property)) in places[..count].iter().enumerate() {
            let text = env.entry(variable).or_default();
            *text = match *variable {
                "SPRING_APPLICATION_JSON" if text.is_empty() => format!(r#"{{"{property}": {step}}}"#),
                "SPRING_APPLICATION_JSON" => {
                    format!(r#"{}, "{property}": {step}}}"#, text.trim_end_matches('}'))
                }
                _ if property.is_empty() => step.to_string(),
                _ => format!("{text} -D{property}={step}"),
            };
        }
        let env: Vec<(&str, &str)> = env.iter().map(|(name, value)| (*name, value.as_str())).collect();
        assert_eq!(load(&env).unwrap().image.value, (count - 1).to_string().as_str(), "{env:?}");
    }
}

#[test]
fn last_of_repeated_options_wins() {
    let options = "-DExecutorEphemeralImage=a -Xmx1g -DExecutorEphemeralImage=b";
    assert_eq!(load(&[("JAVA_TOOL_OPTIONS", options)]).unwrap().image.value, "b");
}

#[test]
fn merges_node_selectors_label_by_label() {
    let settings = load(&[
        ("IO_TERRAKUBE_EXECUTOR_EPHEMERAL_NODESELECTOR_DISKTYPE", "env"),
        ("IO_TERRAKUBE_EXECUTOR_EPHEMERAL_NODESELECTOR_ZONE", "env"),
        (
            "JAVA_TOOL_OPTIONS",
            "-Dorg.terrakube.executor.ephemeral.nodeSelector.zone=old \
             -Dio.terrakube.executor.ephemeral.nodeSelector.zone=new \
             -Dorg.terrakube.executor.ephemeral.nodeSelector[kubernetes.io/os]=linux",
        ),
    ])
    .unwrap();
    let labels: Vec<(&str, &str)> =
        settings.node_selector.iter().map(|(key, value)| (key.as_str(), value.value.as_str())).collect();
    assert_eq!(labels, [("disktype", "env"), ("kubernetes.io/os", "linux"), ("zone", "new")]);
}

#[test]
fn reports_every_problem_sorted_by_key() {
    assert_eq!(
        messages(&[
            ("ExecutorEphemeralSecret", ""),
            ("ExecutorEphemeralNamespace", "Terra_Kube"),
            ("ExecutorEphemeralImage", "${ExecutorImage}"),
            ("ExecutorEphemeralImagePull", "always"),
            ("JAVA_TOOL_OPTIONS", "-Dio.terrakube.executor.ephemeral.nodeSelector.disk_='a b'"),
        ]),
        [
            "environment variable ExecutorEphemeralImage: found \"${ExecutorImage}\", expected a container \
             image: [registry/]path[:tag][@digest], the path in lower case",
            "environment variable ExecutorEphemeralImagePull: expected the name of a known setting; did you \
             mean \"ExecutorEphemeralImage\"?",
            "environment variable ExecutorEphemeralNamespace: found \"Terra_Kube\", expected a DNS label: 1 \
             to 63 lower-case letters, digits and `-`, with a letter or digit at both ends",
            "environment variable ExecutorEphemeralSecret: found \"\", expected at least one name; remove it \
             to use the default",
            "JAVA_TOOL_OPTIONS -Dio.terrakube.executor.ephemeral.nodeSelector.disk_: found \"disk_\", \
             expected a label key: 1 to 63 letters, digits, `-`, `_` and `.`, with a letter or digit at both \
             ends, after an optional DNS subdomain and `/`",
            "JAVA_TOOL_OPTIONS -Dio.terrakube.executor.ephemeral.nodeSelector.disk_: found \"a b\", expected \
             a label value: at most 63 letters, digits, `-`, `_` and `.`, \
             with a letter or digit at both ends",
        ]
    );
}

#[test]
fn does_not_check_replaced_value() {
    let settings = load(&[
        ("ExecutorEphemeralImage", "Not An Image"),
        ("JAVA_TOOL_OPTIONS", "-DExecutorEphemeralImage=executor"),
    ]);
    assert_eq!(settings.unwrap().image.value, "executor");
}

#[test]
fn reports_unmatched_quote_beside_other_problems() {
    assert_eq!(
        messages(&[("JAVA_TOOL_OPTIONS", "-Dpassword=\"hunter2"), ("ExecutorEphemeralSecret", "A")]).len(),
        2
    );
    let text = messages(&[("JAVA_TOOL_OPTIONS", "-Dpassword=\"hunter2")]).concat();
    assert!(!text.contains("hunter2"), "{text}");
}

#[test]
fn pod_start_timeout_is_found_by_each_of_its_names() {
    let load =
        |pairs: &[(&str, &str)]| load(pairs).map(|settings| settings.pod_start_timeout.value.get()).unwrap();
    assert_eq!(load(&[]), 600);
    for variable in [
        "PodStartTimeout",
        "PODSTARTTIMEOUT",
        "IO_TERRAKUBE_EXECUTOR_EPHEMERAL_PODSTARTTIMEOUT",
        "PodStartPatience",
        "PODSTARTPATIENCE",
        "ORG_TERRAKUBE_EXECUTOR_EPHEMERAL_PODSTARTPATIENCE",
    ] {
        assert_eq!(load(&[(variable, "90s")]), 90, "{variable}");
    }
    for property in
        ["PodStartTimeout", "io.terrakube.executor.ephemeral.pod-start-timeout", "PodStartPatience"]
    {
        assert_eq!(load(&[("JAVA_TOOL_OPTIONS", &format!("-D{property}=90s"))]), 90, "{property}");
    }
}

#[test]
fn pod_start_timeout_must_be_a_positive_duration() {
    let form = "expected whole seconds such as 3600, 90s, 30m or 1h30m";
    for (value, expected) in [
        ("0", "found \"0\", expected at least 1 second; with 0 no executor could start".to_owned()),
        ("10 minutes", format!("found \"10 minutes\", {form}; did you mean \"10m\"?")),
        ("500ms", format!("found \"500ms\", {form}")),
        ("", format!("found \"\", {form}; remove it to use the default")),
    ] {
        let message = format!("environment variable PodStartTimeout: {expected}");
        assert_eq!(messages(&[("PodStartTimeout", value)]), [message]);
    }
}

#[test]
fn rejects_short_name_in_another_case() {
    for (name, near) in [
        ("podStartTimeout", "PodStartTimeout"),
        ("podstartpatience", "PodStartTimeout"),
        ("executorEphemeralImage", "ExecutorEphemeralImage"),
    ] {
        let message = format!(
            "environment variable {name}: expected the name of a known setting; did you mean {near:?}?"
        );
        assert_eq!(messages(&[(name, "10m")]), [message]);
    }
    // Variables of other programs are ignored, even similar ones: a cluster sets some for every service.
    assert!(load(&[("PODSTARTER_SERVICE_HOST", "10.0.0.1"), ("PodStartTimeouts", "1")]).is_ok());
}

#[test]
fn accepts_old_name_with_warning() {
    let warnings = |pairs: &[(&str, &str)]| -> Vec<String> {
        load(pairs).unwrap().warnings.iter().map(ToString::to_string).collect()
    };
    assert!(warnings(&[("PodStartTimeout", "1m")]).is_empty());
    assert_eq!(
        warnings(&[("PodStartPatience", "1m")]),
        ["environment variable PodStartPatience: found \"1m\", which is the old name of PodStartTimeout; \
             use PodStartTimeout; version 0.2.0 does not accept the old name"]
    );
}

#[test]
fn current_name_wins_over_old_one_in_the_same_source() {
    let env = [("PodStartPatience", "1m"), ("PodStartTimeout", "2m")];
    let settings = load(&env).unwrap();
    assert_eq!(settings.pod_start_timeout.value.to_string(), "2m");
    assert_eq!(
        settings.warnings[0].to_string(),
        "environment variable PodStartPatience: found \"1m\", which is the old name of PodStartTimeout and \
         is ignored, because environment variable PodStartTimeout is set; use PodStartTimeout; version 0.2.0 \
         does not accept the old name"
    );
    let settings = load(&[env[1], ("JAVA_TOOL_OPTIONS", "-DPodStartPatience=3m")]).unwrap();
    assert_eq!(settings.pod_start_timeout.value.to_string(), "3m");
}

proptest! {
    #[test]
    fn loads_any_environment_without_panic(
        pairs in prop::collection::vec(("(IO_TERRAKUBE_EXECUTOR_EPHEMERAL_|ExecutorEphemeral|.*)[A-Z_a-z]*|.*", ".*"), 0..6),
        options in r#"(-D(io|org)\.terrakube\.executor\.ephemeral[.a-zS\[\]=]*|["' ]|.){0,8}"#,
    ) {
        let env: EnvSnapshot =
            pairs.into_iter().chain([("JAVA_TOOL_OPTIONS".to_owned(), options)]).collect();
        let _ = EphemeralSettings::load(&env);
    }
}
