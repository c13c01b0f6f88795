//! Documents as a whole: the operator's settings file and policy file.

use config_core::{EnvSnapshot, EphemeralSettings, Policy, Rules, SettingsFile, SourceName, Variables};

use crate::{SEPARATOR, Target, checks, lines, owned, settings, text_of};

pub(crate) const SETTINGS_FILE: Target = Target {
    name: "settings-file",
    longest: 128,
    about: "a settings file is accepted with valid settings, or every problem is reported with its line",
    seeds: || {
        owned(&[
            include_str!("../../config-core/examples/settings.toml"),
            "image = \"a\"\nnamespace = 1\n[nodeSelector]\n\"a/b\" \
             = \"c\"\n[variables]\nEPHEMERAL_CPU_LIMIT = \"x\"",
            "[organizations.acme.variables]\nEPHEMERAL_CONFIG_LABELS_PLAN \
             = \"a=b\"\n[organizations.b]\nvars = 1",
            "Name-Space = 'a'\nnamespace = '''b'''\nimage.x = 1 # c\nsecret = [\"a\"]",
        ])
    },
    run: |data| {
        let text = text_of(data);
        match SettingsFile::parse(&text) {
            Ok(file) => match EphemeralSettings::load_with(&EnvSnapshot::default(), Some(&file)) {
                Ok(settings) => {
                    settings::check(&settings);
                    let variables = settings.variables_for(&["acme", "b"]);
                    assert!(
                        variables.iter().all(|(_, value)| value.origin.source == SourceName::SettingsFile)
                    );
                }
                Err(problems) => checks::problems(&problems),
            },
            Err(problems) => checks::problems(&problems),
        }
    },
};

/// A policy, and after the separator variables of a workspace that it checks.
pub(crate) const POLICY: Target = Target {
    name: "policy",
    longest: 160,
    about: "a policy is accepted with amounts that make sense, or every problem is reported; \
        so is every refusal",
    seeds: || {
        let example = include_str!("../../config-core/examples/policy.toml");
        let parts = [
            ("EPHEMERAL_CONFIG_SERVICE_ACCOUNT_APPLY=root\nEPHEMERAL_CONFIG_IMAGE=a/b", example),
            (
                "EPHEMERAL_CONFIG_TOLERATIONS=a;b",
                "[default.values]\nEPHEMERAL_CONFIG_TOLERATIONS = ['a*:*', '*b']",
            ),
            ("EPHEMERAL_JOB_ENV_VARS=A=b", "[organizations.acme]\nforbid=['EPHEMERAL_JOB_ENV_VARS','x']"),
            ("EPHEMERAL_CONFIG_LABELS=", "default.values.EPHEMERAL_CONFIG_LABELS = []\ndefault.allow = 'x'"),
            ("", "[organizations.b.maximum]\ncpu = '500m'\nmemory = '1'\ndeadline = '1h'\nx = 1"),
        ];
        parts.iter().map(|(variables, policy)| [policy, *variables].join(SEPARATOR)).collect()
    },
    run: |data| {
        let text = text_of(data);
        let (policy, variables) = text.split_once(SEPARATOR).unwrap_or((&text, ""));
        match Policy::parse(policy) {
            Ok(policy) => {
                let variables = lines::pairs(variables).into_iter().collect();
                checked(&policy.rules_for(&["acme", "b"]), &variables);
            }
            Err(problems) => checks::problems(&problems),
        }
    },
};

fn checked(rules: &Rules, variables: &Variables) {
    assert!(rules.maximum().values().all(|amount| amount.value.nanos() > 0));
    let problems = rules.check(variables);
    for problem in &problems {
        checks::problem(problem);
        assert!(variables.get(&problem.origin.key).is_some(), "{problem}");
    }
    // Variables are checked one by one.
    for (name, found) in variables.iter() {
        let alone = rules.check(&[(name, found.value.as_str())].into_iter().collect());
        let reported = problems.iter().filter(|problem| problem.origin.key == name);
        assert!(reported.eq(alone.iter()), "{name} alone is checked in another way");
    }
}
