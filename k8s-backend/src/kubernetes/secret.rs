//! The Secret that a Job owns.
//!
//! The Job is created first, then the Secret with the Job as its owner. So no Secret is ever without an
//! owner: whatever fails, the cluster deletes it with its Job. The other order would require the right to
//! change Secrets, and a program that was killed in between would leave a Secret behind. The container waits
//! for its Secret meanwhile (fixture `config-error-recovers`). The right to create Secrets suffices; the
//! right to read them is used only to find out who owns a Secret that existed before.

use k8s_openapi::{
    api::{batch::v1::Job, core::v1::Secret},
    apimachinery::pkg::apis::meta::v1::OwnerReference,
};
use kube::{
    Api,
    api::{DeleteParams, PostParams, Preconditions},
};

use super::{
    convert_error::convert,
    requests::{Requests, is_not_found},
};
use crate::error::{Action, BackendError, ErrorKind};

/// Creates the Secret of a Job, unless it exists.
pub(super) async fn create(
    secrets: &Api<Secret>,
    secret: &Secret,
    owner: &Job,
    requests: Requests,
    params: &PostParams,
) -> Result<(), BackendError> {
    let job = owner.metadata.name.as_deref().unwrap_or_default();
    let name = secret.metadata.name.as_deref().unwrap_or_default();
    let mut secret_of_job = secret.clone();
    secret_of_job.metadata.owner_references = Some(vec![reference(owner)]);
    match requests.bounded(secrets.create(params, &secret_of_job)).await {
        Ok(_) => Ok(()),
        Err(kube::Error::Api(status)) if status.is_already_exists() => {
            check_owner(secrets, name, owner, requests).await
        }
        Err(error) => Err(convert(Action::Submit, job, error)),
    }
}

/// Checks that an existing Secret was created by an earlier submit of the same Job.
async fn check_owner(
    secrets: &Api<Secret>,
    name: &str,
    owner: &Job,
    requests: Requests,
) -> Result<(), BackendError> {
    let job = owner.metadata.name.as_deref().unwrap_or_default();
    let error = |kind, text: String| Err(BackendError::new(kind, Action::Submit, job, text));
    match requests.bounded(secrets.get_metadata(name)).await {
        Ok(found) => {
            let owners = found.metadata.owner_references.unwrap_or_default();
            let uid = owner.metadata.uid.as_deref().unwrap_or_default();
            if owners.iter().any(|owner| owner.uid == uid) {
                return Ok(());
            }
            error(
                ErrorKind::Conflict,
                format!(
                    "Secret {name:?} exists and does not belong to the Job; delete it, or rename the Job"
                ),
            )
        }
        // The owner cannot be read. Names are used once, so the Secret is most likely that of an earlier
        // submit.
        Err(kube::Error::Api(status)) if status.is_forbidden() => Ok(()),
        Err(kube::Error::Api(status)) if is_not_found(&status, name) => {
            error(ErrorKind::Unavailable, format!("Secret {name:?} of an earlier Job was deleted just now"))
        }
        Err(error) => Err(convert(Action::Submit, job, error)),
    }
}

/// Deletes a Job whose Secret was refused: its container never starts. A Job that cannot be deleted ends with
/// its deadline.
pub(super) async fn delete_orphaned_job(jobs: &Api<Job>, job: &Job, requests: Requests) {
    let name = job.metadata.name.as_deref().unwrap_or_default();
    let this_one = Preconditions { uid: job.metadata.uid.clone(), resource_version: None };
    let params = DeleteParams::background().preconditions(this_one);
    if let Err(error) = requests.bounded(jobs.delete(name, &params)).await {
        tracing::warn!(job = name, %error, "could not delete a Job whose Secret was refused");
    }
}

fn reference(owner: &Job) -> OwnerReference {
    OwnerReference {
        api_version: "batch/v1".to_owned(),
        kind: "Job".to_owned(),
        name: owner.metadata.name.clone().unwrap_or_default(),
        uid: owner.metadata.uid.clone().unwrap_or_default(),
        controller: Some(true),
        // A foreground deletion of the Job need not wait for the Secret.
        block_owner_deletion: None,
    }
}
