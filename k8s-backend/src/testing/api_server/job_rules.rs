//! Validation and defaults of a new Job (fixture `invalid-spec-422`).
//!
//! Only rules that a recording shows, and of those only the ones that a program breaks in practice.

use serde_json::{Value, json};

const SUBDOMAIN: &str = "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, \
    '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for \
    validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')";

/// A problem of one field.
pub(super) struct Problem {
    field: &'static str,
    reason: &'static str,
    message: String,
}

/// Returns the problems of a Job, with the messages of the server.
pub(super) fn problems(job: &Value) -> Vec<Problem> {
    let mut problems = Vec::new();
    let name = job["metadata"]["name"].as_str().unwrap_or_default();
    if !is_subdomain(name) {
        let message = format!("Invalid value: {name:?}: {SUBDOMAIN}");
        problems.push(Problem { field: "metadata.name", reason: "FieldValueInvalid", message });
    } else if name.len() > 63 {
        // The name becomes the value of two labels of the pod.
        for _ in 0..2 {
            let message = format!("Invalid value: {name:?}: must be no more than 63 bytes");
            problems.push(Problem { field: "spec.template.labels", reason: "FieldValueInvalid", message });
        }
    }
    for (field, pointer) in [
        ("spec.backoffLimit", "/spec/backoffLimit"),
        ("spec.activeDeadlineSeconds", "/spec/activeDeadlineSeconds"),
        ("spec.ttlSecondsAfterFinished", "/spec/ttlSecondsAfterFinished"),
    ] {
        if let Some(number) = job.pointer(pointer).and_then(Value::as_i64).filter(|number| *number < 0) {
            let message = format!("Invalid value: {number}: must be greater than or equal to 0");
            problems.push(Problem { field, reason: "FieldValueInvalid", message });
        }
    }
    let containers = job.pointer("/spec/template/spec/containers").and_then(Value::as_array);
    if containers.is_none_or(Vec::is_empty) {
        let field = "spec.template.spec.containers";
        problems.push(Problem { field, reason: "FieldValueRequired", message: "Required value".to_owned() });
    }
    problems
}

/// Returns the message and the causes of a refusal.
pub(super) fn refusal(job: &Value, problems: &[Problem]) -> (String, Value) {
    let name = job["metadata"]["name"].as_str().unwrap_or_default();
    let mut said: Vec<_> =
        problems.iter().map(|problem| format!("{}: {}", problem.field, problem.message)).collect();
    said.dedup();
    let list = if said.len() == 1 { said.remove(0) } else { format!("[{}]", said.join(", ")) };
    let causes: Vec<_> = problems
        .iter()
        .map(|it| json!({"reason": it.reason, "message": it.message, "field": it.field}))
        .collect();
    (format!("Job.batch {name:?} is invalid: {list}"), json!(causes))
}

/// Fills in what a Job leaves open; `success/01-create` shows the result.
pub(super) fn fill_in(job: &mut Value) {
    let name = job["metadata"]["name"].clone();
    let uid = job["metadata"]["uid"].clone();
    // A Job without labels gets those of its pod; fixture `create-twice-409`.
    let of_pod = job["spec"]["template"]["metadata"]["labels"].clone();
    if job["metadata"].get("labels").is_none() && of_pod.is_object() {
        job["metadata"]["labels"] = of_pod;
    }
    let spec = &mut job["spec"];
    for (field, value) in [
        ("parallelism", json!(1)),
        ("completions", json!(1)),
        ("backoffLimit", json!(6)),
        ("completionMode", json!("NonIndexed")),
        ("suspend", json!(false)),
        ("manualSelector", json!(false)),
        ("podReplacementPolicy", json!("TerminatingOrFailed")),
        ("selector", json!({"matchLabels": {"batch.kubernetes.io/controller-uid": uid}})),
    ] {
        if spec.get(field).is_none() {
            spec[field] = value;
        }
    }
    let template = &mut spec["template"]["metadata"]["labels"];
    template["batch.kubernetes.io/controller-uid"] = uid.clone();
    template["batch.kubernetes.io/job-name"] = name.clone();
    template["controller-uid"] = uid;
    template["job-name"] = name;
    job["status"] = json!({});
}

fn is_subdomain(text: &str) -> bool {
    !text.is_empty()
        && text.split('.').all(|label| {
            label.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
                && !label.is_empty()
                && !label.starts_with('-')
                && !label.ends_with('-')
        })
}
