//! Runs Jobs on a cluster.
//!
//! Needs the verbs get, list, watch, create and delete on `jobs` of the API group `batch` in one namespace, and nothing
//! else; to deliver Secrets with Jobs also create on `secrets`. With get, list and watch on `pods` and `events` every cause is
//! told precisely; without, most failures are told without an exit code, unless the Job has a pod failure policy. What the
//! role allows is asked for, and what it does not is said once in the log, with the rule that would allow it.
//!
//! The cluster is the memory of this backend: a Job that was deleted (by [`cancel`](crate::JobBackend::cancel), by its
//! `ttlSecondsAfterFinished`, by somebody) is unknown afterwards. All watchers share one watch over the Jobs with our label
//! ([`labels::MANAGED_BY`]); a submitted Job gets it if it has none.

use std::sync::Arc;

use async_trait::async_trait;
use futures::stream::BoxStream;
use job_spec::labels;
use k8s_openapi::api::{batch::v1::Job, core::v1::Secret};
use kube::{
    Api, Client, Config,
    api::{DeleteParams, PostParams, Preconditions},
};

use self::{
    convert_error::convert,
    requests::{bounded, find, says_absent},
    shared::Shared,
};
use crate::{
    backend::{JobBackend, JobPhase, Submitted},
    error::{Action, BackendError, ErrorKind},
    identity::{self, OtherJob, Problems},
    phase,
    submission::Submission,
};

mod beside;
mod connect;
mod convert_error;
mod evidence;
mod follow;
mod hub;
mod requests;
mod secret;
mod shared;
mod subscription;

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
    secrets: Api<Secret>,
    namespace: String,
    shared: Arc<Shared>,
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
        // The text of an error holds its causes already; walking the chain would say them twice.
        let problem = |error: String| ConnectError { source: error.into() };
        let config = Config::infer().await.map_err(|error| problem(error.to_string()))?;
        let client = connect::client(config).map_err(|error| problem(error.to_string()))?;
        Ok(Self::new(client, namespace))
    }

    /// Makes a backend of a client, for one namespace. No request is sent.
    pub fn new(client: Client, namespace: impl Into<String>) -> Self {
        let namespace = namespace.into();
        let jobs: Api<Job> = Api::namespaced(client.clone(), &namespace);
        let secrets = Api::namespaced(client.clone(), &namespace);
        let shared = Arc::new(Shared::new(client, namespace.clone()));
        Self { jobs, secrets, namespace, shared }
    }

    /// Begins to watch before anybody asks, so that the log says from the start what the role does not allow. Without it, the
    /// first watcher begins. Runs on the Tokio runtime of the caller.
    pub fn begin(&self) {
        self.shared.run();
    }

    #[cfg(test)]
    fn shared(&self) -> &Shared {
        &self.shared
    }

    /// Makes the Job, or finds that it is there.
    async fn make(&self, job: &Job, name: &str, hash: &str) -> Result<(Submitted, Job), BackendError> {
        let params = PostParams { field_manager: Some(FIELD_MANAGER.to_owned()), ..PostParams::default() };
        match bounded(self.jobs.create(&params, job)).await {
            Ok(made) => Ok((Submitted::Created, made)),
            Err(kube::Error::Api(status)) if status.is_already_exists() => {
                Ok((Submitted::AlreadyThere, self.same(name, hash).await?))
            }
            Err(error) => Err(convert(Action::Submit, name, error)),
        }
    }

    /// Returns the Job that has a name, if it is the one that was submitted.
    async fn same(&self, name: &str, asked: &str) -> Result<Job, BackendError> {
        let error = |kind, source: crate::BoxError| BackendError::new(kind, Action::Submit, name, source);
        let Some(found) = find(&self.jobs, Action::Submit, name).await? else {
            let text = "the Job that had this name was deleted just now";
            return Err(error(ErrorKind::Unavailable, text.into()));
        };
        match identity::annotated_hash(&found) {
            Some(there) if there == asked => Ok(found),
            there => Err(error(ErrorKind::Conflict, OtherJob::new(there.unwrap_or("none"), asked).into())),
        }
    }

    /// Makes the Secret of a Job that waits for it.
    async fn deliver(&self, secret: &Secret, submitted: Submitted, job: &Job) -> Result<(), BackendError> {
        // One that is over or on its way out reads no Secret any more.
        if phase::of(job).is_terminal() || job.metadata.deletion_timestamp.is_some() {
            return Ok(());
        }
        let delivered = secret::deliver(&self.secrets, secret, job).await;
        if let Err(error) = &delivered
            && error.kind != ErrorKind::Unavailable
            && submitted == Submitted::Created
        {
            secret::take_back(&self.jobs, job).await;
        }
        delivered
    }
}

/// Returns what is wrong with a submission before the server has seen it.
fn problems_of(submission: &Submission) -> Vec<String> {
    let mut problems: Vec<_> = identity::name_of(&submission.job).err().into_iter().collect();
    problems.extend(submission.secret_problems());
    let labels = submission.job.metadata.labels.as_ref();
    if let Some(other) =
        labels.and_then(|it| it.get(labels::MANAGED_BY)).filter(|it| *it != labels::MANAGED_BY_VALUE)
    {
        problems.push(format!(
            "metadata.labels has {:?}: {other:?}, expected {:?} or none: Jobs are watched by it",
            labels::MANAGED_BY,
            labels::MANAGED_BY_VALUE
        ));
    }
    problems
}

/// Returns the Job with the marks by which it is found again.
fn marked(job: &Job, hash: &str) -> Job {
    let mut marked = job.clone();
    // The server fills in defaults, so that only the annotation can tell later whether it is the same Job.
    let annotations = marked.metadata.annotations.get_or_insert_default();
    annotations.insert(labels::SPEC_HASH.to_owned(), hash.to_owned());
    let labels = marked.metadata.labels.get_or_insert_default();
    labels.insert(labels::MANAGED_BY.to_owned(), labels::MANAGED_BY_VALUE.to_owned());
    // The pod gets it too: pods are watched by it where the role allows.
    if let Some(spec) = &mut marked.spec {
        let labels = spec.template.metadata.get_or_insert_default().labels.get_or_insert_default();
        labels.entry(labels::MANAGED_BY.to_owned()).or_insert_with(|| labels::MANAGED_BY_VALUE.to_owned());
    }
    marked
}

#[async_trait]
impl JobBackend for KubeBackend {
    async fn submit(&self, submission: &Submission) -> Result<Submitted, BackendError> {
        let name = submission.given_name();
        let problems = problems_of(submission);
        if !problems.is_empty() {
            return Err(BackendError::new(ErrorKind::Invalid, Action::Submit, name, Problems(problems)));
        }
        let hash = identity::spec_hash(&submission.job);
        let (submitted, job) = self.make(&marked(&submission.job, &hash), name, &hash).await?;
        if let Some(secret) = &submission.secret {
            self.deliver(secret, submitted, &job).await?;
        }
        Ok(submitted)
    }

    fn watch(&self, name: &str) -> BoxStream<'static, Result<JobPhase, BackendError>> {
        follow::follow(Arc::clone(&self.shared), name.to_owned())
    }

    /// Deletes the Job in the foreground: it stays visible until its pod is gone.
    ///
    /// A Job that has ended is left as it is, so that its end can still be read; therefore one is looked at first, and deleted
    /// only as it was seen.
    async fn cancel(&self, name: &str) -> Result<(), BackendError> {
        let failed = |error| convert(Action::Cancel, name, error);
        let mut last = None;
        for _ in 0..DELETE_TRIES {
            let Some(job) = find(&self.jobs, Action::Cancel, name).await? else { return Ok(()) };
            if phase::of(&job).is_terminal() || phase::waits_for_its_pod(&job) {
                return Ok(());
            }
            let as_seen =
                Preconditions { resource_version: job.metadata.resource_version, uid: job.metadata.uid };
            let params = DeleteParams::foreground().preconditions(as_seen);
            match bounded(self.jobs.delete(name, &params)).await {
                Ok(_) => return Ok(()),
                Err(kube::Error::Api(status)) if says_absent(&status, name) => return Ok(()),
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
