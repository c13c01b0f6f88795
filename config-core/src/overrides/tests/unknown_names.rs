//! Unknown names.

use super::*;

#[test]
fn rejects_unknown_names_with_suggestion() {
    let cases = [
        (
            "misspelt name",
            ("EPHEMERAL_CONFIG_NODE_SELECTOR", "a=b"),
            "workspace variable EPHEMERAL_CONFIG_NODE_SELECTOR: expected the name of a known setting; did \
             you mean \"EPHEMERAL_CONFIG_NODE_SELECTOR_TAGS\"?"
                .to_owned(),
        ),
        (
            "name in another case",
            ("Ephemeral_Config_Annotations", "a=b"),
            "workspace variable Ephemeral_Config_Annotations: expected the name of a known setting; did you \
             mean \"EPHEMERAL_CONFIG_ANNOTATIONS\"?"
                .to_owned(),
        ),
        (
            "name that resembles none",
            ("EPHEMERAL_XYZ", "secret"),
            format!(
                "workspace variable EPHEMERAL_XYZ: expected the name of a known setting; known are {}",
                workspace::names()
                    .filter(|name| name.starts_with(keys::EPHEMERAL_PREFIX))
                    .collect::<Vec<_>>()
                    .join(", ")
            ),
        ),
        (
            "misspelt name without CONFIG",
            ("EPHEMERAL_CONFIG_CPU_REQEST", "1"),
            "workspace variable EPHEMERAL_CONFIG_CPU_REQEST: expected the name of a known setting; did you \
             mean \"EPHEMERAL_CPU_REQUEST\"?"
                .to_owned(),
        ),
    ];
    for (name, variable, message) in cases {
        assert_eq!(parse(&[variable]), Err(vec![message]), "{name}");
    }
}

#[test]
fn names_outside_our_family_are_those_of_the_plugin_cache() {
    let others: Vec<&str> =
        workspace::names().filter(|name| !name.starts_with(keys::EPHEMERAL_PREFIX)).collect();
    assert_eq!(others, ["TF_PLUGIN_CACHE_DIR", "PVC_CLAIM_NAME"]);
}

#[test]
fn suggests_name_with_the_suffix_of_the_step_kind() {
    assert_eq!(
        parse(&[("EPHEMERAL_CPU_LIMT_PLAN", "1")]),
        Err(vec![
            "workspace variable EPHEMERAL_CPU_LIMT_PLAN: expected the name of a known setting; did you mean \
             \"EPHEMERAL_CPU_LIMIT_PLAN\"?"
                .to_owned()
        ])
    );
}
