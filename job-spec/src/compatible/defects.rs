//! What is wrong with every Job of Terrakube 2.27, and which settings it does not know.

use config_core::{SourceName, StepKind, Variables, keys, value::Delivery, workspace};
use k8s_openapi::api::batch::v1::Job;

use super::Defect;
use crate::{
    attempt_api::{ATTEMPT_TOKEN_ENV, ATTEMPT_URL_ENV},
    longest_env_value,
    request::Request,
};

/// What is wrong whatever the workspace sets.
const ALWAYS: [(&str, &str); 7] = [
    (
        "metadata.name",
        "the same for all steps of a job: the Job of the step before is deleted to \
         make room while its pod may still run",
    ),
    ("metadata.labels", "only the workspace: neither Job nor pod is found by organization, job or step"),
    (
        "spec.backoffLimit",
        "not set: Kubernetes starts a new pod up to 6 times after one that failed, and each runs the step \
         again, terraform apply too",
    ),
    (
        "spec.activeDeadlineSeconds",
        "not set: a pod that cannot start is not noticed, and the job stays pending for up to 6 hours",
    ),
    (
        "spec.ttlSecondsAfterFinished",
        "not set: the Job stays until the next step or the end of the job, \
         and forever if the job is cancelled",
    ),
    (
        "spec.template.spec.terminationGracePeriodSeconds",
        "not set: terraform is killed 30 seconds after it was asked to stop, \
         whether it has saved its state or not",
    ),
    (
        "spec.template.spec.securityContext",
        "no setting makes the pod meet the level restricted of the Pod Security Standards",
    ),
];

/// Variables of the family that versions after 2.27 know, and since when.
const KNOWN_SINCE: [(&str, &str); 6] = [
    (workspace::JOB_ENV_VARS.name(), "2.28"),
    (workspace::LABELS.name(), "2.31"),
    (workspace::POD_ANNOTATIONS.name(), "2.31"),
    (workspace::ENVFROM_CONFIG_MAP.name(), "2.31"),
    (workspace::STORAGE_REQUEST.name(), "2.33"),
    (workspace::STORAGE_LIMIT.name(), "2.33"),
];

/// Variables of the family that version 2.27 knows.
const KNOWN: [&str; 12] = [
    workspace::NODE_SELECTOR_TAGS.name(),
    workspace::SERVICE_ACCOUNT.name(),
    workspace::ANNOTATIONS.name(),
    workspace::TOLERATIONS.name(),
    workspace::CONFIG_MAP_NAME.name(),
    workspace::CONFIG_MAP_MOUNT_PATH.name(),
    workspace::POD_SECURITY_CONTEXT.name(),
    workspace::SECURITY_CONTEXT.name(),
    workspace::CPU_REQUEST.name(),
    workspace::CPU_LIMIT.name(),
    workspace::MEMORY_REQUEST.name(),
    workspace::MEMORY_LIMIT.name(),
];

/// What is wrong with the form of this Job.
pub(super) fn of_construction(job: &Job, request: &Request<'_>) -> Vec<Defect> {
    let mut defects: Vec<Defect> = ALWAYS.map(|(about, text)| Defect::new(about, text)).into();
    let pod = job.spec.as_ref().and_then(|spec| spec.template.spec.as_ref());
    let account = pod.and_then(|pod| pod.service_account_name.as_deref()).unwrap_or_default();
    if account.is_empty() {
        defects.push(Defect::new(
            "spec.template.spec.automountServiceAccountToken",
            "not set: terraform code is handed the token of the namespace's default account",
        ));
    }
    defects.push(Defect::new(
        keys::EPHEMERAL_JOB_DATA,
        "the whole payload is in the Job, including credentials and sensitive variables: \
         every user who may read Jobs can read it",
    ));
    let (bytes, longest) = (request.payload.encode().len(), longest_env_value(keys::EPHEMERAL_JOB_DATA));
    if bytes > longest {
        defects.push(Defect::new(
            keys::EPHEMERAL_JOB_DATA,
            format!("{bytes} bytes are more than the {longest} that Linux takes: the container cannot start"),
        ));
    }
    defects
}

/// What of the settings the Job does not hold.
pub(super) fn not_rendered(variables: &Variables, request: &Request<'_>) -> Vec<Defect> {
    let family = variables.iter().filter(|(name, _)| name.starts_with(keys::EPHEMERAL_PREFIX));
    let unknown = family.filter(|(name, _)| !KNOWN.contains(name));
    let mut defects: Vec<Defect> = unknown
        .map(|(name, _)| Defect::new(name, format!("not rendered by Terrakube 2.27: {}", why_not(name))))
        .collect();
    let delivery = &request.settings.payload_delivery;
    if delivery.origin.source != SourceName::Default && delivery.value.iter().any(|way| way != Delivery::Env)
    {
        defects.push(Defect::new(
            delivery.origin.key.as_str(),
            "not rendered by Terrakube 2.27: the payload is always in the Job",
        ));
    }
    if request.access.is_some() {
        defects.extend([ATTEMPT_URL_ENV, ATTEMPT_TOKEN_ENV].map(|name| {
            Defect::new(
                name,
                "not rendered by Terrakube 2.27: its executor finds its server by the entries of the Secret",
            )
        }));
    }
    defects
}

fn why_not(name: &str) -> String {
    if let Some((_, version)) = KNOWN_SINCE.iter().find(|(known, _)| *known == name) {
        return format!("it is known since version {version}");
    }
    let bare = StepKind::ALL.iter().find_map(|kind| name.strip_suffix(kind.suffix()));
    if bare.is_some_and(|bare| workspace::setting(bare).is_some()) {
        return "there are no variables for steps of one kind".to_owned();
    }
    if workspace::setting(name).is_some() {
        return "it has no such setting".to_owned();
    }
    "an unknown name is silently ignored".to_owned()
}
