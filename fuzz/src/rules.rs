//! The rules of Kubernetes against the regular expressions in which others state them.

use std::sync::LazyLock;

use config_core::kubernetes::Rule;
use regex_lite::Regex;

use crate::{Target, owned, text_of};

pub(crate) const TARGET: Target = Target {
    name: "kubernetes-rules",
    longest: 96,
    about: "names, labels and images are accepted exactly where the published expressions match",
    seeds: || {
        owned(&[
            "a.b-c/Aa_0.9",
            "registry.example.com:5000/acme/executor__x:1.0@sha256:0123456789abcdef0123456789abcdef",
            "[fd00::1]:443/a",
            "LOCALHOST/a--b.c_d:_",
            "a/..b/./c",
            "..a-_.0",
            "/data/../x:y",
        ])
    },
    run: |data| {
        let text = text_of(data);
        for rule in Rule::ALL {
            if let Some(expected) = expected(rule, &text) {
                assert_eq!(rule.holds(&text), expected, "{rule:?} of {text:?}");
            }
            assert!(!rule.expected().is_empty());
        }
    },
};

/// Returns whether the published rule holds; `None` where there is none to compare with.
fn expected(rule: Rule, text: &str) -> Option<bool> {
    // An expression that ends in `$` may match before a line break at the end, hence `\z`.
    static PART: LazyLock<Regex> = LazyLock::new(|| regex(r"\A[a-z0-9]([-a-z0-9]*[a-z0-9])?\z"));
    static SUBDOMAIN: LazyLock<Regex> =
        LazyLock::new(|| regex(r"\A[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*\z"));
    static NAME: LazyLock<Regex> = LazyLock::new(|| regex(r"\A([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]\z"));
    static ENV: LazyLock<Regex> = LazyLock::new(|| regex(r"\A[-._a-zA-Z][-._a-zA-Z0-9]*\z"));
    static IMAGE: LazyLock<[Regex; 2]> = LazyLock::new(|| [image(false), image(true)]);
    let subdomain = |text: &str| text.len() <= 253 && SUBDOMAIN.is_match(text);
    let name = |text: &str| text.len() <= 63 && NAME.is_match(text);
    let qualified = |text: &str| match text.split('/').collect::<Vec<_>>().as_slice() {
        [only] => name(only),
        [prefix, last] => subdomain(prefix) && name(last),
        _ => false,
    };
    Some(match rule {
        Rule::DnsLabel => text.len() <= 63 && PART.is_match(text),
        Rule::DnsSubdomain => subdomain(text),
        Rule::LabelKey => qualified(text),
        Rule::LabelValue => text.is_empty() || name(text),
        Rule::AnnotationKey => qualified(&text.to_ascii_lowercase()),
        Rule::EnvName => ENV.is_match(text) && text != "." && text != ".." && !text.starts_with(".."),
        // The name alone has a limit; without its tag and digest it is what is left.
        Rule::ContainerImage => {
            let image = &IMAGE[usize::from(names_a_host(text))];
            image.captures(text).is_some_and(|found| found[1].len() <= 255)
        }
        _ => return None,
    })
}

/// Returns whether the first part is taken for a registry before the grammar is applied.
fn names_a_host(text: &str) -> bool {
    text.split_once('/').is_some_and(|(first, _)| {
        first == "localhost" || first.contains(['.', ':']) || first != first.to_ascii_lowercase()
    })
}

/// The grammar of <https://pkg.go.dev/github.com/distribution/reference>, anchored.
fn image(with_host: bool) -> Regex {
    let part = "(?:[a-zA-Z0-9]|[a-zA-Z0-9][a-zA-Z0-9-]*[a-zA-Z0-9])";
    let address = r"\[(?:[a-fA-F0-9:]+)\]";
    let host = format!(r"(?:{part}(?:\.{part})*|{address})(?::[0-9]+)?");
    let component = "[a-z0-9]+(?:(?:[._]|__|[-]+)[a-z0-9]+)*";
    let path = format!("{component}(?:/{component})*");
    let host = if with_host { format!("{host}/") } else { String::new() };
    let digest = "[A-Za-z][A-Za-z0-9]*(?:[-_+.][A-Za-z][A-Za-z0-9]*)*[:][[:xdigit:]]{32,}";
    regex(&format!(r"\A({host}{path})(?::[\w][\w.-]{{0,127}})?(?:@{digest})?\z"))
}

fn regex(pattern: &str) -> Regex {
    Regex::new(pattern).expect("the expression is well formed")
}
