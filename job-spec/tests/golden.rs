//! Golden Jobs: `golden/<rule>/input.yaml` renders as `golden/<rule>/job.yaml`, byte for byte. What stands in
//! `refused/<rule>/input.yaml` is refused with the message in `problems.txt`. `compatible/<rule>/input.yaml`
//! makes, in Terrakube 2.27, `job.yaml` with what is wrong with it in `defects.txt`.
//!
//! The expected Jobs are plain YAML files, so that other tools can read them too. `UPDATE_GOLDEN=1` writes
//! them; the difference is the review.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail by a panic too")]

use std::{collections::BTreeMap, fs, path::Path};

use config_core::{
    Collection, EnvSnapshot, EphemeralSettings, Policy, Problems, SettingsFile, Variables, workspace,
};
use job_spec::{AttemptAccess, AttemptKey, Compatible, EphemeralJobData, JobPlan, Organization, Planner};
use k8s_openapi::api::batch::v1::Job;
use serde::Deserialize;

/// What a case sets; the ids of the attempt are the same in all cases and differ from each other.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Input {
    #[serde(default)]
    environment: BTreeMap<String, String>,
    /// TOML.
    #[serde(default)]
    settings_file: String,
    /// TOML.
    #[serde(default)]
    policy: String,
    #[serde(default)]
    workspace: BTreeMap<String, String>,
    #[serde(default)]
    global: BTreeMap<String, String>,
    #[serde(default)]
    collections: Vec<OfCollection>,
    access: Option<Access>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct OfCollection {
    name: String,
    priority: i32,
    variables: BTreeMap<String, String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Access {
    url: String,
    token: String,
}

fn plan_of(input: Input) -> Result<JobPlan, Problems> {
    with_case(input, |planner, Case { variables, payload, key, access }| {
        planner.plan(&variables, &payload, &key, access)
    })
}

/// What a planner is given.
struct Case {
    variables: Variables,
    payload: EphemeralJobData,
    key: AttemptKey,
    access: Option<AttemptAccess>,
}

/// Calls a function with the planner of a case and what the planner is given.
fn with_case<T>(input: Input, take: impl FnOnce(&Planner<'_>, Case) -> T) -> T {
    let Input { environment, settings_file, policy, workspace, global, collections, access } = input;
    let organization = Organization::new("0b8a3c10-0000-4000-8000-000000000001", "acme");
    let key = AttemptKey::new(organization, "7c1d2e5a-0000-4000-8000-000000000002", 42, 100, 3);
    let payload: EphemeralJobData = serde_json::from_value(serde_json::json!({
        "type": "terraformPlan",
        "organizationId": key.organization().id(),
        "workspaceId": key.workspace_id(),
        "jobId": "42",
        "stepId": "d2f0aa11-0000-4000-8000-000000000100",
        "terraformVersion": "1.9.8",
        "source": "https://github.com/acme/infra.git",
        "branch": "main",
        "folder": "/",
        "vcsType": "PUBLIC",
        "refresh": true,
    }))
    .unwrap();
    let env: EnvSnapshot = environment.into_iter().collect();
    let file = SettingsFile::parse(&settings_file).unwrap();
    let settings = EphemeralSettings::load_with(&env, Some(&file)).unwrap();
    // A case without a policy is about rendering: it may set what needs a permission.
    let policy = if policy.is_empty() { Policy::permissive() } else { Policy::parse(&policy).unwrap() };
    let collections: Vec<Collection> = collections
        .into_iter()
        .map(|OfCollection { name, priority, variables }| Collection { name, priority, variables })
        .collect();
    let variables = Variables::merge(&workspace, &global, &collections);
    let access = access.map(|Access { url, token }| AttemptAccess::new(url, token));
    take(&Planner::new(&settings, &policy), Case { variables, payload, key, access })
}

/// Renders the Job, and the Secret that belongs to it.
fn objects_of(input: Input) -> (String, Option<String>) {
    let (job, secret) = plan_of(input).unwrap().into_objects();
    (yaml_of(&job), secret.map(|secret| serde_saphyr::to_string(&secret).unwrap()))
}

fn yaml_of(job: &Job) -> String {
    let yaml = serde_saphyr::to_string(job).unwrap();
    let read_back: Job = serde_saphyr::from_str(&yaml).unwrap();
    assert_eq!(&read_back, job, "the YAML says the same as the Job");
    yaml
}

/// Compares with the file, or writes it; returns what differs.
#[expect(
    clippy::disallowed_methods,
    reason = "the developer sets this variable to write the files instead of comparing them"
)]
fn difference(golden: &Path, actual: Option<&str>) -> Option<String> {
    if let Some(actual) = actual.filter(|_| std::env::var("UPDATE_GOLDEN").is_ok_and(|value| value == "1")) {
        fs::write(golden, actual).unwrap();
    }
    let (expected, actual) = (fs::read_to_string(golden).unwrap_or_default(), actual.unwrap_or_default());
    (expected != actual).then(|| format!("{}: {}", golden.display(), first_difference(&expected, actual)))
}

/// Runs a function over all cases of a folder, and fails with all differences.
#[track_caller]
fn for_each_case(folder: &str, at_least: usize, check: impl Fn(&Path, Input) -> Vec<String>) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests").join(folder);
    let mut differences = Vec::new();
    let mut cases = 0;
    for entry in fs::read_dir(folder).unwrap() {
        let case = entry.unwrap().path();
        let input = fs::read_to_string(case.join("input.yaml")).unwrap();
        let input = serde_saphyr::from_str(&input).expect("the input of a case is YAML");
        differences.extend(check(&case, input));
        cases += 1;
    }
    differences.sort();
    assert!(cases >= at_least, "the cases were not found");
    assert!(differences.is_empty(), "UPDATE_GOLDEN=1 writes the files\n{}", differences.join("\n"));
}

/// Returns the first line at which two texts differ.
fn first_difference(expected: &str, actual: &str) -> String {
    let (mut expected, mut actual) = (expected.lines(), actual.lines());
    for number in 1.. {
        match (expected.next(), actual.next()) {
            (None, None) => break,
            (left, right) if left == right => {}
            (left, right) => return format!("line {number}: expected {left:?}, rendered {right:?}"),
        }
    }
    "the line ends differ".to_owned()
}

#[test]
fn renders_every_golden_case() {
    for_each_case("golden", 10, |case, input| {
        let (job, secret) = objects_of(input);
        let files = [("job.yaml", Some(job)), ("secret.yaml", secret)];
        files.iter().filter_map(|(file, actual)| difference(&case.join(file), actual.as_deref())).collect()
    });
}

#[test]
fn golden_case_sets_every_workspace_variable() {
    let Input { workspace, .. } = every_variable();
    let missing: Vec<&str> = workspace::names().filter(|name| !workspace.contains_key(*name)).collect();
    assert!(missing.is_empty(), "{missing:?}");
}

#[test]
fn no_variable_of_a_workspace_is_ignored() {
    let with_all = objects_of(every_variable());
    for name in workspace::names() {
        // Some variables cannot be removed alone: others refer to what they add.
        let is_refused = plan_of(every_variable_without(name)).is_err();
        let is_changed = || objects_of(every_variable_without(name)) != with_all;
        assert!(is_refused || is_changed(), "{name} changes nothing");
    }
}

fn every_variable() -> Input {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/every-workspace-variable-at-once");
    serde_saphyr::from_str(&fs::read_to_string(folder.join("input.yaml")).unwrap()).unwrap()
}

fn every_variable_without(name: &str) -> Input {
    let mut input = every_variable();
    input.workspace.remove(name);
    input
}

#[test]
fn refuses_every_refused_case_with_its_message() {
    for_each_case("refused", 5, |case, input| {
        let problems = plan_of(input).expect_err("nothing is wrong with it").to_string() + "\n";
        difference(&case.join("problems.txt"), Some(&problems)).into_iter().collect()
    });
}

#[test]
fn renders_every_compatible_case_with_its_defects() {
    for_each_case("compatible", 5, |case, input| {
        let Compatible { job, defects } =
            with_case(input, |planner, Case { variables, payload, key, access }| {
                planner.compatible(&variables, &payload, &key, access)
            });
        let defects = defects.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n") + "\n";
        let files = [("job.yaml", yaml_of(&job)), ("defects.txt", defects)];
        files.iter().filter_map(|(file, actual)| difference(&case.join(file), Some(actual))).collect()
    });
}
