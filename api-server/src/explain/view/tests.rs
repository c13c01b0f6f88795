//! The output for users and for programs.

use config_core::{EphemeralSettings, Policy};
use job_spec::Profile;
use k8s_openapi::api::batch::v1::Job;
use proptest::prelude::*;
use serde_json::Value;

use super::*;
use crate::explain::inputs::{Inputs, Texts};

fn preview(profile: Profile, variables: &[(&str, &str)]) -> Preview {
    let object: serde_json::Map<String, Value> =
        variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).into())).collect();
    let workspace = Some(("workspace.json".to_owned(), Value::Object(object).to_string()));
    let texts = Texts { workspace, ..Texts::default() };
    Inputs::new(texts, EphemeralSettings::default(), Policy::default(), &[]).unwrap().preview(profile)
}

fn shown(format: Format, preview: &Preview) -> Shown {
    show(format, preview, Colours::default()).unwrap()
}

const VARIABLES: &[(&str, &str)] = &[
    ("EPHEMERAL_CONFIG_ANNOTATIONS", "note=a: b # c;empty=;yes=no;text=two\nlines;long= - [ { \" ' \\ } ] é"),
    ("EPHEMERAL_CONFIG_TOLERATIONS", "*;spot:Equal"),
    ("EPHEMERAL_CONFIG_SECURITY_CONTEXT", "readOnlyRootFilesystem=true"),
    ("EPHEMERAL_JOB_ENV_VARS", "TOKEN=hunter2"),
];

#[test]
fn yaml_comments_each_field_and_still_parses_as_the_job() {
    let preview = preview(Profile::Safe, VARIABLES);
    let yaml = shown(Format::Yaml, &preview).out;
    let read_back: Job = serde_saphyr::from_str(&yaml).unwrap();
    assert_eq!(Some(&read_back), preview.explanation.as_ref().map(|explanation| &explanation.job));
    for line in [
        "  backoffLimit: 0 # built-in default: a step runs once",
        "  name: job-1-100-1 # job request name",
        "        image: azbuilder/executor:2.22.0 # built-in default ExecutorEphemeralImage",
        "          readOnlyRootFilesystem: true # workspace variable EPHEMERAL_CONFIG_SECURITY_CONTEXT",
        "    text: |- # workspace variable EPHEMERAL_CONFIG_ANNOTATIONS",
    ] {
        assert!(yaml.lines().any(|found| found == line), "{line} in\n{yaml}");
    }
    let fields = &preview.explanation.unwrap().fields;
    let without_comment = fields.iter().filter(|field| field.value == serde_json::json!({})).count();
    let comments = yaml.lines().filter(|line| line.contains(" # ")).count();
    assert_eq!(comments, fields.len() - without_comment, "{yaml}");
}

#[test]
fn prints_compatible_job_with_its_defects() {
    let preview = preview(Profile::Compatible, &[("EPHEMERAL_CONFIG_MAP_NAME", "extra")]);
    let Shown { out, err } = shown(Format::Yaml, &preview);
    let read_back: Job = serde_saphyr::from_str(&out).unwrap();
    assert_eq!(read_back.metadata.name.as_deref(), Some("job-1"));
    assert!(out.contains("mountPath: /tmp # workspace variable EPHEMERAL_CONFIG_MAP_NAME\n"), "{out}");
    assert!(err.contains("defect: spec.backoffLimit: not set"), "{err}");
    assert_eq!(
        serde_json::from_str::<Value>(&shown(Format::Json, &preview).out).unwrap()["defects"][0]["about"],
        "metadata.name"
    );
}

#[test]
fn colours_do_not_change_text() {
    let preview = preview(Profile::Safe, &[("EPHEMERAL_CONFIG_TOLERATIONS", "a:X"), ("PVC_CLAIM_NAME", "a")]);
    for format in [Format::Yaml, Format::Table] {
        let plain = shown(format, &preview);
        let coloured = show(format, &preview, Colours { out: true, err: true }).unwrap();
        for (plain, coloured) in [(&plain.out, &coloured.out), (&plain.err, &coloured.err)] {
            assert!(!plain.contains('\u{1b}') && coloured.contains('\u{1b}'), "{format:?}");
            assert_eq!(&without_colours(coloured), plain);
        }
    }
}

fn without_colours(text: &str) -> String {
    let mut parts = text.split('\u{1b}');
    let first = parts.next().unwrap_or_default().to_owned();
    first + &parts.map(|part| part.split_once('m').unwrap().1).collect::<String>()
}

#[test]
fn json_holds_the_whole_preview() {
    let preview = preview(Profile::Safe, &[("EPHEMERAL_CPU_LIMTI", "1"), ("PVC_CLAIM_NAME", "cache")]);
    let Shown { out, err } = shown(Format::Json, &preview);
    assert_eq!(err, "");
    let json: Value = serde_json::from_str(&out).unwrap();
    assert_eq!(json["refused"][0]["key"], "EPHEMERAL_CPU_LIMTI");
    assert_eq!(json["warnings"][0]["key"], "PVC_CLAIM_NAME");
    assert_eq!(json["job"]["kind"], "Job");
    assert_eq!(
        json["fields"][0],
        serde_json::json!({
            "path": "apiVersion", "value": "batch/v1", "source": "default", "key": "apiVersion",
            "reason": "what an attempt is",
        })
    );
}

#[test]
fn table_has_one_row_per_field() {
    let preview = preview(Profile::Safe, &[("EPHEMERAL_CPU_LIMIT", "2")]);
    let table = shown(Format::Table, &preview).out;
    let row = table.lines().find(|line| line.contains("limits.cpu")).unwrap();
    let cells: Vec<&str> = row.split(['│', '┆']).map(str::trim).collect();
    assert_eq!(
        cells[1..4],
        [
            "spec.template.spec.containers[executor].resources.limits.cpu",
            "2",
            "workspace variable EPHEMERAL_CPU_LIMIT"
        ]
    );
    assert_eq!(table.lines().count(), preview.explanation.unwrap().fields.len() + 4);
}

#[test]
fn prints_refused_variables_and_their_effect() {
    let printed = |variables: &[(&str, &str)]| shown(Format::Yaml, &preview(Profile::Safe, variables));
    assert_eq!(printed(&[]).err, "");
    assert_eq!(
        printed(&[("EPHEMERAL_CPU_LIMTI", "1")]).err,
        "refused: workspace variable EPHEMERAL_CPU_LIMTI: expected the name of a known setting; did you mean \
         \"EPHEMERAL_CPU_LIMIT\"?\n\
         refused: nothing would be created; what is shown is made without these variables\n"
    );
    let too_large = "x".repeat(60_000);
    let Shown { out, err } = printed(&[("A", &too_large), ("B", &too_large)]);
    assert_eq!(out, "");
    assert!(err.ends_with("refused: there is no Kubernetes Job to show\n"), "{err}");
}

#[test]
fn hides_secrets_in_every_format() {
    for profile in [Profile::Safe, Profile::Compatible] {
        let preview = preview(profile, &[VARIABLES, &[("AWS_SECRET", "correct horse")]].concat());
        for format in [Format::Yaml, Format::Json, Format::Table] {
            let Shown { out, err } = shown(format, &preview);
            assert!(!(out.clone() + &err).contains("hunter2"), "{out}{err}");
            assert!(!(out.clone() + &err).contains("horse"), "{out}{err}");
            assert!(out.contains("<redacted: "), "{out}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn yaml_of_any_text_still_parses_as_the_job(text in "[^;\0]{0,200}|[ #:\n'\"|>-]{0,20}") {
        let preview = preview(Profile::Safe, &[("EPHEMERAL_CONFIG_ANNOTATIONS", &format!("note={text}"))]);
        let read_back: Job = serde_saphyr::from_str(&shown(Format::Yaml, &preview).out).unwrap();
        prop_assert_eq!(Some(read_back), preview.explanation.map(|explanation| explanation.job));
    }
}
