//! Terrakube 2.27.2 created these Jobs, and [`Planner::compatible`] renders each of them.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail by a panic too")]

use std::collections::BTreeMap;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use config_core::{EnvSnapshot, EphemeralSettings, Policy, Variables};
use job_spec::{AttemptKey, EphemeralJobData, Organization, Planner};
use serde::Deserialize;
use serde_json::Value;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Recording {
    #[serde(rename = "JAVA_TOOL_OPTIONS")]
    java_tool_options: String,
    settings: BTreeMap<String, String>,
    cases: Vec<Case>,
}

#[derive(Deserialize)]
struct Case {
    name: String,
    workspace: BTreeMap<String, String>,
    /// `None` where an exception kept it from making a Job.
    job: Option<Value>,
}

fn recording() -> Recording {
    serde_json::from_str(include_str!("recorded/terrakube-2.27.2-jobs.json")).unwrap()
}

fn settings(recording: &Recording) -> EphemeralSettings {
    let options = ("JAVA_TOOL_OPTIONS".to_owned(), recording.java_tool_options.clone());
    let env: EnvSnapshot = recording.settings.clone().into_iter().chain([options]).collect();
    EphemeralSettings::load(&env).unwrap()
}

/// The payload that a recorded Job carries.
fn payload(job: &Value) -> EphemeralJobData {
    let environment = &job["spec"]["template"]["spec"]["containers"][0]["env"];
    let data =
        environment.as_array().unwrap().iter().find(|entry| entry["name"] == "EphemeralJobData").unwrap();
    serde_json::from_slice(&STANDARD.decode(data["value"].as_str().unwrap()).unwrap()).unwrap()
}

fn key(payload: &EphemeralJobData) -> AttemptKey {
    let organization = Organization::new(&payload.organization_id, "recording");
    AttemptKey::new(organization, &payload.workspace_id, payload.job_id.parse().unwrap(), 100, 1)
}

/// Leaves out the payload: its text has the order of another program, and is read back instead.
fn without_payload(job: &mut Value) {
    let environment = &mut job["spec"]["template"]["spec"]["containers"][0]["env"];
    environment.as_array_mut().unwrap().retain(|entry| entry["name"] != "EphemeralJobData");
}

/// Leaves out empty objects and lists, which the two programs write differently and Kubernetes reads alike.
fn normalize(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            fields.values_mut().for_each(normalize);
            fields.retain(|_, value| !is_empty(value));
        }
        Value::Array(items) => items.iter_mut().for_each(normalize),
        _ => {}
    }
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Object(fields) => fields.is_empty(),
        Value::Array(items) => items.is_empty(),
        _ => false,
    }
}

#[test]
fn compatible_jobs_are_those_that_the_real_program_created() {
    let recording = recording();
    let (settings, policy) = (settings(&recording), Policy::permissive());
    let mut compared = 0;
    for Case { name, workspace, job } in &recording.cases {
        let Some(mut job) = job.clone() else { continue };
        let payload = payload(&job);
        let key = key(&payload);
        let variables: Variables = workspace.clone().into_iter().collect();
        let rendered = Planner::new(&settings, &policy).compatible(&variables, &payload, &key, None);
        let mut ours = serde_json::to_value(&rendered.job).unwrap();
        assert_eq!(self::payload(&ours), payload, "{name}");
        if workspace.contains_key("TF_PLUGIN_CACHE_DIR") {
            // The recorded cluster had no claims; a defect says that nothing is mounted then.
            let pod = ours["spec"]["template"]["spec"].as_object_mut().unwrap();
            assert!(pod.remove("volumes").is_some(), "{name}");
            pod["containers"][0].as_object_mut().unwrap().remove("volumeMounts");
        }
        for job in [&mut job, &mut ours] {
            without_payload(job);
            normalize(job);
        }
        assert_eq!(ours, job, "{name}");
        compared += 1;
    }
    assert!(compared >= 20, "{compared} Jobs compared");
}

#[test]
fn settings_under_the_old_prefix_are_left_out_and_listed() {
    let recording = recording();
    let (settings, policy) = (settings(&recording), Policy::permissive());
    let Case { workspace, job, .. } = &recording.cases[0];
    let payload = payload(job.as_ref().unwrap());
    let key = key(&payload);
    let variables: Variables = workspace.clone().into_iter().collect();
    let planner = Planner::new(&settings, &policy);
    let defects = planner.compatible(&variables, &payload, &key, None).defects;
    let ignored: Vec<&str> = defects
        .iter()
        .filter(|defect| defect.text.contains("prefix org.terrakube"))
        .map(|defect| defect.about.as_str())
        .collect();
    assert_eq!(ignored, ["JAVA_TOOL_OPTIONS -Dorg.terrakube.executor.ephemeral.nodeSelector.orgpool"]);
    // Ours takes both prefixes.
    let ours = planner.plan(&variables, &payload, &key, None).unwrap().job();
    let selector = ours.spec.unwrap().template.spec.unwrap().node_selector.unwrap();
    assert!(selector.contains_key("orgpool") && selector.contains_key("iopool"), "{selector:?}");
}
