//! A validated Kubernetes Job before it is rendered.

use std::{collections::BTreeMap, fmt};

use config_core::{
    Origin, Origins, Sourced, Warning, WorkspaceOverrides,
    value::{Delivery, Seconds},
    workspace,
};
use k8s_openapi::api::{
    batch::v1::Job,
    core::v1::{Affinity, Container, PodTemplateSpec, Secret, TopologySpreadConstraint, Volume, VolumeMount},
};

use crate::{
    AttemptAccess, AttemptKey, Explanation, explain,
    fields::PatchedFields,
    names::{AnnotationKey, Image, JobName, LabelKey, LabelValue, Namespace, SecretName},
    render,
    volumes::SettingVolume,
};

/// A valid Job: the result of [`Planner::plan`](crate::Planner::plan), which the operator's policy permits.
///
/// `Debug` shows neither the payload nor the token.
#[derive(Clone)]
pub struct JobPlan {
    pub(crate) key: AttemptKey,
    pub(crate) namespace: Namespace,
    pub(crate) image: Image,
    /// The image of the settings, which containers of the workspace may always use.
    pub(crate) platform_image: Image,
    /// A later one wins.
    pub(crate) secrets: Vec<SecretName>,
    pub(crate) node_selector: BTreeMap<LabelKey, Sourced<LabelValue>>,
    pub(crate) annotations: BTreeMap<AnnotationKey, String>,
    pub(crate) pod_annotations: BTreeMap<AnnotationKey, String>,
    /// Labels of the workspace; none of them is ours.
    pub(crate) labels: BTreeMap<LabelKey, Sourced<LabelValue>>,
    /// The volumes of settings, a folder before what is mounted inside it.
    pub(crate) volumes: Vec<SettingVolume>,
    /// The variables of the workspace. Those that need no more than rendering are rendered from here.
    pub(crate) overrides: WorkspaceOverrides,
    pub(crate) payload: PlannedPayload,
    pub(crate) access: Option<AttemptAccess>,
    pub(crate) parts: PodParts,
    /// Where settings were found, by the name of the setting.
    pub(crate) origins: Origins,
    pub(crate) warnings: Vec<Warning>,
    /// The pod without the executor's environment, which checks and patches do not see.
    pub(crate) template: Box<PodTemplateSpec>,
    pub(crate) patched: PatchedFields,
}

/// The encoded payload and its delivery; except with a claim,
/// it is short enough for one environment variable.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct PlannedPayload {
    pub(crate) delivery: Delivery,
    pub(crate) data: String,
}

/// Parts of the pod that the workspace wrote as YAML, validated.
#[derive(Clone, Default, PartialEq)]
pub(crate) struct PodParts {
    pub(crate) affinity: Option<Affinity>,
    pub(crate) topology_spread: Vec<TopologySpreadConstraint>,
    /// Init containers that run beside the executor; they start before the others.
    pub(crate) sidecars: Vec<Container>,
    pub(crate) init_containers: Vec<Container>,
    pub(crate) volumes: Vec<Volume>,
    pub(crate) volume_mounts: Vec<VolumeMount>,
}

impl JobPlan {
    /// Renders the Kubernetes Job; the same plan gives the same bytes.
    ///
    /// What every Job has, and why:
    ///
    /// | field | value | reason |
    /// |---|---|---|
    /// | `backoffLimit`, `restartPolicy` | `0`, `Never` | a step runs once; another try is another Job, decided by the orchestrator |
    /// | `podReplacementPolicy` | `Failed` | no second pod beside one that is still stopping |
    /// | `podFailurePolicy` | three rules that all fail the Job | the cluster writes disruption or exit code into the Job's condition, where it is seen without reading pods |
    /// | `activeDeadlineSeconds` | 6 hours, or what the workspace says | a Job whose pod never starts ends too |
    /// | `ttlSecondsAfterFinished` | one hour, or what the workspace says | nothing stays behind, the payload least of all |
    /// | `terminationGracePeriodSeconds` | 5 minutes, or what the workspace says | terraform saves its state |
    /// | labels | on Job and pod | see [`labels`](crate::labels) |
    /// | annotation `ephemeral-agents.dev/spec-hash` | SHA-256 of `spec` | distinguishes a repeated Job from another one with its name |
    /// | pod and container security | Pod Security *restricted* | an executor needs no privilege; the workspace may say otherwise |
    /// | `runAsUser`, `runAsGroup`, `fsGroup` | 1002, 1000, 1000 | the user of the stock image, which names it as text only, so that the kubelet could not prove it is not root |
    /// | volume `tmp` at `/tmp` | only with a read-only root file system | programs need a place for temporary files |
    /// | `automountServiceAccountToken` | `true` only with a named account | terraform code gets no token of the cluster by accident |
    /// | `enableServiceLinks` | `false` | no variables of unrelated services in terraform's environment |
    /// | `terminationMessagePolicy` | `FallbackToLogsOnError` | the last log lines survive in the pod's status |
    #[must_use]
    pub fn job(&self) -> Job {
        render::render(self, PodTemplateSpec::clone(&self.template))
    }

    /// Renders the Secret that belongs to the Job, for delivery by Secret;
    /// `None` for the other ways of delivery.
    ///
    /// Its name, namespace and labels are those of the Job. Who submits both makes the Job its owner.
    #[must_use]
    pub fn secret(&self) -> Option<Secret> {
        render::secret_of(self)
    }

    /// Renders the Job and the Secret that belongs to it, if there is one.
    #[must_use]
    pub fn into_objects(mut self) -> (Job, Option<Secret>) {
        let template = std::mem::take(&mut self.template);
        (render::render(&self, *template), self.secret())
    }

    /// Explains the Job: every field with the setting that decided it.
    ///
    /// ```
    /// use config_core::{EphemeralSettings, Policy, Variables};
    /// use job_spec::{AttemptKey, EphemeralJobData, Organization, Planner, StepType};
    /// let key = AttemptKey::new(Organization::new("org-1", "acme"), "dev", 42, 100, 1);
    /// let payload = EphemeralJobData::new(StepType::TerraformPlan, &key, "step-1");
    /// let variables: Variables = [("EPHEMERAL_CPU_LIMIT", "2")].into_iter().collect();
    ///
    /// let (settings, policy) = (EphemeralSettings::default(), Policy::default());
    /// let explanation = Planner::new(&settings, &policy).plan(&variables, &payload, &key, None)?.explain();
    /// let limit = explanation.fields.iter().find(|field| field.path.ends_with("limits.cpu")).expect("a limit");
    /// assert_eq!(limit.value, "2");
    /// assert_eq!(limit.origin.to_string(), "workspace variable EPHEMERAL_CPU_LIMIT");
    /// # Ok::<(), config_core::Problems>(())
    /// ```
    #[must_use]
    pub fn explain(&self) -> Explanation {
        explain::explain(self)
    }

    /// Returns the attempt of the Job.
    #[must_use]
    pub const fn key(&self) -> &AttemptKey {
        &self.key
    }

    /// Returns the values of the operator's settings file that the operator's policy does not permit.
    #[must_use]
    pub fn warnings(&self) -> &[Warning] {
        &self.warnings
    }

    /// Returns the name of the Job.
    #[must_use]
    pub fn name(&self) -> JobName {
        self.key.job_name()
    }

    /// Returns the time from the start of the Job to the signal to stop, and what has set it.
    #[must_use]
    pub fn deadline(&self) -> (Seconds, Origin) {
        (self.overrides.deadline(), self.overrides.origins().of(workspace::DEADLINE.name()))
    }

    /// Returns how the executor gets its payload.
    #[must_use]
    pub const fn delivery(&self) -> Delivery {
        self.payload.delivery
    }

    /// Returns the encoded payload that the api-server must return at the claim; `None` if the executor finds
    /// it in its environment.
    #[must_use]
    pub fn payload_for_claim(&self) -> Option<&str> {
        (self.payload.delivery == Delivery::Claim).then_some(self.payload.data.as_str())
    }

    /// Returns the namespace of the Job.
    #[must_use]
    pub const fn namespace(&self) -> &Namespace {
        &self.namespace
    }
}

impl fmt::Debug for JobPlan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { key, namespace, image, .. } = self;
        f.debug_struct("JobPlan")
            .field("key", key)
            .field("namespace", namespace)
            .field("image", image)
            .finish_non_exhaustive()
    }
}
