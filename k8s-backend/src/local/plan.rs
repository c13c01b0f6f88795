//! What the local backend takes out of a Job, and what it leaves aside.
//!
//! Pure: object in, plan or every problem out. Nothing is looked up here.

use std::{collections::BTreeSet, time::Duration};

use k8s_openapi::api::core::v1::{Container, PodSpec, Volume};
use serde::Serialize;
use serde_json::Value;

use super::{mounts::secret_mounts, secrets::OwnSecret};
use crate::{
    identity::{self, Problems},
    submission::Submission,
};

/// How long Kubernetes waits between TERM and KILL when a pod does not say.
const DEFAULT_GRACE_SECONDS: i64 = 30;

/// Fields that mean here what they mean in a cluster, or that cannot matter for one process on one machine.
const HONOURED: [(&str, &[&str]); 3] = [
    (
        "spec",
        &[
            "template",
            "activeDeadlineSeconds",
            "podReplacementPolicy",
            "podFailurePolicy",
            "completionMode",
            "selector",
        ],
    ),
    (
        "spec.template.spec",
        &[
            "containers",
            "activeDeadlineSeconds",
            "terminationGracePeriodSeconds",
            "schedulerName",
            "dnsPolicy",
        ],
    ),
    (
        "container",
        &[
            "name",
            "command",
            "args",
            "env",
            "envFrom",
            "terminationMessagePath",
            "terminationMessagePolicy",
            "imagePullPolicy",
        ],
    ),
];

/// A Job as the local backend can run it.
#[derive(Clone)]
pub(crate) struct Plan {
    pub(crate) name: String,
    pub(crate) namespace: String,
    pub(crate) container: Container,
    pub(crate) volumes: Vec<Volume>,
    pub(crate) secret: Option<OwnSecret>,
    pub(crate) deadline: Option<Duration>,
    pub(crate) grace: Duration,
    /// Fields that are set and that nothing here can honour.
    pub(crate) left_aside: Vec<String>,
}

impl std::fmt::Debug for Plan {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // The environment of a container is full of secrets.
        f.debug_struct("Plan").field("name", &self.name).finish_non_exhaustive()
    }
}

impl Plan {
    /// Takes a Job apart.
    ///
    /// # Errors
    /// Every reason why this Job cannot be one local process.
    pub(crate) fn of(submission: &Submission) -> Result<Self, Problems> {
        let job = &submission.job;
        let mut problems = submission.secret_problems();
        let name = identity::name_of(job).map_err(|problem| problems.push(problem)).unwrap_or_default();
        let spec = job.spec.clone().unwrap_or_default();
        let pod = spec.template.spec.clone().unwrap_or_default();
        if pod.containers.len() != 1 {
            problems.push(format!("the pod has {} containers, expected exactly one", pod.containers.len()));
        }
        for (field, value) in [("completions", spec.completions), ("parallelism", spec.parallelism)] {
            if value.is_some_and(|value| value != 1) {
                problems.push(format!("spec.{field} is {}, expected 1", value.unwrap_or_default()));
            }
        }
        if spec.suspend == Some(true) {
            problems.push("spec.suspend is true, and nobody could resume a local process".to_owned());
        }
        for (field, value) in [
            ("spec.activeDeadlineSeconds", spec.active_deadline_seconds),
            ("terminationGracePeriodSeconds", pod.termination_grace_period_seconds),
            ("spec.template.spec.activeDeadlineSeconds", pod.active_deadline_seconds),
        ] {
            if value.is_some_and(i64::is_negative) {
                problems
                    .push(format!("{field} is {}, expected no negative number", value.unwrap_or_default()));
            }
        }
        if !problems.is_empty() {
            return Err(Problems(problems));
        }
        let container = pod.containers[0].clone();
        let rest = without_secret_mounts(pod.clone());
        let deadlines = [spec.active_deadline_seconds, pod.active_deadline_seconds];
        Ok(Self {
            name: name.to_owned(),
            namespace: job.metadata.namespace.clone().unwrap_or_else(|| "default".to_owned()),
            deadline: deadlines.into_iter().flatten().min().map(seconds),
            grace: seconds(pod.termination_grace_period_seconds.unwrap_or(DEFAULT_GRACE_SECONDS)),
            left_aside: left_aside(&[to_object(&spec), to_object(&rest), to_object(&rest.containers[0])]),
            container,
            volumes: pod.volumes.unwrap_or_default(),
            secret: submission.secret.as_ref().map(OwnSecret::of),
        })
    }
}

/// Takes away the mounts of Secrets, which are honoured. A mount of a single file of a volume is not.
fn without_secret_mounts(mut pod: PodSpec) -> PodSpec {
    let volumes = pod.volumes.take().unwrap_or_default();
    for container in &mut pod.containers {
        let honoured: BTreeSet<String> =
            secret_mounts(container, &volumes).map(|(volume, ..)| volume.to_owned()).collect();
        if let Some(mounts) = &mut container.volume_mounts {
            mounts.retain(|mount| {
                let in_part = mount.sub_path.is_some() || mount.sub_path_expr.is_some();
                in_part || !honoured.contains(&mount.name)
            });
        }
    }
    pod.volumes = Some(volumes.into_iter().filter(|volume| volume.secret.is_none()).collect());
    pod
}

fn seconds(count: i64) -> Duration {
    // A century is for ever, and keeps the sum with any point in time inside what a clock can say.
    Duration::from_secs(u64::try_from(count).unwrap_or_default().min(100 * 365 * 24 * 3600))
}

fn to_object(value: &impl Serialize) -> Value {
    serde_json::to_value(value).expect("a part of a Job has only text keys, so it is always JSON")
}

/// Lists the set fields that are not honoured. Going over the object as JSON, a field that is added to Kubernetes later
/// cannot be forgotten here.
fn left_aside(objects: &[Value; 3]) -> Vec<String> {
    let mut fields = BTreeSet::new();
    for ((path, honoured), object) in HONOURED.iter().zip(objects) {
        for (key, value) in object.as_object().into_iter().flatten() {
            if !honoured.contains(&key.as_str()) && !means_nothing(key, value) {
                fields.insert(format!("{path}.{key}"));
            }
        }
    }
    fields.into_iter().collect()
}

/// Tells whether a value asks for nothing that one process does not have anyway.
fn means_nothing(key: &str, value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(false) => true,
        Value::Array(items) => items.is_empty(),
        Value::Object(fields) => fields.is_empty(),
        Value::Number(number) => match key {
            "backoffLimit" => number.as_i64() == Some(0),
            "completions" | "parallelism" => true,
            _ => false,
        },
        Value::String(text) => key == "restartPolicy" && text == "Never",
        Value::Bool(true) => false,
    }
}

#[cfg(test)]
mod tests {
    use k8s_openapi::api::batch::v1::Job;
    use serde_json::json;

    use super::*;

    fn job(spec: &Value) -> Submission {
        let job = json!({"metadata": {"name": "job-1"}, "spec": spec});
        serde_json::from_value::<Job>(job).unwrap().into()
    }

    #[test]
    fn every_problem_is_told_at_once() {
        let mut job = job(&json!({"suspend": true, "parallelism": 2, "activeDeadlineSeconds": -1,
            "template": {"spec": {"containers": []}}}));
        job.job.metadata.name = Some("../x".to_owned());
        job.secret = Some(k8s_openapi::api::core::v1::Secret::default());
        let text = Plan::of(&job).unwrap_err().to_string();
        for part in [
            "\"../x\"",
            "of the Secret is not set",
            "0 containers",
            "parallelism is 2",
            "suspend",
            "activeDeadlineSeconds is -1",
        ] {
            assert!(text.contains(part), "{part:?} in {text:?}");
        }
    }

    #[test]
    fn times_come_from_the_job_or_are_those_of_kubernetes() {
        let plan =
            Plan::of(&job(&json!({"template": {"spec": {"containers": [{"name": "executor"}]}}}))).unwrap();
        assert_eq!((plan.deadline, plan.grace), (None, Duration::from_secs(30)));
        let plan = Plan::of(&job(&json!({"activeDeadlineSeconds": 60, "template": {"spec": {
            "activeDeadlineSeconds": 50, "terminationGracePeriodSeconds": 0, "containers": [{"name": "executor"}]}}})));
        let plan = plan.unwrap();
        assert_eq!((plan.deadline, plan.grace), (Some(Duration::from_secs(50)), Duration::ZERO));
    }

    #[test]
    fn what_cannot_be_honoured_is_listed_and_nothing_else() {
        let plan = Plan::of(&job(
            &json!({"backoffLimit": 0, "ttlSecondsAfterFinished": 60, "podReplacementPolicy": "Failed",
            "template": {"spec": {"restartPolicy": "Never", "automountServiceAccountToken": false,
                "nodeSelector": {"disk": "fast"}, "tolerations": [],
                "containers": [{"name": "executor", "image": "x", "env": [], "resources": {"limits": {"cpu": "1"}},
                    "volumeMounts": [{"name": "own", "mountPath": "/own"}, {"name": "own", "mountPath": "/part", "subPath": "x"}]}],
                "volumes": [{"name": "own", "secret": {"secretName": "job-1"}}, {"name": "cache", "emptyDir": {}}]}}}),
        ));
        assert_eq!(
            plan.unwrap().left_aside,
            [
                "container.image",
                "container.resources",
                "container.volumeMounts",
                "spec.template.spec.nodeSelector",
                "spec.template.spec.volumes",
                "spec.ttlSecondsAfterFinished"
            ]
        );
    }
}
