//! Variables for steps of one kind.

use super::*;

#[test]
fn value_for_one_step_kind_wins_for_that_kind_only() {
    let variables = [
        ("EPHEMERAL_CPU_LIMIT", "2"),
        ("EPHEMERAL_CPU_LIMIT_PLAN", "1"),
        ("EPHEMERAL_CONFIG_MAP_NAME_APPLY", "extra"),
    ];
    let limit = |kind| {
        let overrides = parse_for(kind, &variables).unwrap();
        (
            overrides.get(&workspace::CPU_LIMIT).unwrap().to_string(),
            overrides.origins().of("EPHEMERAL_CPU_LIMIT").key,
            overrides.config_map().map(|config_map| config_map.name),
        )
    };
    assert_eq!(limit(None), ("2".to_owned(), "EPHEMERAL_CPU_LIMIT".to_owned(), None));
    assert_eq!(limit(Some(StepKind::Plan)), ("1".to_owned(), "EPHEMERAL_CPU_LIMIT_PLAN".to_owned(), None));
    assert_eq!(
        limit(Some(StepKind::Apply)),
        ("2".to_owned(), "EPHEMERAL_CPU_LIMIT".to_owned(), Some("extra".parse().unwrap()))
    );
}

#[test]
fn reports_problem_of_one_step_kind_for_every_step() {
    let message = "workspace variable EPHEMERAL_CONFIG_TOLERATIONS_APPLY: found \"a:X\", expected the \
                   operator Exists or Equal, not \"X\"";
    for kind in [None, Some(StepKind::Plan), Some(StepKind::Apply)] {
        assert_eq!(
            parse_for(kind, &[("EPHEMERAL_CONFIG_TOLERATIONS_APPLY", "a:X")]),
            Err(vec![message.to_owned()]),
            "{kind:?}"
        );
    }
}

#[test]
fn variables_of_terraform_have_no_suffix_for_a_step_kind() {
    let variables = [("TF_PLUGIN_CACHE_DIR_PLAN", "/a"), ("PVC_CLAIM_NAME_PLAN", "b")];
    assert_eq!(parse_for(Some(StepKind::Plan), &variables), Ok(WorkspaceOverrides::default()));
}
