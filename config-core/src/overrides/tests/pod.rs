//! Image, classes and host aliases of the pod.

use super::*;
use crate::value::ImagePullPolicy;

#[test]
fn reads_image_and_classes() {
    let overrides = parse(&[
        ("EPHEMERAL_CONFIG_IMAGE", " registry.example.com:5000/team/executor:2.27.2 "),
        ("EPHEMERAL_CONFIG_IMAGE_PULL_POLICY", "Always"),
        ("EPHEMERAL_CONFIG_IMAGE_PULL_SECRETS", "registry, mirror"),
        ("EPHEMERAL_CONFIG_PRIORITY_CLASS", "high"),
        ("EPHEMERAL_CONFIG_RUNTIME_CLASS", "gvisor.v1"),
    ])
    .unwrap();
    assert_eq!(*overrides.get(&workspace::IMAGE).unwrap(), "registry.example.com:5000/team/executor:2.27.2");
    assert_eq!(overrides.get(&workspace::IMAGE_PULL_POLICY), Some(&ImagePullPolicy::Always));
    assert_eq!(overrides.get(&workspace::IMAGE_PULL_SECRETS).unwrap().to_string(), "registry,mirror");
    assert_eq!(*overrides.get(&workspace::PRIORITY_CLASS).unwrap(), "high");
    assert_eq!(*overrides.get(&workspace::RUNTIME_CLASS).unwrap(), "gvisor.v1");
}

#[test]
fn reads_host_aliases_and_reports_their_errors() {
    let key = "EPHEMERAL_CONFIG_HOST_ALIASES";
    let overrides = parse(&[(key, "10.0.0.1=git,registry;fd00::1=x")]).unwrap();
    let aliases = overrides.get(&workspace::HOST_ALIASES).unwrap();
    assert_eq!(aliases.to_string(), "10.0.0.1=git,registry;fd00::1=x");
    assert_eq!(
        parse(&[(key, "10.0.0.1=a;b;10.0.0.1=c")]).unwrap_err(),
        [
            format!("workspace variable {key}: found \"b\", expected address=name,name"),
            format!(
                "workspace variable {key}: found \"10.0.0.1=c\", expected another address than 10.0.0.1, \
                 which an earlier item has; write all names of an address into one item, separated by `,`"
            ),
        ]
    );
}

#[test]
fn rejects_invalid_image_and_classes() {
    let subdomain = Rule::DnsSubdomain.expected();
    let image = Rule::ContainerImage.expected();
    let cases = [
        ("EPHEMERAL_CONFIG_IMAGE", "Executor", format!("found \"Executor\", expected {image}")),
        (
            "EPHEMERAL_CONFIG_IMAGE",
            " ",
            format!("found \"\", expected {image}; remove it to use the image of the platform"),
        ),
        (
            "EPHEMERAL_CONFIG_IMAGE_PULL_POLICY",
            "always",
            "found \"always\", expected Always, IfNotPresent or Never; did you mean \"Always\"?".to_owned(),
        ),
        ("EPHEMERAL_CONFIG_IMAGE_PULL_SECRETS", "a,B", format!("found \"B\", expected {subdomain}")),
        ("EPHEMERAL_CONFIG_PRIORITY_CLASS", "High", format!("found \"High\", expected {subdomain}")),
        (
            "EPHEMERAL_CONFIG_PRIORITY_CLASS",
            "",
            format!("found \"\", expected {subdomain}; remove it to use the cluster's default class"),
        ),
        ("EPHEMERAL_CONFIG_RUNTIME_CLASS", "a_b", format!("found \"a_b\", expected {subdomain}")),
        (
            "EPHEMERAL_CONFIG_RUNTIME_CLASS",
            "",
            format!("found \"\", expected {subdomain}; remove it to use the cluster's default runtime"),
        ),
    ];
    for (key, value, message) in cases {
        assert_eq!(parse(&[(key, value)]).unwrap_err(), [format!("workspace variable {key}: {message}")]);
    }
}
