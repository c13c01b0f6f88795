//! Grammars of a single value: spans of time, pull policies, YAML.

use config_core::value::{ImagePullPolicy, Seconds, Yaml};
use serde_json::Value;

use crate::{Target, lists, owned, text_of};

pub(crate) const SECONDS: Target = Target {
    name: "seconds",
    longest: 32,
    about: "a span is accepted exactly where its form and its sum are those that are documented",
    seeds: || owned(&["90", "1h30m", " 2h5m7s ", "2147483647s", "596523h14m8s", "1d", "-1", "0"]),
    run: |data| {
        let text = text_of(data);
        let span = lists::single::<Seconds>(&text).map(|span| i64::from(span.get()));
        assert_eq!(span, seconds(text.trim()).filter(|sum| *sum <= i64::from(i32::MAX)), "{text:?}");
    },
};

/// Adds up hours, minutes and seconds in this order, or takes digits alone as seconds;
/// `None` is another form.
fn seconds(text: &str) -> Option<i64> {
    let number = |digits: &str| {
        let are_digits = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
        // What is too large for this is too large for Kubernetes.
        are_digits.then(|| digits.parse::<i64>().unwrap_or(i64::MAX))
    };
    if let Some(seconds) = number(text) {
        return Some(seconds);
    }
    let (mut sum, mut rest) = (0_i64, text);
    for (unit, seconds) in [('h', 3600), ('m', 60), ('s', 1)] {
        let end = rest.bytes().take_while(u8::is_ascii_digit).count();
        if rest[end..].starts_with(unit) {
            sum = sum.saturating_add(number(&rest[..end])?.saturating_mul(seconds));
            rest = &rest[end + 1..];
        }
    }
    (rest.is_empty() && !text.is_empty()).then_some(sum)
}

pub(crate) const IMAGE_PULL_POLICY: Target = Target {
    name: "image-pull-policy",
    longest: 16,
    about: "a policy is one of three, and reads as itself",
    seeds: || owned(&[" Always", "IfNotPresent", "Never ", "ifnotpresent"]),
    run: |data| {
        let text = text_of(data);
        let Some(policy) = lists::single::<ImagePullPolicy>(&text) else { return };
        assert_eq!(policy.as_str(), text.trim());
        assert!(ImagePullPolicy::ALL.contains(&policy));
    },
};

pub(crate) const YAML: Target = Target {
    name: "yaml",
    longest: 64,
    about: "a document prints in one line and reads as itself; JSON means the same; \
        nothing of a wrong one is shown",
    seeds: || {
        owned(&[
            "a: &x [1, -2.5e3, 0x1F, ~, yes, \"\\u00e9\\n\"]\nb: {c: *x, <<: {d: true}}\n",
            "- name: x\n  args:\n  - |\n    line\n    two\n  - >-\n    folded\n# end\n",
            "{\"a\": [1e5, \"\\ud83d\\ude00\", \"/\\/\", null], \"b\": {\"\": -0}}",
            "? 1\n: 'it''s'\n\"1\": 2\n---\nx",
            "a: 'hunter2\nb: [",
            "x: !!binary aGk=\ny: !t z\nz: 2024-01-01\nw: .inf",
        ])
    },
    run: |data| {
        let text = text_of(data);
        let Some(yaml) = lists::single::<Yaml>(&text) else { return };
        let printed = yaml.to_string();
        assert!(!printed.contains('\n'), "{printed:?}");
        for json in [&printed, text.as_ref()] {
            let is_other =
                serde_json::from_str::<Value>(json).is_ok_and(|json| !is_the_same(&json, yaml.value()));
            assert!(!is_other, "{json:?} is {yaml}");
        }
        assert_eq!(format!("{yaml:?}"), "Yaml(…)");
    },
};

/// Compares data; the reader of JSON rounds numbers in another way.
fn is_the_same(one: &Value, other: &Value) -> bool {
    match (one, other) {
        (Value::Number(one), Value::Number(other)) => {
            let both = one.as_f64().zip(other.as_f64());
            one == other || both.is_some_and(|(one, other)| (one - other).abs() <= one.abs() * 1e-15)
        }
        (Value::Array(one), Value::Array(other)) => {
            one.len() == other.len() && one.iter().zip(other).all(|(one, other)| is_the_same(one, other))
        }
        (Value::Object(one), Value::Object(other)) => {
            one.len() == other.len()
                && one.iter().all(|(key, one)| other.get(key).is_some_and(|other| is_the_same(one, other)))
        }
        _ => one == other,
    }
}
