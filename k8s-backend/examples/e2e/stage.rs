//! What a scenario acts with: the backend, the operator's hands, and a Job name that is its own.

use anyhow::{Context as _, ensure};
use k8s_backend::{JobBackend as _, KubeBackend, Submission, Submitted};
use k8s_openapi::api::batch::v1::Job;

use crate::{
    follow::{Ended, Story},
    jobs,
    others::Others,
};

/// What the account under test may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Rights {
    /// The documented role: Kubernetes Jobs, and nothing else.
    Seed,
    /// Pods and events may be read as well, Secrets made.
    Extended,
}

/// The stage of all scenarios, or of one: see [`Stage::for_scenario`].
#[derive(Debug, Clone)]
pub(crate) struct Stage {
    pub(crate) backend: KubeBackend,
    pub(crate) others: Others,
    pub(crate) rights: Rights,
    namespace: String,
    image: String,
    /// The number of the scenario, and of its job.
    id: u64,
}

impl Stage {
    pub(crate) fn new(
        backend: KubeBackend,
        others: Others,
        namespace: &str,
        image: &str,
        rights: Rights,
    ) -> Self {
        let (namespace, image) = (namespace.to_owned(), image.to_owned());
        Self { backend, others, rights, namespace, image, id: 0 }
    }

    pub(crate) fn for_scenario(&self, id: u64) -> Self {
        Self { id, ..self.clone() }
    }

    /// The name of the Job of this scenario.
    pub(crate) fn name(&self) -> String {
        format!("job-{}-100-1", self.id)
    }

    /// Makes the Job of this scenario: the one that the product would render, with a script in place of the executor.
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
    pub(crate) async fn submit(&self, job: Job) -> anyhow::Result<Story> {
        let name = job.metadata.name.clone().unwrap_or_default();
        let submitted = self.backend.submit(&Submission::from(job)).await.context("submit failed")?;
        ensure!(submitted == Submitted::Created, "submit said {submitted:?} of a new Job");
        Ok(Story::new(self.backend.watch(&name)))
    }

    /// Submits, follows to the end, and checks the cause.
    pub(crate) async fn ends(&self, job: Job, coarse: &str, precise: &str) -> anyhow::Result<String> {
        let mut story = self.submit(job).await?;
        let ended = story.end().await?;
        self.check(&ended, coarse, precise)
    }

    /// Checks that the cause says what this role can see; more than that is no fault.
    pub(crate) fn check(&self, ended: &Ended, coarse: &str, precise: &str) -> anyhow::Result<String> {
        let text = ended.to_string();
        let is_precise = text.contains(precise);
        let expected = if self.rights == Rights::Extended { precise } else { coarse };
        ensure!(is_precise || text.contains(expected), "it ended as {text:?}, expected to read {expected:?}");
        Ok(text)
    }

    /// Cancels the Job of this scenario.
    pub(crate) async fn cancel(&self) -> anyhow::Result<()> {
        self.backend.cancel(&self.name()).await.context("cancel failed")
    }
}
