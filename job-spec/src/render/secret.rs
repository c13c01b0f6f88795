//! The Secret that belongs to a Kubernetes Job and holds its payload and token.

use std::collections::BTreeMap;

use config_core::keys;
use k8s_openapi::{ByteString, api::core::v1::Secret, apimachinery::pkg::apis::meta::v1::ObjectMeta};

use crate::{AttemptAccess, AttemptKey, attempt_api::ATTEMPT_TOKEN_ENV, labels, names::Namespace};

/// Renders the Secret of an attempt, with the name and the labels of the Kubernetes Job. The client that
/// submits both sets the owner reference, because it needs the uid that the cluster gives to the Job.
pub(super) fn render(
    key: &AttemptKey,
    namespace: &Namespace,
    job_data: &str,
    access: Option<&AttemptAccess>,
) -> Secret {
    let token = access.map(|access| (ATTEMPT_TOKEN_ENV, access.expose_token()));
    let data: BTreeMap<String, ByteString> = [(keys::EPHEMERAL_JOB_DATA, job_data)]
        .into_iter()
        .chain(token)
        .map(|(name, value)| (name.to_owned(), ByteString(value.as_bytes().to_vec())))
        .collect();
    Secret {
        data: Some(data),
        // It must not change while a pod reads it.
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
