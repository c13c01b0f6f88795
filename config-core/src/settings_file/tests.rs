//! Settings files that are accepted, and every error.

use proptest::prelude::*;

use super::*;
use crate::{EnvSnapshot, EphemeralSettings, StepKind};

fn messages(text: &str) -> Vec<String> {
    SettingsFile::parse(text).unwrap_err().iter().map(ToString::to_string).collect()
}

fn load(text: &str, env: &[(&str, &str)]) -> Result<EphemeralSettings, Problems> {
    EphemeralSettings::load_with(&env.iter().copied().collect(), Some(&SettingsFile::parse(text).unwrap()))
}

#[test]
fn file_wins_over_defaults_and_loses_to_environment_and_properties() {
    let text =
        "namespace = 'file'\nimage = 'file'\nsecret = 'file'\n[nodeSelector]\na = 'file'\nb = 'file'\n";
    let settings = load(
        text,
        &[
            ("ExecutorEphemeralImage", "env"),
            ("ExecutorEphemeralSecret", "env"),
            (
                "JAVA_TOOL_OPTIONS",
                "-DExecutorEphemeralSecret=java -Dio.terrakube.executor.ephemeral.nodeSelector.b=java",
            ),
        ],
    )
    .unwrap();
    assert_eq!(settings.namespace.value, "file");
    assert_eq!(settings.namespace.origin.to_string(), "settings file namespace");
    assert_eq!(settings.image.value, "env");
    assert_eq!(settings.secrets.value.to_string(), "java");
    let labels: Vec<&str> = settings.node_selector.values().map(|label| label.value.as_str()).collect();
    assert_eq!(labels, ["file", "java"]);
    assert_eq!(settings.node_selector["a"].origin.to_string(), "settings file nodeSelector.a");
    assert_eq!(load("", &[]).unwrap(), EphemeralSettings::default());
}

#[test]
fn hint_quotes_names_like_toml() {
    let hint = messages("[nodeSelector]\n\"a\\nb/c\" = 1\n").remove(0);
    assert!(hint.contains(r#"write "a\nb/c" = "1""#), "{hint}");
}

#[test]
fn compares_names_like_properties() {
    let settings =
        load("Name-Space = 'a'\n[node-selector]\n\"kubernetes.io/os\" = 'linux'\ndiskType = 'ssd'\n", &[])
            .unwrap();
    assert_eq!(settings.namespace.value, "a");
    assert_eq!(settings.node_selector["kubernetes.io/os"].value, "linux");
    assert_eq!(settings.node_selector["diskType"].value, "ssd");
}

#[test]
fn variables_of_organization_win_over_general_ones() {
    let settings = load(
        "[variables]\nEPHEMERAL_CPU_LIMIT = '1'\nEPHEMERAL_MEMORY_LIMIT = '1Gi'\nPVC_CLAIM_NAME = 'all'\n\
         [organizations.acme.variables]\nEPHEMERAL_CPU_LIMIT = '2'\nPVC_CLAIM_NAME = 'name'\n\
         [organizations.\"4-7\".variables]\nPVC_CLAIM_NAME = 'id'\n",
        &[],
    )
    .unwrap();
    let of = |organization: &[&str]| {
        let found = settings.variables_for(organization);
        found.iter().map(|(_, value)| value.value.clone()).collect::<Vec<_>>()
    };
    assert_eq!(of(&[]), ["1", "1Gi", "all"]);
    assert_eq!(of(&["8-9", "other"]), ["1", "1Gi", "all"]);
    assert_eq!(of(&["8-9", "acme"]), ["2", "1Gi", "name"]);
    assert_eq!(of(&["4-7", "acme"]), ["2", "1Gi", "id"]);
    assert_eq!(
        settings.variables_for(&["4-7"]).origin_of("PVC_CLAIM_NAME").to_string(),
        "settings file organizations.4-7.variables.PVC_CLAIM_NAME"
    );
}

#[test]
fn workspace_wins_over_file_except_for_variables_of_a_step_kind() {
    let settings = load(
        "[variables]\nEPHEMERAL_CONFIG_SERVICE_ACCOUNT = \
         'all'\nEPHEMERAL_CONFIG_SERVICE_ACCOUNT_PLAN = 'plan'\n",
        &[],
    )
    .unwrap();
    let workspace: Variables = [("EPHEMERAL_CONFIG_SERVICE_ACCOUNT", "own")].into_iter().collect();
    let merged = workspace.or(settings.variables_for(&["acme"]));
    let account = |kind| {
        let overrides = WorkspaceOverrides::parse(&merged, Some(kind)).unwrap();
        overrides.get(&workspace::SERVICE_ACCOUNT).cloned()
    };
    assert_eq!(account(StepKind::Apply).unwrap(), "own");
    assert_eq!(account(StepKind::Plan).unwrap(), "plan");
}

#[test]
fn reports_every_problem_with_its_line() {
    assert_eq!(
        messages(
            "namespce = 'a'\n\
             image = 7\n\
             secret = ['a']\n\
             nodeSelector = 'ssd'\n\
             [variables]\n\
             EPHEMERAL_CPU_LIMITS = '2'\n\
             EPHEMERAL_CPU_LIMIT = 'lots'\n\
             EPHEMERAL_MEMORY_LIMIT_PLAN = '512m'\n\
             AWS_REGION = 'eu'\n\
             [organizations]\n\
             lone = 'x'\n\
             [organizations.acme]\n\
             variable = 1\n\
             [organizations.acme.variables]\n\
             EPHEMERAL_CONFIG_MAP_MOUNT_PATH = '/x'\n"
        ),
        [
            "settings file image: found \"7\", expected a string in quotes; write image = \"7\" (line 2)",
            "settings file namespce: expected the name of a known setting; \
             did you mean \"namespace\"? (line 1)",
            "settings file nodeSelector: found \"ssd\", expected a table; write [nodeSelector] (line 4)",
            "settings file organizations.acme.variable: expected the name of a known setting; did you mean \
             \"variables\"? (line 13)",
            "settings file organizations.acme.variables.EPHEMERAL_CONFIG_MAP_MOUNT_PATH: expected \
             EPHEMERAL_CONFIG_MAP_NAME beside it; name the config map to mount, or remove the path (line 15)",
            "settings file organizations.lone: found \"x\", expected a table; \
             write [organizations.lone] (line 11)",
            "settings file secret: found \"a list of 1\", expected a string in quotes; see line 3",
            &messages("[variables]\nAWS_REGION = 'eu'\n")[0].replace("line 2", "line 9"),
            "settings file variables.EPHEMERAL_CPU_LIMIT: found \"lots\", expected an amount such as 500m, \
             1.5 or 2Gi; see line 7",
            "settings file variables.EPHEMERAL_CPU_LIMITS: expected the name of a known setting; did you \
             mean \"EPHEMERAL_CPU_LIMIT\"? (line 6)",
            "settings file variables.EPHEMERAL_MEMORY_LIMIT_PLAN: found \"512m\", expected a whole number of \
             bytes; m means thousandths; did you mean \"512Mi\"? (line 8)",
        ]
    );
}

#[test]
fn rejects_variables_of_terraform() {
    let [message] = &messages("[variables]\nAWS_REGION = 'eu'\n")[..] else { panic!("one problem") };
    assert!(
        message.starts_with("settings file variables.AWS_REGION: expected the name of a known"),
        "{message}"
    );
}

#[test]
fn reports_invalid_toml_with_its_line() {
    let [message] = &messages("image = 'a'\nsecret = \n")[..] else { panic!("one problem") };
    assert!(message.starts_with("settings file line 2: expected TOML; "), "{message}");
}

#[test]
fn rejects_setting_in_two_spellings() {
    assert_eq!(
        messages("namespace = 'a'\nname-space = 'b'\n"),
        ["settings file name-space: expected each setting once, whatever its spelling; namespace is the \
          same setting; remove one of them (line 2)"]
    );
}

#[test]
fn reports_problem_of_all_organizations_once() {
    let text = "[variables]\nEPHEMERAL_CPU_LIMIT = 'x'\n[organizations.a.variables]\nPVC_CLAIM_NAME = 'c'\n";
    assert_eq!(messages(text).len(), 1);
}

#[test]
fn checks_values_that_win_and_reports_their_lines() {
    let text = "\nimage = 'Not An Image'\n";
    let problems = load(text, &[]).unwrap_err();
    assert_eq!(
        problems.to_string(),
        "settings file image: found \"Not An Image\", expected a container image: \
         [registry/]path[:tag][@digest], the path in lower case; see line 2"
    );
    assert_eq!(load(text, &[("ExecutorEphemeralImage", "executor")]).unwrap().image.value, "executor");
}

proptest! {
    #[test]
    fn parses_any_file_without_panic(
        text in "((\\[(variables|organizations(\\.a(\\.variables)?)?|nodeSelector)\\]|namespace|image|EPHEMERAL_[A-Z_]*|[a-z.\"])( ?= ?('[^']*'|[0-9]+|\\[\\]))?\n|\\PC)*"
    ) {
        if let Ok(file) = SettingsFile::parse(&text) {
            let _ = EphemeralSettings::load_with(&EnvSnapshot::default(), Some(&file));
        }
    }
}

#[test]
fn accepts_old_name_alone_and_rejects_it_beside_the_current_one() {
    let load = |text: &str| {
        EphemeralSettings::load_with(&EnvSnapshot::default(), Some(&SettingsFile::parse(text).unwrap()))
            .unwrap()
    };
    let settings = load("podStartPatience = \"90s\"\n");
    assert_eq!(settings.pod_start_timeout.value.get(), 90);
    assert_eq!(settings.warnings[0].origin.to_string(), "settings file podStartPatience");
    assert!(load("podStartTimeout = \"90s\"\n").warnings.is_empty());
    assert_eq!(
        SettingsFile::parse("podStartPatience = \"90s\"\npodStartTimeout = \"2m\"\n")
            .unwrap_err()
            .to_string(),
        "settings file podStartTimeout: expected each setting once, whatever its spelling; podStartPatience \
         is the same setting; remove one of them (line 2)"
    );
}
