//! Variables whose value is YAML.

use super::*;

fn message(name: &str, text: &str) -> String {
    WorkspaceOverrides::parse(&[(name, text)].into_iter().collect(), None).unwrap_err().to_string()
}

#[test]
fn rejects_yaml_of_another_form_without_showing_it() {
    let affinity = "EPHEMERAL_CONFIG_AFFINITY";
    let spread = "EPHEMERAL_CONFIG_TOPOLOGY_SPREAD_PLAN";
    let cases = [
        (affinity, "[hunter2]", "found \"a list\", expected an object in YAML or JSON"),
        (affinity, "hunter2", "found \"text\", expected an object in YAML or JSON"),
        (
            affinity,
            " # only a comment",
            "found \"nothing\", expected an object in YAML or JSON; remove it to set nothing",
        ),
        (
            "EPHEMERAL_CONFIG_POD_PATCH",
            "hunter2",
            "found \"text\", expected an object or a list in YAML or JSON",
        ),
        (spread, "{a: hunter2}", "found \"an object\", expected a list in YAML or JSON"),
        (spread, "- a: 'hunter2", "found \"line 1, column 6\", expected YAML; unclosed quote"),
    ];
    for (name, text, expected) in cases {
        assert_eq!(message(name, text), format!("workspace variable {name}: {expected}"), "{text:?}");
    }
}

#[test]
fn reads_objects_and_lists() {
    let variables = [("EPHEMERAL_CONFIG_AFFINITY", "{}"), ("EPHEMERAL_CONFIG_TOPOLOGY_SPREAD", "- a: 1\n")];
    let overrides = WorkspaceOverrides::parse(&variables.into_iter().collect(), None).unwrap();
    assert_eq!(overrides.get(&workspace::AFFINITY).unwrap().to_string(), "{}");
    assert_eq!(overrides.get(&workspace::TOPOLOGY_SPREAD).unwrap().to_string(), r#"[{"a":1}]"#);
    for patch in ["{}", "[]"] {
        let variables = [("EPHEMERAL_CONFIG_POD_PATCH", patch)].into_iter().collect();
        let overrides = WorkspaceOverrides::parse(&variables, None).unwrap();
        assert_eq!(overrides.get(&workspace::POD_PATCH).unwrap().to_string(), patch);
    }
}
