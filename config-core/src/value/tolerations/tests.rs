//! The accepted and refused forms of tolerations.

use proptest::prelude::*;

use super::*;

#[test]
fn parses_and_prints_accepted_forms() {
    let cases = [
        ("a key alone exists", "spot", "spot:Exists"),
        ("key and operator", "spot:Exists", "spot:Exists"),
        ("the documented form", "key:Exists:NoSchedule", "key:Exists:NoSchedule"),
        (
            "every effect",
            "a:Exists:PreferNoSchedule;b:Exists:NoExecute",
            "a:Exists:PreferNoSchedule;b:Exists:NoExecute",
        ),
        ("a value alone is equal", "gpu=true", "gpu=true:Equal"),
        ("a value and Equal", "gpu=true:Equal:NoSchedule", "gpu=true:Equal:NoSchedule"),
        ("an empty value", "gpu=", "gpu=:Equal"),
        ("Equal without a value", "gpu:Equal", "gpu=:Equal"),
        ("a key with a slash", "node.kubernetes.io/spot=true:Equal", "node.kubernetes.io/spot=true:Equal"),
        ("spaces around every part", " a = b : Equal : NoExecute ; c ", "a=b:Equal:NoExecute;c:Exists"),
        ("empty items", ";a;;b;", "a:Exists;b:Exists"),
        ("every taint", "*", "*:Exists"),
        ("every taint of an effect", "*:Exists:NoExecute", "*:Exists:NoExecute"),
        ("seconds", "a=b:Equal:NoExecute: 60", "a=b:Equal:NoExecute:60"),
        ("no second", "*:Exists:NoExecute:0", "*:Exists:NoExecute:0"),
        ("the order stays", "b;a;b", "b:Exists;a:Exists;b:Exists"),
    ];
    for (name, text, printed) in cases {
        assert_eq!(
            text.parse::<Tolerations>().map(|list| list.to_string()).as_deref(),
            Ok(printed),
            "{name}"
        );
    }
}

#[test]
#[expect(clippy::too_many_lines, reason = "a table of cases")]
fn rejects_malformed_entries() {
    let key = Rule::LabelKey.expected();
    let value = Rule::LabelValue.expected();
    let empty = "at least one toleration; remove it to tolerate nothing, or write * to tolerate every taint";
    let cases = [
        ("no text", "", format!("entry \"\": expected {empty}")),
        ("only separators", " ; ", format!("entry \" ; \": expected {empty}")),
        (
            "unknown operator",
            "gpu:Exsts",
            "entry \"gpu:Exsts\": expected the operator Exists or Equal, not \"Exsts\"; \
             did you mean \"Exists\"?"
                .to_owned(),
        ),
        (
            "operator in another case",
            "gpu:exists",
            "entry \"gpu:exists\": expected the operator Exists or Equal, not \"exists\"; \
             did you mean \"Exists\"?"
                .to_owned(),
        ),
        ("empty operator", "gpu:", "entry \"gpu:\": expected the operator Exists or Equal, \
            not \"\"".to_owned()),
        (
            "effect in the place of the operator",
            "gpu:NoSchedule",
            "entry \"gpu:NoSchedule\": expected the operator Exists or Equal, not \"NoSchedule\"".to_owned(),
        ),
        (
            "unknown effect",
            "gpu:Exists:NoShedule",
            "entry \"gpu:Exists:NoShedule\": expected the effect NoSchedule, PreferNoSchedule or NoExecute, \
             not \"NoShedule\"; did you mean \"NoSchedule\"?"
                .to_owned(),
        ),
        (
            "empty effect",
            "gpu:Exists:",
            "entry \"gpu:Exists:\": expected the effect NoSchedule, PreferNoSchedule or NoExecute, \
             not \"\"".to_owned(),
        ),
        (
            "value with Exists",
            "gpu=true:Exists",
            "entry \"gpu=true:Exists\": expected no value with the operator Exists; write Equal to match the \
             value, or remove the value"
                .to_owned(),
        ),
        (
            "empty value with Exists",
            "gpu=:Exists",
            "entry \"gpu=:Exists\": expected no value with the operator Exists; write Equal to match the \
             value, or remove the value"
                .to_owned(),
        ),
        (
            "five parts",
            "gpu:Exists:NoExecute:60:",
            "entry \"gpu:Exists:NoExecute:60:\": expected at most 4 parts, \
             key[=value]:operator:effect:seconds, not 5"
                .to_owned(),
        ),
        (
            "seconds with another effect",
            "gpu:Exists:NoSchedule:60",
            "entry \"gpu:Exists:NoSchedule:60\": expected seconds only with the effect NoExecute".to_owned(),
        ),
        (
            "no number of seconds",
            "gpu:Exists:NoExecute:1m",
            "entry \"gpu:Exists:NoExecute:1m\": expected a number of seconds from 0 to 4294967295, \
             not \"1m\"".to_owned(),
        ),
        (
            "a negative number of seconds",
            "gpu:Exists:NoExecute:-1",
            "entry \"gpu:Exists:NoExecute:-1\": expected a number of seconds from 0 to 4294967295, \
             not \"-1\"".to_owned(),
        ),
        (
            "empty seconds",
            "gpu:Exists:NoExecute:",
            "entry \"gpu:Exists:NoExecute:\": expected a number of seconds from 0 to 4294967295, \
             not \"\"".to_owned(),
        ),
        ("no key", "=true", format!("entry \"=true\": expected {key} (the key is \"\")")),
        ("no key but an operator", ":Exists", format!("entry \":Exists\": expected {key} (the key is \"\")")),
        ("malformed key", "a b", format!("entry \"a b\": expected {key} (the key is \"a b\")")),
        ("malformed value", "a=b c", format!("entry \"a=b c\": expected {value} (the value is \"b c\")")),
        ("value with `=`", "a=b=c", format!("entry \"a=b=c\": expected {value} (the value is \"b=c\")")),
        (
            "every taint with a value",
            "*=a",
            "entry \"*=a\": expected the key * without a value and with the operator Exists".to_owned(),
        ),
        (
            "every taint with Equal",
            "*:Equal",
            "entry \"*:Equal\": expected the key * without a value and with the operator Exists".to_owned(),
        ),
    ];
    for (name, text, message) in cases {
        assert_eq!(text.parse::<Tolerations>().unwrap_err().to_string(), message, "{name}");
    }
}

#[test]
fn reports_every_faulty_entry() {
    let error = "a:X;b;c:Exists:Y".parse::<Tolerations>().unwrap_err();
    let entries: Vec<&str> = error.iter().map(|error| error.entry.as_str()).collect();
    assert_eq!(entries, ["a:X", "c:Exists:Y"]);
}

fn tolerations() -> impl Strategy<Value = Tolerations> {
    let key = "([a-z]{1,5}\\.io/)?[A-Za-z0-9]([A-Za-z0-9._-]{0,8}[A-Za-z0-9])?";
    let value = "([A-Za-z0-9]([A-Za-z0-9._-]{0,8}[A-Za-z0-9])?)?";
    let taint = prop_oneof![
        Just(TaintMatch::Every),
        key.prop_map(|key| TaintMatch::Exists { key }),
        (key, value).prop_map(|(key, value)| TaintMatch::Equal { key, value }),
    ];
    let effect = prop::option::of(prop::sample::select(&TaintEffect::ALL));
    let one = (taint, effect, prop::option::of(any::<u32>())).prop_map(|(taint, effect, seconds)| {
        let seconds = seconds.filter(|_| effect == Some(TaintEffect::NoExecute));
        Toleration { taint, effect, seconds }
    });
    prop::collection::vec(one, 1..5).prop_map(Tolerations)
}

proptest! {
    #[test]
    fn parses_any_text_without_panic(text in ".*|([a*]|=|:|;|Exists|Equal|NoExecute| )*") {
        let _ = text.parse::<Tolerations>();
    }

    #[test]
    fn prints_what_it_parses(list in tolerations()) {
        prop_assert!((&list).into_iter().eq(list.iter()));
        prop_assert_eq!(list.to_string().parse::<Tolerations>(), Ok(list));
    }

    #[test]
    fn parses_what_it_prints(text in "([a*]|=|:|;|Exists|Equal|NoExecute| ){0,8}") {
        if let Ok(list) = text.parse::<Tolerations>() {
            prop_assert_eq!(list.to_string().parse::<Tolerations>(), Ok(list));
        }
    }

    #[test]
    fn tolerates_every_taint_only_with_a_star(text in "([a-c]|=|:|;|Exists|Equal|NoExecute| ){0,8}") {
        if let Ok(list) = text.parse::<Tolerations>() {
            prop_assert!(list.iter().all(|toleration| toleration.taint != TaintMatch::Every));
        }
    }
}
