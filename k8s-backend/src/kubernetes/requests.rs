//! Single requests, each with a timeout.

use std::{future::Future, time::Duration};

use k8s_openapi::api::{batch::v1::Job, core::v1::Pod};
use kube::{Api, api::ListParams};

use super::convert_error::convert;
use crate::error::{Action, BackendError};

/// Sends requests with a timeout.
#[derive(Debug, Clone, Copy)]
pub(super) struct Requests {
    /// For a whole request, with the retries of the client.
    pub(super) timeout: Duration,
}

impl Requests {
    /// Awaits the response to a request until the timeout.
    pub(super) async fn bounded<T>(
        self,
        request: impl Future<Output = kube::Result<T>> + Send,
    ) -> kube::Result<T> {
        match tokio::time::timeout(self.timeout, request).await {
            Ok(response) => response,
            Err(_) => {
                Err(kube::Error::Service(format!("no response within {} s", self.timeout.as_secs()).into()))
            }
        }
    }

    /// Reads a Job; `None` if the server says that this very Job does not exist.
    pub(super) async fn find(
        self,
        jobs: &Api<Job>,
        action: Action,
        name: &str,
    ) -> Result<Option<Job>, BackendError> {
        match self.bounded(jobs.get(name)).await {
            Ok(job) => Ok(Some(job)),
            Err(kube::Error::Api(status)) if is_not_found(&status, name) => Ok(None),
            Err(error) => Err(convert(action, name, error)),
        }
    }

    /// Reads the pods of a Job, by the label that the Job controller gives them.
    pub(super) async fn pods_of(self, pods: &Api<Pod>, job: &str) -> Result<Vec<Pod>, BackendError> {
        let of_job = ListParams::default().labels(&format!("batch.kubernetes.io/job-name={job}"));
        let listed = self.bounded(pods.list(&of_job)).await;
        listed.map(|list| list.items).map_err(|error| convert(Action::Watch, job, error))
    }
}

/// Returns whether the server says that this object does not exist. A 404 of a proxy says nothing about it.
pub(super) fn is_not_found(status: &kube::core::Status, name: &str) -> bool {
    status.is_not_found() && status.details.as_ref().is_some_and(|details| details.name == name)
}
