//! What is made of an attempt before anybody hears of it, as it is stored.

use std::fmt;

use job_spec::JobPlan;
use k8s_backend::Submission;
use k8s_openapi::api::{batch::v1::Job, core::v1::Secret};
use serde::{Deserialize, Serialize};

/// The objects of an attempt, and the payload where the executor is handed it at the claim. It holds secrets, so it is
/// stored sealed; `Debug` shows the name only.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Prepared {
    /// The Kubernetes Job.
    pub job: Job,
    /// The Secret that belongs to it.
    pub secret: Option<Secret>,
    /// The payload in the form of `EphemeralJobData`, for the answer to the claim.
    pub job_data: Option<String>,
}

impl Prepared {
    /// Renders a plan.
    #[must_use]
    pub fn of(plan: &JobPlan) -> Self {
        Self { job: plan.job(), secret: plan.secret(), job_data: plan.payload_for_claim().map(str::to_owned) }
    }

    /// Returns the name of the Kubernetes Job.
    #[must_use]
    pub fn name(&self) -> &str {
        self.job.metadata.name.as_deref().unwrap_or_default()
    }

    /// Returns what the backend is given.
    #[must_use]
    pub fn into_submission(self) -> Submission {
        (self.job, self.secret).into()
    }
}

impl fmt::Debug for Prepared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Prepared").field("name", &self.name()).finish_non_exhaustive()
    }
}
