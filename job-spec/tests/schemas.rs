//! Every rendered Job is valid by the JSON schemas that Kubernetes publishes, unknown fields refused.
//!
//! The schemas are no part of this repository: a Python package has them, and `.ci/run` unpacks it into
//! `target/kubernetes-schemas`. A machine without them skips this with a message; with `CI` set it fails.

#![expect(clippy::unwrap_used, clippy::panic, reason = "helpers of tests fail by a panic too")]

use std::{
    fs,
    io::Write as _,
    path::{Path, PathBuf},
    sync::LazyLock,
};

use jsonschema::Validator;
use proptest::prelude::*;
use serde_json::{Value, json};

#[path = "properties/plans.rs"]
mod plans;

use plans::{key, payload_of, plan_of, workspace};

/// The minor versions of Kubernetes that accept our Jobs; the first is the oldest that `k8s-openapi` knows.
const VERSIONS: &[&str] = &["1.33", "1.34", "1.35", "1.36", "1.37"];

const HOW: &str = "python3 -m pip install --no-deps --target target/kubernetes-schemas --requirement \
                   job-spec/tests/schemas/requirements.txt";

/// One validator for each version, or `None` on a machine without the schemas.
static SCHEMAS: LazyLock<Option<Vec<(&str, Validator)>>> = LazyLock::new(|| {
    let folder = folder();
    if !folder.is_dir() {
        assert!(!in_ci(), "the schemas are missing: {HOW}");
        say("SKIPPED: no Job was validated by the schemas of Kubernetes, which this brings:");
        say(HOW);
        return None;
    }
    Some(VERSIONS.iter().map(|version| (*version, validator(&folder, version))).collect())
});

fn folder() -> PathBuf {
    let package = "target/kubernetes-schemas/kubernetes_validate/kubernetes-json-schema";
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(package)
}

fn validator(folder: &Path, version: &str) -> Validator {
    let path = folder.join(format!("v{version}.0-local-strict/_definitions.json"));
    let text = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let mut schema: Value = serde_json::from_str(&text).unwrap();
    schema["$ref"] = json!("#/$defs/io.k8s.api.batch.v1.Job");
    jsonschema::validator_for(&schema).unwrap()
}

#[expect(clippy::disallowed_methods, reason = "whether this is a pipeline is said by this variable alone")]
fn in_ci() -> bool {
    std::env::var("CI").is_ok_and(|value| !value.is_empty())
}

#[expect(
    clippy::explicit_write,
    reason = "it is not captured, and what was not checked must not stay unseen"
)]
fn say(message: &str) {
    writeln!(std::io::stderr(), "{message}").unwrap();
}

/// What each version has against a Job, a line each; nothing where there are no schemas.
fn complaints(job: &Value) -> Vec<String> {
    let of_version = |(version, validator): &(&str, Validator)| {
        let lines =
            validator.iter_errors(job).map(|error| format!("{version}: {}: {error}", error.instance_path()));
        lines.collect::<Vec<_>>()
    };
    SCHEMAS.iter().flatten().flat_map(of_version).collect()
}

/// The golden Jobs with the names of their cases, then those of Terrakube 2.27.
fn golden_jobs() -> Vec<(String, Value)> {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests");
    let cases_of = |folder: &str| fs::read_dir(tests.join(folder)).unwrap();
    let cases = ["golden", "compatible"].into_iter().flat_map(cases_of);
    cases
        .map(|entry| entry.unwrap().path())
        .map(|case| {
            let yaml = fs::read_to_string(case.join("job.yaml")).unwrap();
            (case.file_name().unwrap().to_string_lossy().into_owned(), serde_saphyr::from_str(&yaml).unwrap())
        })
        .collect()
}

#[test]
fn every_golden_job_is_valid_in_every_version() {
    let jobs = golden_jobs();
    assert!(jobs.len() > 10, "the cases were not found");
    let complaints: Vec<String> = jobs
        .iter()
        .flat_map(|(name, job)| complaints(job).into_iter().map(move |line| format!("{name}: {line}")))
        .collect();
    assert!(complaints.is_empty(), "{}", complaints.join("\n"));
}

#[test]
fn every_version_refuses_unknown_fields_and_wrong_types_at_any_depth() {
    let Some(schemas) = &*SCHEMAS else { return };
    let (_, job) = golden_jobs().swap_remove(0);
    let wrong = [
        ("", "unknown", json!(1)),
        ("", "kind", json!("CronJob")),
        ("/spec", "unknown", json!(1)),
        ("/spec", "backoffLimit", json!("0")),
        ("/spec/template/spec", "tolerationz", json!([])),
        ("/spec/template/spec/containers/0", "Image", json!("a")),
        ("/spec/template/spec/containers/0/env/0", "value", json!(true)),
        ("/spec/template/spec/containers/0/securityContext/capabilities", "dropp", json!(["ALL"])),
    ];
    for (place, field, value) in wrong {
        let mut job = job.clone();
        job.pointer_mut(place).unwrap()[field] = value;
        for (version, validator) in schemas {
            assert!(!validator.is_valid(&job), "{version} accepts {place}/{field}");
        }
    }
}

#[test]
fn every_job_is_valid_in_every_version() {
    // Without schemas the property would fail and be shrunk.
    if SCHEMAS.is_none() {
        return;
    }
    proptest!(|(key in key(), workspace in workspace())| {
        let job = plan_of(&key, &workspace, &payload_of(&key, "s"), "t").job();
        prop_assert_eq!(complaints(&serde_json::to_value(job).unwrap()), Vec::<String>::new());
    });
}
