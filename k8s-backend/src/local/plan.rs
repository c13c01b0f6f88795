//! What the local backend reads from a Job, and what it does not honour.
//!
//! Pure: a Job in, a plan or every problem out. Nothing is read from disk.

use std::{collections::BTreeSet, time::Duration};

use k8s_openapi::api::{
    batch::v1::JobSpec,
    core::v1::{Container, EnvVar, PodSpec, Volume},
};
use serde::Serialize;
use serde_json::Value;

use super::{mounts::secret_mounts, secrets::OwnSecret};
use crate::{identity::InvalidJob, rules::JobRules, submission::Submission};

/// The grace period of Kubernetes for a pod without one.
const DEFAULT_GRACE_SECONDS: i64 = 30;

/// Fields that have the same effect as in a cluster, or none for one process on one machine.
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

/// A Job in the form that the local backend runs.
#[derive(Clone)]
pub(crate) struct Plan {
    pub(crate) name: String,
    pub(crate) namespace: String,
    pub(crate) container: Container,
    pub(crate) volumes: Vec<Volume>,
    pub(crate) secret: Option<OwnSecret>,
    pub(crate) deadline: Option<Duration>,
    pub(crate) grace: Duration,
    /// Fields that are set and not honoured.
    pub(crate) not_honoured: Vec<String>,
}

impl std::fmt::Debug for Plan {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // The environment of a container contains secrets.
        f.debug_struct("Plan").field("name", &self.name).finish_non_exhaustive()
    }
}

impl Plan {
    /// Reads what one local process needs out of a Job. `has_entry_point`: there is a program for a container
    /// without command.
    ///
    /// # Errors
    /// Every reason why this Job cannot be one local process.
    pub(crate) fn new(
        submission: &Submission,
        rules: &JobRules,
        has_entry_point: bool,
    ) -> Result<Self, InvalidJob> {
        let job = &submission.job;
        let spec = job.spec.clone().unwrap_or_default();
        let pod = spec.template.spec.clone().unwrap_or_default();
        let mut problems = rules.problems(submission);
        problems.extend(container_problems(&pod, has_entry_point));
        problems.extend(number_problems(&spec, &pod));
        if !problems.is_empty() {
            return Err(InvalidJob::new(problems));
        }
        let mut container = pod.containers[0].clone();
        if spec.completion_mode.as_deref() == Some("Indexed") {
            add_completion_index(&mut container);
        }
        let rest = without_secret_mounts(pod.clone());
        let deadlines = [spec.active_deadline_seconds, pod.active_deadline_seconds];
        Ok(Self {
            name: submission.name().to_owned(),
            namespace: job.metadata.namespace.clone().unwrap_or_else(|| "default".to_owned()),
            deadline: deadlines.into_iter().flatten().min().map(seconds),
            grace: seconds(pod.termination_grace_period_seconds.unwrap_or(DEFAULT_GRACE_SECONDS)),
            not_honoured: not_honoured(&[to_object(&spec), to_object(&rest), to_object(&rest.containers[0])]),
            container,
            volumes: pod.volumes.unwrap_or_default(),
            secret: submission.secret.as_ref().map(OwnSecret::of),
        })
    }
}

/// Returns why the containers of a pod cannot be one process. A Job of which only a part could run is refused
/// as a whole.
fn container_problems(pod: &PodSpec, has_entry_point: bool) -> Vec<String> {
    let mut problems = Vec::new();
    let names = |containers: &[Container]| {
        containers.iter().map(|container| container.name.clone()).collect::<Vec<_>>().join(", ")
    };
    if pod.containers.len() > 1 {
        problems.push(format!(
            "spec.template.spec.containers has {} containers ({}), expected exactly one: \
             a local process has no pod to share",
            pod.containers.len(),
            names(&pod.containers)
        ));
    }
    if let Some(init) = pod.init_containers.as_deref().filter(|init| !init.is_empty()) {
        problems.push(format!(
            "spec.template.spec.initContainers is set ({}), expected none: \
             a local process cannot be prepared by another one",
            names(init)
        ));
    }
    if let [container] = pod.containers.as_slice()
        && container.command.as_ref().is_none_or(Vec::is_empty)
        && !has_entry_point
    {
        problems.push(format!(
            "container {:?} has no command, expected one: no image is used, \
             and the backend has no entry point",
            container.name
        ));
    }
    problems
}

fn number_problems(spec: &JobSpec, pod: &PodSpec) -> Vec<String> {
    let mut problems = Vec::new();
    for (field, value) in [("completions", spec.completions), ("parallelism", spec.parallelism)] {
        if let Some(value) = value.filter(|value| *value != 1) {
            problems.push(format!("spec.{field} is {value}, expected 1: a Job is one local process"));
        }
    }
    for (field, value) in [
        ("spec.activeDeadlineSeconds", spec.active_deadline_seconds),
        ("spec.template.spec.terminationGracePeriodSeconds", pod.termination_grace_period_seconds),
        ("spec.template.spec.activeDeadlineSeconds", pod.active_deadline_seconds),
    ] {
        if let Some(value) = value.filter(|value| value.is_negative()) {
            problems.push(format!("{field} is {value}, expected 0 or more"));
        }
    }
    problems
}

/// The one pod of an Indexed Job has index 0, which the Job controller passes in this variable.
fn add_completion_index(container: &mut Container) {
    const NAME: &str = "JOB_COMPLETION_INDEX";
    let variables = container.env.get_or_insert_default();
    if variables.iter().all(|variable| variable.name != NAME) {
        let value = Some("0".to_owned());
        variables.push(EnvVar { name: NAME.to_owned(), value, ..EnvVar::default() });
    }
}

/// Removes the mounts of Secrets, which are honoured. A mount of a single file of a volume is not.
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
    // At most a century, so that the sum with any timestamp is valid.
    Duration::from_secs(u64::try_from(count).unwrap_or_default().min(100 * 365 * 24 * 3600))
}

fn to_object(value: &impl Serialize) -> Value {
    serde_json::to_value(value).expect("a part of a Job has only text keys, so it is always JSON")
}

/// Lists the set fields that are not honoured. The object is read as JSON, so that fields of later Kubernetes
/// versions are listed too.
fn not_honoured(objects: &[Value; 3]) -> Vec<String> {
    let mut fields = BTreeSet::new();
    for ((path, honoured), object) in HONOURED.iter().zip(objects) {
        for (key, value) in object.as_object().into_iter().flatten() {
            if !honoured.contains(&key.as_str()) && !has_no_effect(key, value) {
                fields.insert(format!("{path}.{key}"));
            }
        }
    }
    fields.into_iter().collect()
}

/// Returns whether a value has no effect beyond what one process has anyway.
fn has_no_effect(key: &str, value: &Value) -> bool {
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

    fn plan_of(spec: &Value) -> Result<Plan, InvalidJob> {
        Plan::new(&job(spec), &JobRules::new(), true)
    }

    #[test]
    fn reports_every_problem_at_once() {
        let mut job = job(&json!({"parallelism": 2, "activeDeadlineSeconds": -1,
            "template": {"spec": {"containers": []}}}));
        job.job.metadata.name = Some("../x".to_owned());
        job.secret = Some(k8s_openapi::api::core::v1::Secret::default());
        let text = Plan::new(&job, &JobRules::new(), true).unwrap_err().to_string();
        for part in [
            "\"../x\"",
            "of the Secret is not set",
            "containers is empty",
            "parallelism is 2",
            "activeDeadlineSeconds is -1",
        ] {
            assert!(text.contains(part), "{part:?} in {text:?}");
        }
    }

    #[test]
    fn refuses_pods_of_which_only_a_part_could_run() {
        let problem = |pod: &Value, has_entry_point| {
            let job = job(&json!({"template": {"spec": pod}}));
            Plan::new(&job, &JobRules::new(), has_entry_point)
                .map(|_| ())
                .map_err(|problems| problems.to_string())
        };
        let two = json!({"containers": [{"name": "report"}, {"name": "log-shipper"}]});
        assert!(problem(&two, true).unwrap_err().contains("2 containers (report, log-shipper)"));
        let prepared = json!({"initContainers": [{"name": "clone"}], "containers": [{"name": "report"}]});
        assert!(problem(&prepared, true).unwrap_err().contains("initContainers is set (clone)"));
        let no_command = json!({"containers": [{"name": "report", "image": "example.com/report"}]});
        assert!(problem(&no_command, false).unwrap_err().contains("\"report\" has no command"));
        assert_eq!(problem(&no_command, true), Ok(()));
    }

    #[test]
    fn runs_suspended_job_and_says_so() {
        let plan = plan_of(&json!({"suspend": true, "template": {"spec": {"containers": [{"name": "a"}]}}}));
        assert_eq!(plan.unwrap().not_honoured, ["spec.suspend"]);
    }

    #[test]
    fn passes_index_to_indexed_job() {
        let plan = plan_of(&json!({"completionMode": "Indexed", "completions": 1,
            "template": {"spec": {"containers": [{"name": "a"}]}}}));
        let variables = plan.unwrap().container.env.unwrap();
        assert_eq!(variables[0].name, "JOB_COMPLETION_INDEX");
        assert_eq!(variables[0].value.as_deref(), Some("0"));
    }

    #[test]
    fn deadline_and_grace_period_have_the_defaults_of_kubernetes() {
        let plan = plan_of(&json!({"template": {"spec": {"containers": [{"name": "executor"}]}}})).unwrap();
        assert_eq!((plan.deadline, plan.grace), (None, Duration::from_secs(30)));
        let plan = plan_of(&json!({"activeDeadlineSeconds": 60, "template": {"spec": {
            "activeDeadlineSeconds": 50, "terminationGracePeriodSeconds": 0, "containers": [{"name": "executor"}]}}}))
        .unwrap();
        assert_eq!((plan.deadline, plan.grace), (Some(Duration::from_secs(50)), Duration::ZERO));
    }

    #[test]
    fn lists_exactly_the_fields_that_are_not_honoured() {
        let plan = plan_of(
            &json!({"backoffLimit": 0, "ttlSecondsAfterFinished": 60, "podReplacementPolicy": "Failed",
            "template": {"spec": {"restartPolicy": "Never", "automountServiceAccountToken": false,
                "nodeSelector": {"disk": "fast"}, "tolerations": [],
                "containers": [{"name": "executor", "image": "x", "env": [], "resources": {"limits": {"cpu": "1"}},
                    "volumeMounts": [{"name": "own", "mountPath": "/own"}, {"name": "own", "mountPath": "/part", "subPath": "x"}]}],
                "volumes": [{"name": "own", "secret": {"secretName": "job-1"}}, {"name": "cache", "emptyDir": {}}]}}}),
        );
        assert_eq!(
            plan.unwrap().not_honoured,
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
