//! Names, labels and annotations of Job and pod.

use std::collections::BTreeMap;

use config_core::Sourced;
use k8s_openapi::{
    api::{batch::v1::JobSpec, core::v1::Secret},
    apimachinery::pkg::apis::meta::v1::ObjectMeta,
};
use sha2::{Digest as _, Sha256};

use crate::{
    AttemptKey, labels,
    names::{AnnotationKey, LabelKey, LabelValue, Namespace},
};

pub(super) fn of_job(
    key: &AttemptKey,
    namespace: &Namespace,
    labels: &BTreeMap<LabelKey, Sourced<LabelValue>>,
    annotations: &BTreeMap<AnnotationKey, String>,
    spec_hash: &str,
) -> ObjectMeta {
    let mut all = texts(annotations);
    all.insert(labels::SPEC_HASH.to_owned(), spec_hash.to_owned());
    ObjectMeta {
        name: Some(key.job_name().into()),
        namespace: Some(namespace.as_str().to_owned()),
        labels: Some(with_ours(key, labels)),
        annotations: Some(all),
        ..ObjectMeta::default()
    }
}

pub(super) fn of_pod(
    key: &AttemptKey,
    labels: &BTreeMap<LabelKey, Sourced<LabelValue>>,
    annotations: &BTreeMap<AnnotationKey, String>,
) -> ObjectMeta {
    ObjectMeta {
        labels: Some(with_ours(key, labels)),
        annotations: (!annotations.is_empty()).then(|| texts(annotations)),
        ..ObjectMeta::default()
    }
}

fn with_ours(key: &AttemptKey, labels: &BTreeMap<LabelKey, Sourced<LabelValue>>) -> BTreeMap<String, String> {
    let mut all: BTreeMap<String, String> = labels
        .iter()
        .map(|(key, value)| (key.as_str().to_owned(), value.value.as_str().to_owned()))
        .collect();
    // Ours come last: a plan has no other labels of these names, and if it had, ours must hold.
    all.extend(labels::of(key));
    all
}

fn texts(annotations: &BTreeMap<AnnotationKey, String>) -> BTreeMap<String, String> {
    annotations.iter().map(|(key, value)| (key.as_str().to_owned(), value.clone())).collect()
}

/// SHA-256 of the JSON of a spec, followed by that of the Secret that belongs to the Job, if there is one:
/// two Jobs with different payloads are different. Maps are sorted and fields have a fixed order,
/// so the JSON is one and the same.
pub(super) fn spec_hash(spec: &JobSpec, secret: Option<&Secret>) -> String {
    // Most of the room is for the payload, which is seldom small.
    let mut json = Vec::with_capacity(16 * 1024);
    serde_json::to_writer(&mut json, spec).expect("a Job spec is plain data with text keys");
    if let Some(secret) = secret {
        json.extend(
            serde_json::to_vec(&secret.data).expect("the data of a Secret is plain data with text keys"),
        );
    }
    let digit = |half: u8| char::from(b"0123456789abcdef"[usize::from(half & 0xf)]);
    let mut text = String::with_capacity(64);
    for byte in Sha256::digest(json) {
        text.extend([digit(byte >> 4), digit(byte)]);
    }
    text
}
