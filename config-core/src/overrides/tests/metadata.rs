//! Labels, annotations and environment variables.

use super::*;

#[test]
fn limits_annotations_as_a_whole() {
    let fits = format!("a={}", "x".repeat(MAX_ANNOTATION_BYTES - 1));
    assert!(parse(&[("EPHEMERAL_CONFIG_ANNOTATIONS", &fits)]).is_ok());
    assert_eq!(
        parse(&[("EPHEMERAL_CONFIG_ANNOTATIONS", &format!("{fits}x"))]).unwrap_err(),
        ["workspace variable EPHEMERAL_CONFIG_ANNOTATIONS: found \"262145 bytes\", expected at most \
          262144 bytes of keys and values"]
    );
}

#[test]
fn reads_labels_pod_annotations_and_environment() {
    let overrides = parse(&[
        ("EPHEMERAL_CONFIG_LABELS", "team=platform"),
        ("EPHEMERAL_CONFIG_POD_ANNOTATIONS", "Acme.io/a=b=c"),
        ("EPHEMERAL_CONFIG_ENVFROM_CONFIG_MAP", "proxy, mirrors"),
        ("EPHEMERAL_JOB_ENV_VARS", "A=$(B);C=d"),
    ])
    .unwrap();
    assert_eq!(overrides.get(&workspace::LABELS).unwrap().to_string(), "team=platform");
    assert_eq!(overrides.get(&workspace::POD_ANNOTATIONS).unwrap().get("Acme.io/a"), Some("b=c"));
    assert_eq!(overrides.get(&workspace::ENVFROM_CONFIG_MAP).unwrap().to_string(), "proxy,mirrors");
    assert_eq!(overrides.get(&workspace::JOB_ENV_VARS).unwrap().to_string(), "A=$(B);C=d");
    assert_eq!(overrides.get(&workspace::ANNOTATIONS), None);
}

#[test]
fn rejects_invalid_labels_pod_annotations_and_environment() {
    let cases = [
        (
            "EPHEMERAL_CONFIG_LABELS",
            "a b=c",
            format!("found \"a b\", expected {}", Rule::LabelKey.expected()),
        ),
        (
            "EPHEMERAL_CONFIG_LABELS",
            "a=b c",
            format!("found \"b c\", expected {}", Rule::LabelValue.expected()),
        ),
        (
            "EPHEMERAL_CONFIG_POD_ANNOTATIONS",
            "a b=c",
            format!("found \"a b\", expected {}", Rule::AnnotationKey.expected()),
        ),
        (
            "EPHEMERAL_CONFIG_ENVFROM_CONFIG_MAP",
            "a;b",
            format!("found \"a;b\", expected {}", Rule::DnsSubdomain.expected()),
        ),
        ("EPHEMERAL_JOB_ENV_VARS", "A=b;hunter2", "found \"item 2\", expected NAME=value".to_owned()),
    ];
    for (key, value, message) in cases {
        assert_eq!(parse(&[(key, value)]).unwrap_err(), [format!("workspace variable {key}: {message}")]);
    }
}
