//! Runs Jobs on a Kubernetes cluster.
//!
//! Requires the verbs get, list, watch, create, patch and delete on `jobs` of the API group `batch` in one
//! namespace, and nothing else; to submit Secrets with Jobs also create on `secrets`. With get, list and
//! watch on `pods` and `events` every cause is precise; without, most failures have no exit code, unless the
//! Job has a pod failure policy. The backend asks the API server what its role allows, and logs once what it
//! does not, with the rule that would allow it.
//!
//! The cluster is the memory of this backend: a Job that was deleted (by
//! [`cancel`](crate::JobBackend::cancel), by its `ttlSecondsAfterFinished`, by another client) is unknown
//! afterwards. All watchers share one watch over the Jobs with the [label](KubeOptions::watch_label) of this
//! backend; a submitted Job gets that label.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use futures::stream::BoxStream;
use k8s_openapi::api::{batch::v1::Job, core::v1::Secret};
use kube::{
    Api, Client, Config,
    api::{DeleteParams, Patch, PatchParams, PostParams, Preconditions},
};

use self::{
    convert_error::convert,
    requests::{Requests, is_not_found},
    shared::Shared,
};
use crate::{
    backend::{JobBackend, JobPhase, Submitted},
    error::{Action, BackendError, ErrorKind},
    identity::{InvalidJob, NameTaken},
    phase,
    submission::Submission,
};

mod connect;
mod convert_error;
mod deadline;
mod follow;
mod hub;
mod options;
mod related_objects;
mod related_watches;
mod requests;
mod secret;
mod shared;
mod subscription;

pub use self::options::{KubeOptions, Timeouts};

/// How often a deletion is repeated because the Job changed between reading and deleting it.
const MAX_DELETE_CONFLICTS: usize = 10;

/// There is no usable configuration of a cluster.
#[derive(Debug, thiserror::Error)]
#[error("neither a kubeconfig nor the service account of a pod leads to a cluster")]
pub struct ConnectError {
    source: crate::BoxError,
}

/// Runs Jobs on a Kubernetes cluster, in one namespace.
#[derive(Clone)]
pub struct KubeBackend {
    jobs: Api<Job>,
    secrets: Api<Secret>,
    shared: Arc<Shared>,
}

impl std::fmt::Debug for KubeBackend {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("KubeBackend").field("namespace", &self.namespace()).finish_non_exhaustive()
    }
}

impl KubeBackend {
    /// Finds the cluster as `kubectl` does: by the kubeconfig, or by the service account of the pod that this
    /// program runs in. Sends no request.
    ///
    /// # Errors
    /// [`ConnectError`] when there is no usable configuration.
    pub async fn connect(options: KubeOptions) -> Result<Self, ConnectError> {
        // The text of a client's error contains its sources, so that the source chain would repeat them.
        let problem = |error: String| ConnectError { source: error.into() };
        let config = Config::infer().await.map_err(|error| problem(error.to_string()))?;
        let client = connect::client(config, &options).map_err(|error| problem(error.to_string()))?;
        Ok(Self::new(client, options))
    }

    /// Creates a backend with a client of the caller, whose timeouts and retries are the caller's choice.
    /// Sends no request.
    #[must_use]
    pub fn new(client: Client, options: KubeOptions) -> Self {
        let shared = Arc::new(Shared::new(client.clone(), options));
        let secrets = Api::namespaced(client, &shared.namespace);
        Self { jobs: shared.jobs.clone(), secrets, shared }
    }

    /// Returns the namespace of the Jobs.
    #[must_use]
    pub fn namespace(&self) -> &str {
        &self.shared.namespace
    }

    /// Starts the watches before the first [`watch`](JobBackend::watch), so that the log shows early what the
    /// role does not allow. They run on the Tokio runtime of the caller.
    pub fn start_watches(&self) {
        self.shared.start();
    }

    fn options(&self) -> &KubeOptions {
        &self.shared.options
    }

    fn requests(&self) -> Requests {
        self.shared.requests
    }

    fn post_params(&self) -> PostParams {
        PostParams { field_manager: Some(self.options().field_manager.clone()), ..PostParams::default() }
    }

    /// Creates the Job, or finds that it exists.
    async fn create(&self, job: &Job, name: &str, identity: &str) -> Result<(Submitted, Job), BackendError> {
        match self.requests().bounded(self.jobs.create(&self.post_params(), job)).await {
            Ok(created) => Ok((Submitted::Created, created)),
            Err(kube::Error::Api(status)) if status.is_already_exists() => {
                Ok((Submitted::AlreadyThere, self.find_same(name, identity).await?))
            }
            Err(error) => Err(convert(Action::Submit, name, error)),
        }
    }

    /// Returns the Job of a name, if it is the one that was submitted.
    ///
    /// The annotation decides, not the content: the API server fills in defaults, and a queue changes
    /// resources and node selectors of a suspended Job.
    async fn find_same(&self, name: &str, submitted: &str) -> Result<Job, BackendError> {
        let error = |kind, source: crate::BoxError| BackendError::new(kind, Action::Submit, name, source);
        let Some(found) = self.requests().find(&self.jobs, Action::Submit, name).await? else {
            let text = "the Job that had this name was deleted just now";
            return Err(error(ErrorKind::Unavailable, text.into()));
        };
        match self.options().rules.annotated_identity(&found) {
            Some(identity) if identity == submitted => Ok(found),
            identity => {
                let taken = NameTaken::new(identity.unwrap_or("none"), submitted);
                Err(error(ErrorKind::Conflict, taken.into()))
            }
        }
    }

    /// Creates the Secret of a Job that waits for it.
    async fn create_secret(
        &self,
        secret: &Secret,
        submitted: Submitted,
        job: &Job,
    ) -> Result<(), BackendError> {
        // A Job that is over or being deleted starts no container that could read it.
        if phase::of(job).is_terminal() || job.metadata.deletion_timestamp.is_some() {
            return Ok(());
        }
        let created = secret::create(&self.secrets, secret, job, self.requests(), &self.post_params()).await;
        if let Err(error) = &created
            && error.kind != ErrorKind::Unavailable
            && submitted == Submitted::Created
        {
            secret::delete_orphaned_job(&self.jobs, job, self.requests()).await;
        }
        created
    }

    /// Returns what is wrong with a submission before the server has seen it.
    fn problems(&self, submission: &Submission) -> Vec<String> {
        let options = self.options();
        let mut problems = options.rules.problems(submission);
        let metadata = &submission.job.metadata;
        let (key, value) = &options.watch_label;
        let found = metadata.labels.as_ref().and_then(|labels| labels.get(key));
        if let Some(found) = found.filter(|found| *found != value) {
            problems.push(format!(
                "metadata.labels has {key:?}: {found:?}, expected {value:?} or none: \
                 Jobs are watched by this label"
            ));
        }
        if let Some(found) = metadata.namespace.as_deref().filter(|found| *found != self.namespace()) {
            let expected = self.namespace();
            problems.push(format!(
                "metadata.namespace is {found:?}, expected {expected:?} or none: \
                 the backend works in one namespace"
            ));
        }
        problems
    }

    /// Returns the Job with the label and the annotation by which it is found again.
    fn marked(&self, job: &Job, identity: &str) -> Job {
        let KubeOptions { rules, watch_label: (key, value), .. } = self.options();
        let mut marked = job.clone();
        let annotations = marked.metadata.annotations.get_or_insert_default();
        annotations.insert(rules.identity_annotation.clone(), identity.to_owned());
        marked.metadata.labels.get_or_insert_default().insert(key.clone(), value.clone());
        // The pods get the label too: they are watched by it where the role allows.
        if let Some(spec) = &mut marked.spec {
            let labels = spec.template.metadata.get_or_insert_default().labels.get_or_insert_default();
            labels.entry(key.clone()).or_insert_with(|| value.clone());
        }
        marked
    }
}

#[async_trait]
impl JobBackend for KubeBackend {
    async fn submit(&self, submission: &Submission) -> Result<Submitted, BackendError> {
        let name = submission.name();
        let problems = self.problems(submission);
        if !problems.is_empty() {
            return Err(BackendError::new(
                ErrorKind::Invalid,
                Action::Submit,
                name,
                InvalidJob::new(problems),
            ));
        }
        let identity = self.options().rules.identity(&submission.job);
        let marked = self.marked(&submission.job, &identity);
        let (submitted, job) = self.create(&marked, name, &identity).await?;
        if let Some(secret) = &submission.secret {
            self.create_secret(secret, submitted, &job).await?;
        }
        Ok(submitted)
    }

    fn watch(&self, name: &str) -> BoxStream<'static, Result<JobPhase, BackendError>> {
        follow::follow(Arc::clone(&self.shared), name.to_owned())
    }

    /// Deletes the Job in the foreground: it stays visible until its pod is gone.
    ///
    /// A Job that has ended is not deleted, so that its end can still be read. Therefore the Job is read
    /// first, and deleted only if it has not changed since.
    async fn cancel(&self, name: &str) -> Result<(), BackendError> {
        let failed = |error| convert(Action::Cancel, name, error);
        let mut last = None;
        for _ in 0..MAX_DELETE_CONFLICTS {
            let Some(job) = self.requests().find(&self.jobs, Action::Cancel, name).await? else {
                return Ok(());
            };
            if phase::of(&job).is_terminal() || phase::waits_for_its_pod(&job) {
                return Ok(());
            }
            let unchanged =
                Preconditions { resource_version: job.metadata.resource_version, uid: job.metadata.uid };
            let params = DeleteParams::foreground().preconditions(unchanged);
            match self.requests().bounded(self.jobs.delete(name, &params)).await {
                Ok(_) => return Ok(()),
                Err(kube::Error::Api(status)) if is_not_found(&status, name) => return Ok(()),
                Err(error @ kube::Error::Api(_)) if is_conflict(&error) => last = Some(error),
                Err(error) => return Err(failed(error)),
            }
        }
        Err(last.map_or_else(
            || BackendError::new(ErrorKind::Unavailable, Action::Cancel, name, "the Job was never read"),
            failed,
        ))
    }

    /// Shortens the deadline of the Job: the Job controller then deletes its pod and keeps the Job, as
    /// failed, for its `ttlSecondsAfterFinished`.
    ///
    /// Without the right to patch Jobs, and where no deadline counts yet, the Job is cancelled.
    async fn end_after(&self, name: &str, delay: Duration) -> Result<(), BackendError> {
        let Some(job) = self.requests().find(&self.jobs, Action::Cancel, name).await? else {
            return Ok(());
        };
        if phase::of(&job).is_terminal() || job.metadata.deletion_timestamp.is_some() {
            return Ok(());
        }
        let Some(seconds) = deadline::shortened(&job, jiff::Timestamp::now(), delay) else {
            return self.cancel(name).await;
        };
        // The uid prevents that another Job of this name is patched.
        let patch = serde_json::json!({
            "metadata": { "uid": job.metadata.uid },
            "spec": { "activeDeadlineSeconds": seconds },
        });
        let field_manager = Some(self.options().field_manager.clone());
        let params = PatchParams { field_manager, ..PatchParams::default() };
        match self.requests().bounded(self.jobs.patch(name, &params, &Patch::Merge(&patch))).await {
            Ok(_) => Ok(()),
            Err(kube::Error::Api(status)) if is_not_found(&status, name) => Ok(()),
            Err(kube::Error::Api(status)) if status.is_forbidden() => self.cancel(name).await,
            Err(error) => Err(convert(Action::Cancel, name, error)),
        }
    }
}

fn is_conflict(error: &kube::Error) -> bool {
    matches!(error, kube::Error::Api(status) if status.is_conflict())
}
