//! The Secret that belongs to a Kubernetes Job and holds what must not stand in it.

use std::collections::BTreeMap;

use config_core::keys;
use k8s_openapi::{ByteString, api::core::v1::Secret, apimachinery::pkg::apis::meta::v1::ObjectMeta};

use crate::{AttemptAccess, AttemptKey, attempt_api::ATTEMPT_TOKEN_ENV, labels, names::Namespace};

/// Renders the Secret of an attempt: it has the name and the labels of the Kubernetes Job. Who submits both makes the Job
/// its owner, which takes the id that the cluster gives to the Job.
pub(super) fn render(
    key: &AttemptKey,
    namespace: &Namespace,
    job_data: &str,
    access: Option<&AttemptAccess>,
) -> Secret {
    let token = access.map(|access| (ATTEMPT_TOKEN_ENV, access.token.as_str()));
    let data: BTreeMap<String, ByteString> = [(keys::EPHEMERAL_JOB_DATA, job_data)]
        .into_iter()
        .chain(token)
        .map(|(name, value)| (name.to_owned(), ByteString(value.as_bytes().to_vec())))
        .collect();
    Secret {
        data: Some(data),
        // Nothing changes it while a pod reads it.
        immutable: Some(true),
        metadata: ObjectMeta {
            name: Some(key.job_name().into()),
            namespace: Some(namespace.as_str().to_owned()),
            labels: Some(labels::of(key)),
            ..ObjectMeta::default()
        },
        type_: Some("Opaque".to_owned()),
        ..Secret::default()
    }
}
