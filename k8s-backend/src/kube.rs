//! Runs Jobs on a cluster.
//!
//! Needs the verbs get, list, watch, create and delete on `jobs` of the API group `batch` in one namespace, and nothing
//! else. Pods are not read, so most failures are told without an exit code, unless the Job has a pod failure policy.
//!
//! The cluster is the memory of this backend: a Job that was deleted (by [`cancel`](crate::JobBackend::cancel), by its
//! `ttlSecondsAfterFinished`, by somebody) is unknown afterwards.

use async_trait::async_trait;
use futures::{StreamExt as _, stream::BoxStream};
use job_spec::labels;
use k8s_openapi::api::batch::v1::Job;
use kube::{
    Api, Client,
    api::{DeleteParams, PostParams, Preconditions},
    runtime::{WatchStreamExt as _, watcher},
};

use self::convert_error::convert;
use crate::{
    backend::{JobBackend, JobPhase, Submitted},
    error::{Action, BackendError, ErrorKind},
    identity::{self, OtherJob},
    phase,
    submission::Submission,
};

mod convert_error;
mod follow;

/// The name under which the cluster notes what we wrote.
const FIELD_MANAGER: &str = "ephemeral-agents";

/// How often a deletion is tried again because the Job changed between looking and deleting.
const DELETE_TRIES: usize = 10;

/// There is no usable configuration of a cluster.
#[derive(Debug, thiserror::Error)]
#[error("neither a kubeconfig nor the service account of a pod leads to a cluster")]
pub struct ConnectError {
    source: crate::BoxError,
}

/// Runs Jobs on a cluster, in one namespace.
#[derive(Clone)]
pub struct KubeBackend {
    jobs: Api<Job>,
    namespace: String,
}

impl std::fmt::Debug for KubeBackend {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("KubeBackend").field("namespace", &self.namespace).finish_non_exhaustive()
    }
}

impl KubeBackend {
    /// Finds the cluster as `kubectl` does (kubeconfig, or the service account of the pod this runs in), for one namespace.
    /// No request is sent.
    ///
    /// # Errors
    /// [`ConnectError`] when there is no usable configuration.
    pub async fn connect(namespace: impl Into<String>) -> Result<Self, ConnectError> {
        // Its text holds its causes already; walking the chain would say them twice.
        let client =
            Client::try_default().await.map_err(|error| ConnectError { source: error.to_string().into() })?;
        Ok(Self::new(client, namespace))
    }

    /// Makes a backend of a client, for one namespace. No request is sent.
    pub fn new(client: Client, namespace: impl Into<String>) -> Self {
        let namespace = namespace.into();
        Self { jobs: Api::namespaced(client, &namespace), namespace }
    }

    /// Decides about a name that is taken: by the same Job, or by another.
    async fn compare(&self, name: &str, asked: &str) -> Result<Submitted, BackendError> {
        let error = |kind, source: crate::BoxError| BackendError::new(kind, Action::Submit, name, source);
        let found = self.jobs.get_opt(name).await.map_err(|cause| convert(Action::Submit, name, cause))?;
        let Some(found) = found else {
            return Err(error(
                ErrorKind::Unavailable,
                "the Job that had this name was deleted just now".into(),
            ));
        };
        match identity::annotated_hash(&found) {
            Some(there) if there == asked => Ok(Submitted::AlreadyThere),
            there => {
                let there = there.unwrap_or("none");
                Err(error(ErrorKind::Conflict, OtherJob::new(there, asked).into()))
            }
        }
    }
}

#[async_trait]
impl JobBackend for KubeBackend {
    async fn submit(&self, submission: &Submission) -> Result<Submitted, BackendError> {
        let job = &submission.job;
        if submission.secret.is_some() {
            let text = "a Secret was submitted with the Job, and this backend cannot make Secrets yet";
            return Err(BackendError::new(ErrorKind::Invalid, Action::Submit, submission.given_name(), text));
        }
        let name = identity::name_of(job).map_err(|problem| {
            let given = job.metadata.name.clone().unwrap_or_default();
            BackendError::new(ErrorKind::Invalid, Action::Submit, given, problem)
        })?;
        let hash = identity::spec_hash(job);
        let mut marked = job.clone();
        // The server fills in defaults, so that only the annotation can tell later whether it is the same Job.
        let annotations = marked.metadata.annotations.get_or_insert_default();
        annotations.insert(labels::SPEC_HASH.to_owned(), hash.clone());
        let params = PostParams { field_manager: Some(FIELD_MANAGER.to_owned()), ..PostParams::default() };
        match self.jobs.create(&params, &marked).await {
            Ok(_) => Ok(Submitted::Created),
            Err(kube::Error::Api(status)) if status.is_already_exists() => self.compare(name, &hash).await,
            Err(error) => Err(convert(Action::Submit, name, error)),
        }
    }

    fn watch(&self, name: &str) -> BoxStream<'static, Result<JobPhase, BackendError>> {
        let only_this = watcher::Config::default().fields(&format!("metadata.name={name}"));
        let events = watcher(self.jobs.clone(), only_this).default_backoff().boxed();
        follow::follow(name.to_owned(), events)
    }

    /// Deletes the Job in the foreground: it stays visible until its pod is gone.
    ///
    /// A Job that has ended is left as it is, so that its end can still be read; therefore one is looked at first, and deleted
    /// only as it was seen.
    async fn cancel(&self, name: &str) -> Result<(), BackendError> {
        let failed = |error| convert(Action::Cancel, name, error);
        let mut last = None;
        for _ in 0..DELETE_TRIES {
            let Some(job) = self.jobs.get_opt(name).await.map_err(failed)? else { return Ok(()) };
            if phase::of(&job).is_terminal() || phase::waits_for_its_pod(&job) {
                return Ok(());
            }
            let as_seen =
                Preconditions { resource_version: job.metadata.resource_version, uid: job.metadata.uid };
            match self.jobs.delete(name, &DeleteParams::foreground().preconditions(as_seen)).await {
                Ok(_) => return Ok(()),
                Err(kube::Error::Api(status)) if status.is_not_found() => return Ok(()),
                Err(error @ kube::Error::Api(_)) if is_conflict(&error) => last = Some(error),
                Err(error) => return Err(failed(error)),
            }
        }
        Err(last.map_or_else(
            || BackendError::new(ErrorKind::Unavailable, Action::Cancel, name, "the Job was never looked at"),
            failed,
        ))
    }
}

fn is_conflict(error: &kube::Error) -> bool {
    matches!(error, kube::Error::Api(status) if status.is_conflict())
}
