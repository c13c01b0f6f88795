//! What a scenario uses: the backend, `kubectl` with the rights of the operator, and a Job name of its own.

use anyhow::{Context as _, ensure};
use k8s_backend::{JobBackend as _, KubeBackend, Submission, Submitted};
use k8s_openapi::api::batch::v1::Job;

use super::{
    jobs,
    watched::{Ended, WatchedJob},
};
use crate::{kubectl::Kubectl, role::Role};

/// The context of all scenarios, or of one: see [`ScenarioContext::for_scenario`].
#[derive(Debug, Clone)]
pub(crate) struct ScenarioContext {
    pub(crate) backend: KubeBackend,
    /// The operator, who may change anything in the namespace.
    pub(crate) operator: Kubectl,
    pub(crate) role: Role,
    namespace: String,
    image: String,
    /// The number of the scenario, and of its job.
    id: u64,
}

impl ScenarioContext {
    pub(crate) fn new(backend: KubeBackend, operator: &Kubectl, image: &str, role: Role) -> Self {
        let (namespace, image) = (operator.namespace.clone(), image.to_owned());
        Self { backend, operator: operator.clone(), role, namespace, image, id: 0 }
    }

    pub(crate) fn for_scenario(&self, id: u64) -> Self {
        Self { id, ..self.clone() }
    }

    /// Returns the name of the Job of this scenario.
    pub(crate) fn name(&self) -> String {
        format!("job-{}-100-1", self.id)
    }

    /// Renders the Job of this scenario as the product does, with a script in place of the executor.
    pub(crate) fn job(&self, script: &str) -> anyhow::Result<Job> {
        jobs::job(&self.namespace, &self.image, self.id, script)
    }

    /// Renders the Job of this scenario with a payload of some size.
    pub(crate) fn with_payload(&self, bytes: usize) -> anyhow::Result<Job> {
        jobs::rendered(&self.namespace, &self.image, self.id, &"x".repeat(bytes))
    }

    pub(crate) fn namespace(&self) -> &str {
        &self.namespace
    }

    /// Submits a Job that must be new.
    pub(crate) async fn submit(&self, job: Job) -> anyhow::Result<WatchedJob> {
        let name = job.metadata.name.clone().unwrap_or_default();
        let submitted = self.backend.submit(&Submission::from(job)).await.context("submit failed")?;
        ensure!(submitted == Submitted::Created, "a new Job was submitted with result {submitted:?}");
        Ok(WatchedJob::new(self.backend.watch(&name)))
    }

    /// Submits, follows to the end, and checks the cause.
    pub(crate) async fn ends(&self, job: Job, coarse: &str, precise: &str) -> anyhow::Result<String> {
        let mut watched = self.submit(job).await?;
        let ended = watched.end().await?;
        self.check(&ended, coarse, precise)
    }

    /// Checks the cause: `coarse` with the documented role, `precise` with the extended one. A cause that is
    /// more precise than the role requires is accepted.
    pub(crate) fn check(&self, ended: &Ended, coarse: &str, precise: &str) -> anyhow::Result<String> {
        let text = ended.to_string();
        let is_precise = text.contains(precise);
        let expected = if self.role == Role::Extended { precise } else { coarse };
        ensure!(is_precise || text.contains(expected), "it ended as {text:?}, expected {expected:?}");
        Ok(text)
    }

    /// Cancels the Job of this scenario.
    pub(crate) async fn cancel(&self) -> anyhow::Result<()> {
        self.backend.cancel(&self.name()).await.context("cancel failed")
    }
}
