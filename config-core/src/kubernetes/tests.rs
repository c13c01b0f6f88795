//! Texts that satisfy a rule, and texts that break it.

use proptest::prelude::*;

use super::*;

fn check(rule: Rule, good: &[&str], bad: &[&str]) {
    for text in good {
        assert!(rule.holds(text), "{rule:?} holds for {text:?}");
    }
    for text in bad {
        assert!(!rule.holds(text), "{rule:?} does not hold for {text:?}");
    }
}

#[test]
fn dns_labels() {
    let (longest, too_long) = ("a".repeat(63), "a".repeat(64));
    check(
        Rule::DnsLabel,
        &["a", "0", "terrakube", "a-b", "a--b", &longest],
        &["", "-a", "a-", "A", "a_b", "a.b", "a b", " a", "é", "a\n", &too_long],
    );
}

#[test]
fn dns_subdomains() {
    let (longest, too_long) = (format!("{}aaa", "a.".repeat(125)), format!("{}aaaa", "a.".repeat(125)));
    assert_eq!(longest.len(), 253);
    check(
        Rule::DnsSubdomain,
        &["a", "a.b", "terrakube-executor-secrets", "a-b.c-d", &longest],
        &["", ".", "a.", ".a", "a..b", "a.-b", "A", "a/b", "a_b", &too_long],
    );
}

#[test]
fn label_keys() {
    let (longest, too_long) = ("a".repeat(63), "a".repeat(64));
    let with_prefix = format!("{}/{longest}", "a".repeat(253));
    let with_long_prefix = format!("{}/a", "a".repeat(254));
    check(
        Rule::LabelKey,
        &["diskType", "a", "A_b.c-d", "topology.kubernetes.io/zone", "0/0", &longest, &with_prefix],
        &[
            "",
            "/",
            "a/",
            "/a",
            "a/b/c",
            "_a",
            "a_",
            "a b",
            "A.io/a",
            "a=b",
            "é",
            &too_long,
            &with_long_prefix,
        ],
    );
}

#[test]
fn annotation_keys_may_have_an_upper_case_prefix() {
    check(Rule::AnnotationKey, &["team", "Acme.io/Team"], &["", "a b", "a/b/c", "acme_io/team"]);
}

#[test]
fn label_values() {
    let (longest, too_long) = ("a".repeat(63), "a".repeat(64));
    check(
        Rule::LabelValue,
        &["", "ssd", "A-b_c.d", "0", &longest],
        &["-", "a-", ".a", "a b", "a/b", "a:b", "é", &too_long],
    );
}

#[test]
fn container_images() {
    let digest = format!("sha256:{}", "0a".repeat(32));
    let (tagged, bare) = (format!("r.io/executor:1@{digest}"), format!("executor@{digest}"));
    let good = [
        "executor",
        "azbuilder/executor:2.22.0",
        "executor:1.10",
        "localhost/busybox:1",
        "localhost:5000/a/b_c/d__e/f-g.h:Latest_1",
        "registry.example.com/executor",
        "my-registry.example.com/executor",
        "REGISTRY.example.com:443/executor:v1",
        "[2001:db8::1]:5000/executor",
        "[::1]/executor",
        "a--b",
        "a__b/c",
        &tagged,
        &bare,
    ];
    check(
        Rule::ContainerImage,
        &good,
        &[
            "",
            " executor",
            "executor ",
            "Executor",
            "azbuilder/Executor:1",
            "executor:",
            "executor:-a",
            "executor:a/b:",
            "a//b",
            "/a",
            "a/",
            "a..b",
            "a___b",
            "-a",
            "a-",
            "${Image}",
            "https://registry.example.com/executor",
            "registry.example.com:port/executor",
            "registry.example.com:/executor",
            "executor@",
            "executor@sha256:0a",
            "azbuilder/executor:2.27.2@",
            "my_registry.example.com/executor",
            "[]/executor",
            "[zz]:5000/executor",
            "[::1]5000/executor",
            "-r.io/executor",
            &format!("executor:{}", "a".repeat(129)),
            &"a".repeat(256),
            &format!("executor@sha256:{}", "g".repeat(64)),
            &format!("executor@{}", "a".repeat(64)),
            &format!("executor@2sha:{}", "a".repeat(64)),
            &format!("executor@sha!:{}", "a".repeat(64)),
        ],
    );
}

#[test]
fn mount_paths() {
    check(
        Rule::MountPath,
        &["/data", "/etc/terraform.d", "/a b", "//data/", "/./a", "/a..b"],
        &["", "/", "//", "/.", "data", "./data", "/a/../b", "/..", "/a:b", "/a\nb"],
    );
}

#[test]
fn env_names() {
    check(
        Rule::EnvName,
        &["A", "_", "http_proxy", "a.b-c", ".a", "-", "A1"],
        &["", "1A", "A B", "A=B", ".", "..", "..a", "é", "A$"],
    );
}

proptest! {
    #[test]
    fn checks_any_text_without_panic(text in ".*|[a-zA-Z0-9:/@._\\[\\]-]*") {
        for rule in Rule::ALL {
            let _ = rule.holds(&text);
        }
    }

    #[test]
    fn every_dns_label_is_a_subdomain_a_label_value_and_a_label_key(text in "[a-z0-9-]{1,70}") {
        if Rule::DnsLabel.holds(&text) {
            for rule in [Rule::DnsSubdomain, Rule::LabelValue, Rule::LabelKey, Rule::AnnotationKey] {
                prop_assert!(rule.holds(&text), "{:?}", rule);
            }
        }
    }
}
