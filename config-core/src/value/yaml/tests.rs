//! What is read, what is refused and how, and that what was read prints and reads as itself.

use proptest::prelude::*;
use serde_json::json;

use super::*;

fn read(text: &str) -> Result<Value, String> {
    text.parse::<Yaml>().map(|Yaml(value)| value).map_err(|error| error.to_string())
}

#[test]
fn accepts_documents() {
    let cases = [
        ("", json!(null)),
        ("{}", json!({})),
        ("- a\n- {b: 1}\n", json!(["a", {"b": 1}])),
        (r#"{"a":["\u0000\n\"",-1.5,true,null]}"#, json!({"a": ["\0\n\"", -1.5, true, null]})),
        ("a: yes\nb: 0755\nc: 1_000\nd: 0x10", json!({"a": "yes", "b": "0755", "c": "1_000", "d": 16})),
        ("1: a\ntrue: b", json!({"1": "a", "true": "b"})),
        ("a: &x {b: 1}\nc: {<<: *x, d: 2}", json!({"a": {"b": 1}, "c": {"b": 1, "d": 2}})),
        ("--- # a comment\na: |\n  x\n  y\n...\n", json!({"a": "x\ny\n"})),
        ("a: 18446744073709551615", json!({"a": u64::MAX})),
    ];
    for (text, value) in cases {
        assert_eq!(read(text), Ok(value), "{text:?}");
    }
}

#[test]
fn reports_place_of_errors_without_showing_values() {
    let cases = [
        ("a: 'hunter2", "entry \"line 1, column 4\": expected YAML; unclosed quote"),
        (
            "a: hunter2: b",
            "entry \"line 1, column 11\": expected YAML; mapping values are not allowed in this context",
        ),
        ("a: 1\nhunter2: 1\nhunter2: 2", "entry \"line 3, column 1\": expected each key of an object once"),
        ("{1: a, \"1\": hunter2}", "entry \"document\": expected each key of an object once"),
        ("a: 1\n---\nhunter2: 1", "entry \"line 3, column 1\": expected one document"),
        ("a: .inf", "entry \"line 1, column 4\": expected a finite number"),
        ("a: 1e999", "entry \"line 1, column 4\": expected a finite number"),
        ("~: hunter2", "entry \"line 1, column 1\": expected a key"),
        ("? [hunter2]\n: 1", "entry \"line 1, column 3\": expected string scalar"),
        ("a: *hunter2", "entry \"line 1, column 4\": expected an alias of an earlier anchor"),
        ("&a [*a]", "entry \"line 1, column 5\": expected an alias outside of what it repeats"),
        ("a: !!binary hunter2", "entry \"line 1, column 13\": expected base64 of UTF-8 text"),
        ("!!map [hunter2]", "entry \"line 1, column 7\": expected YAML of plain data"),
    ];
    for (text, message) in cases {
        let found = read(text).unwrap_err();
        assert_eq!(found, message, "{text:?}");
    }
}

#[test]
fn limits_size_depth_and_number_of_values() {
    let limits = "at most 32 levels and 10000 values, with what aliases repeat";
    let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
    assert!(read(&nested(MAX_DEPTH)).is_ok());
    assert!(read(&nested(MAX_DEPTH + 1)).is_err());
    assert!(read(&nested(20_000)).is_err());
    let nested =
        |depth: usize| (0..depth).fold(String::new(), |text, level| text + &" ".repeat(level) + "a:\n");
    assert!(read(&nested(MAX_DEPTH)).is_ok());
    assert!(read(&nested(MAX_DEPTH + 1)).unwrap_err().ends_with(limits));
    assert!(read(&"- 1\n".repeat(9_999)).is_ok());
    assert!(read(&"- 1\n".repeat(10_001)).unwrap_err().ends_with(limits));
    let text = |size: usize| "x".repeat(size);
    assert!(read(&text(MAX_BYTES - 2)).is_ok());
    assert_eq!(
        read(&text(MAX_BYTES)).unwrap_err(),
        "entry \"65538 bytes\": expected at most 65536 bytes; this is its size as JSON, \
         with its aliases written out"
    );
    assert_eq!(
        read(&text(MAX_BYTES + 1)).unwrap_err(),
        "entry \"65537 bytes\": expected at most 65536 bytes"
    );
}

#[test]
fn limits_expansion_of_aliases() {
    let bomb = (1..9).fold("a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned(), |text, level| {
        let below = format!("*a{}, ", level - 1).repeat(9);
        text + &format!("a{level}: &a{level} [{below}*a{}]\n", level - 1)
    });
    assert!(read(&bomb).unwrap_err().contains("10000 values"));
    let long = format!("a: &a {}\nb: [{}]", "x".repeat(30_000), "*a, ".repeat(9));
    assert!(read(&long).unwrap_err().contains("aliases written out"));
}

#[test]
fn debug_shows_no_value() {
    assert_eq!(format!("{:?}", "a: hunter2".parse::<Yaml>().unwrap()), "Yaml(…)");
}

fn document() -> impl Strategy<Value = Value> {
    let text = || {
        prop_oneof!["[ -~]{0,6}", ".{0,4}", "[\u{7f}-\u{a0}\u{2028}\u{2029}\u{feff}\u{fff0}-\u{10010}]{0,4}"]
    };
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        text().prop_map(Value::from),
        "[a-z]{1000,1100}".prop_map(Value::from),
    ];
    leaf.prop_recursive(5, 40, 6, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            prop::collection::btree_map(
                prop_oneof![9 => text(), 1 => "[a-z ]{1025,1030}".boxed()],
                inner,
                0..6
            )
            .prop_map(|entries| Value::Object(entries.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn parses_any_text_without_panic(text in ".*|[-a-c:{}\\[\\]\"'&*!|>%@#?, \n\t]*") {
        if let Ok(yaml) = text.parse::<Yaml>() {
            prop_assert_eq!(yaml.to_string().parse::<Yaml>(), Ok(yaml));
        }
    }

    #[test]
    fn prints_what_it_parses(value in document()) {
        let yaml = Yaml(value);
        prop_assert_eq!(yaml.to_string().parse::<Yaml>(), Ok(yaml));
    }
}
