//! The Secret that a Job owns.
//!
//! The Job is made first, and the Secret then with its owner in it. So no Secret is ever without an owner: whatever breaks,
//! the cluster collects it with its Job. The other order would need the right to change Secrets, and a program that was
//! killed in between would leave one behind. The container waits for its Secret meanwhile (fixture `config-error-recovers`).
//! The right to create Secrets suffices; the right to read them is used only to tell whose a Secret is that was there already.

use k8s_openapi::{
    api::{batch::v1::Job, core::v1::Secret},
    apimachinery::pkg::apis::meta::v1::OwnerReference,
};
use kube::{
    Api,
    api::{DeleteParams, PostParams, Preconditions},
};

use super::{
    FIELD_MANAGER,
    convert_error::convert,
    requests::{bounded, says_absent},
};
use crate::error::{Action, BackendError, ErrorKind};

/// Makes the Secret of a Job, unless it is there.
pub(super) async fn deliver(secrets: &Api<Secret>, secret: &Secret, owner: &Job) -> Result<(), BackendError> {
    let job = owner.metadata.name.as_deref().unwrap_or_default();
    let name = secret.metadata.name.as_deref().unwrap_or_default();
    let mut bound = secret.clone();
    bound.metadata.owner_references = Some(vec![reference(owner)]);
    let params = PostParams { field_manager: Some(FIELD_MANAGER.to_owned()), ..PostParams::default() };
    match bounded(secrets.create(&params, &bound)).await {
        Ok(_) => Ok(()),
        Err(kube::Error::Api(status)) if status.is_already_exists() => {
            check_owner(secrets, name, owner).await
        }
        Err(error) => Err(convert(Action::Submit, job, error)),
    }
}

/// A Secret that is there already is that of an earlier submit, or of somebody else.
async fn check_owner(secrets: &Api<Secret>, name: &str, owner: &Job) -> Result<(), BackendError> {
    let job = owner.metadata.name.as_deref().unwrap_or_default();
    let error = |kind, text: String| Err(BackendError::new(kind, Action::Submit, job, text));
    match bounded(secrets.get_metadata(name)).await {
        Ok(found) => {
            let owners = found.metadata.owner_references.unwrap_or_default();
            let uid = owner.metadata.uid.as_deref().unwrap_or_default();
            if owners.iter().any(|owner| owner.uid == uid) {
                return Ok(());
            }
            error(
                ErrorKind::Conflict,
                format!(
                    "a Secret {name:?} is there that does not belong to the Job; remove it, or rename the Job"
                ),
            )
        }
        // Names are used once and nothing else is called like a Job, so it is the one of an earlier submit.
        Err(kube::Error::Api(status)) if status.is_forbidden() => Ok(()),
        Err(kube::Error::Api(status)) if says_absent(&status, name) => error(
            ErrorKind::Unavailable,
            format!("the Secret {name:?} of an earlier Job was removed just now"),
        ),
        Err(error) => Err(convert(Action::Submit, job, error)),
    }
}

/// Removes a Job whose Secret was refused: its container never starts. What cannot be removed ends with its deadline.
pub(super) async fn take_back(jobs: &Api<Job>, job: &Job) {
    let name = job.metadata.name.as_deref().unwrap_or_default();
    let this_one = Preconditions { uid: job.metadata.uid.clone(), resource_version: None };
    let params = DeleteParams::background().preconditions(this_one);
    if let Err(error) = bounded(jobs.delete(name, &params)).await {
        tracing::warn!(job = name, %error, "could not remove a Job whose Secret was refused");
    }
}

fn reference(owner: &Job) -> OwnerReference {
    OwnerReference {
        api_version: "batch/v1".to_owned(),
        kind: "Job".to_owned(),
        name: owner.metadata.name.clone().unwrap_or_default(),
        uid: owner.metadata.uid.clone().unwrap_or_default(),
        controller: Some(true),
        // Nothing waits for the Secret: a foreground deletion is over when the pod is gone.
        block_owner_deletion: None,
    }
}
