//! The objects of an attempt, as they are stored before the backend gets them.

use std::{collections::BTreeSet, fmt};

use crate::{model::VariableLayers, redaction::Redactor};
use config_core::keys;
use job_spec::{EphemeralJobData, JobPlan, attempt_api::ATTEMPT_TOKEN_ENV};
use k8s_backend::Submission;
use k8s_openapi::api::{batch::v1::Job, core::v1::Secret};
use serde::{Deserialize, Serialize};

use super::{ResultExt as _, Store, StoreError, db::query_scalar};

/// The Kubernetes objects of an attempt. They hold secrets, so they are stored sealed; `Debug` shows the name
/// only.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Prepared {
    /// The Kubernetes Job.
    pub job: Job,
    /// The Secret that belongs to it.
    pub secret: Option<Secret>,
}

/// What the response to a claim needs. It holds secrets, so it is stored sealed, apart from [`Prepared`]: a
/// claim does not decrypt a Kubernetes Job.
#[derive(Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ClaimData {
    /// The payload in the form of `EphemeralJobData`, if it is delivered with the claim.
    pub job_data: Option<String>,
    /// Keys of variables in the payload that are sensitive.
    pub sensitive: BTreeSet<String>,
    /// The fields of the Kubernetes Job that a sensitive variable has decided, by their number in the
    /// document.
    #[serde(default)]
    pub hidden_fields: BTreeSet<usize>,
}

impl Prepared {
    /// Renders a plan.
    #[must_use]
    pub fn of(plan: JobPlan) -> Self {
        let (job, secret) = plan.into_objects();
        Self { job, secret }
    }

    /// Returns the name of the Kubernetes Job.
    #[must_use]
    pub fn name(&self) -> &str {
        self.job.metadata.name.as_deref().unwrap_or_default()
    }

    /// Returns the payload that the objects hold.
    fn job_data(&self) -> Option<String> {
        self.env_value(keys::EPHEMERAL_JOB_DATA)
    }

    /// Returns what the objects hold for the executor alone: the payload and the claim token.
    pub(crate) fn credentials(&self) -> impl Iterator<Item = String> {
        [self.job_data(), self.env_value(ATTEMPT_TOKEN_ENV)].into_iter().flatten()
    }

    /// Returns the value that an environment variable of the executor has in the objects.
    fn env_value(&self, name: &str) -> Option<String> {
        let of_secret = || self.secret.as_ref()?.data.as_ref()?.get(name);
        if let Some(data) = of_secret() {
            return String::from_utf8(data.0.clone()).ok();
        }
        let mut containers = self
            .job
            .spec
            .iter()
            .filter_map(|spec| spec.template.spec.as_ref())
            .flat_map(|pod| &pod.containers);
        containers.find_map(|container| {
            let mut env = container.env.iter().flatten();
            env.find(|entry| entry.name == name)?.value.clone()
        })
    }

    /// Returns what the backend submits.
    #[must_use]
    pub fn into_submission(self) -> Submission {
        (self.job, self.secret).into()
    }
}

impl ClaimData {
    /// Collects what the executor of a plan gets when it claims the attempt.
    #[must_use]
    pub fn new(plan: &JobPlan, variables: &VariableLayers) -> Self {
        Self {
            job_data: plan.payload_for_claim().map(str::to_owned),
            sensitive: variables.sensitive_keys(),
            hidden_fields: Redactor::new(variables).fields_of(plan),
        }
    }

    /// Returns the values of the sensitive variables that the attempt was created with.
    #[must_use]
    pub fn sensitive_values(&self, prepared: &Prepared) -> Vec<String> {
        let data = self.job_data.clone().or_else(|| prepared.job_data());
        let payload = data.and_then(|data| EphemeralJobData::decode(&data).ok());
        let variables = payload.map(|payload| [payload.environment_variables, payload.variables]);
        let pairs = variables.into_iter().flatten().flatten();
        pairs.filter(|(key, _)| self.sensitive.contains(key)).map(|(_, value)| value).collect()
    }
}

impl fmt::Debug for Prepared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Prepared").field("name", &self.name()).finish_non_exhaustive()
    }
}

impl fmt::Debug for ClaimData {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClaimData").field("sensitive", &self.sensitive).finish_non_exhaustive()
    }
}

impl Store {
    /// Reads the Kubernetes objects of an attempt.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] when there is no such attempt, [`StoreError::Sealed`] when they cannot be
    /// decrypted, [`StoreError::Corrupt`] when they cannot be parsed.
    pub async fn prepared(&self, attempt_id: &str) -> Result<Prepared, StoreError> {
        let sealed: Option<Vec<u8>> = query_scalar("SELECT job_object_sealed FROM attempts WHERE id = $1")
            .bind(attempt_id)
            .fetch_optional(&self.pool)
            .await
            .context("read a Kubernetes Job")?;
        let sealed = sealed.ok_or_else(|| StoreError::no_attempt(attempt_id))?;
        let prepared = self.secrets.open(&job_context(attempt_id), &sealed)?;
        serde_json::from_slice(&prepared)
            .map_err(|_| StoreError::Corrupt(format!("Kubernetes Job of attempt {attempt_id}")))
    }

    /// Reads what the response to a claim of an attempt needs.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] when there is no such attempt, [`StoreError::Sealed`] when it cannot be
    /// decrypted, [`StoreError::Corrupt`] when it is missing or cannot be parsed.
    pub async fn claim_data(&self, attempt_id: &str) -> Result<ClaimData, StoreError> {
        let sealed: Option<Option<Vec<u8>>> = query_scalar("SELECT claim_sealed FROM attempts WHERE id = $1")
            .bind(attempt_id)
            .fetch_optional(&self.pool)
            .await
            .context("read the claim data of an attempt")?;
        let corrupt = || StoreError::Corrupt(format!("claim data of attempt {attempt_id}"));
        let sealed = sealed.ok_or_else(|| StoreError::no_attempt(attempt_id))?.ok_or_else(corrupt)?;
        let data = self.secrets.open(&claim_context(attempt_id), &sealed)?;
        serde_json::from_slice(&data).map_err(|_| corrupt())
    }

    pub(super) fn seal_claim(&self, attempt_id: &str, claim: &ClaimData) -> Vec<u8> {
        let data = serde_json::to_vec(claim).expect("claim data is plain data");
        self.secrets.seal(&claim_context(attempt_id), &data)
    }
}

pub(super) fn job_context(attempt_id: &str) -> String {
    format!("Kubernetes Job of attempt {attempt_id}")
}

fn claim_context(attempt_id: &str) -> String {
    format!("claim data of attempt {attempt_id}")
}
