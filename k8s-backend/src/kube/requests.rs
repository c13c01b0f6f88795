//! Single requests, each with an end.

use std::{future::Future, time::Duration};

use k8s_openapi::api::{batch::v1::Job, core::v1::Pod};
use kube::{Api, api::ListParams};

use super::convert_error::convert;
use crate::error::{Action, BackendError};

/// How long a request may take, with everything that the client tries again by itself.
const LONGEST: Duration = Duration::from_mins(1);

/// Awaits the answer to a request, but not for ever.
pub(super) async fn bounded<T>(request: impl Future<Output = kube::Result<T>> + Send) -> kube::Result<T> {
    match tokio::time::timeout(LONGEST, request).await {
        Ok(answer) => answer,
        Err(_) => Err(kube::Error::Service(format!("no answer within {} s", LONGEST.as_secs()).into())),
    }
}

/// Reads a Job; `None` if the server says that this very Job is not there.
pub(super) async fn find(jobs: &Api<Job>, action: Action, name: &str) -> Result<Option<Job>, BackendError> {
    match bounded(jobs.get(name)).await {
        Ok(job) => Ok(Some(job)),
        Err(kube::Error::Api(status)) if says_absent(&status, name) => Ok(None),
        Err(error) => Err(convert(action, name, error)),
    }
}

/// Reads the pods of a Job, by the label that the Job controller gives them.
pub(super) async fn pods_of(pods: &Api<Pod>, job: &str) -> Result<Vec<Pod>, BackendError> {
    let of_job = ListParams::default().labels(&format!("batch.kubernetes.io/job-name={job}"));
    let listed = bounded(pods.list(&of_job)).await;
    listed.map(|list| list.items).map_err(|error| convert(Action::Watch, job, error))
}

/// Tells whether a refusal is about this object. Proxies say 404 too, and that proves nothing.
pub(super) fn says_absent(status: &kube::core::Status, name: &str) -> bool {
    status.is_not_found() && status.details.as_ref().is_some_and(|details| details.name == name)
}
