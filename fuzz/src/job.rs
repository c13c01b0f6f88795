//! From any settings, variables and payload to a Kubernetes Job: what validation lets pass is rendered,
//! and valid.

use std::collections::{BTreeMap, BTreeSet};

use config_core::{
    EnvSnapshot, EphemeralSettings, Policy, Rules, Setting, Variables, WorkspaceOverrides, keys,
    kubernetes::Rule, value::Quantity, workspace,
};
use job_spec::{
    AttemptAccess, AttemptKey, EphemeralJobData, JobPlan, LONGEST_ENV_STRING, Organization, Planner, Profile,
    labels, redacted,
};
use k8s_openapi::api::{
    batch::v1::Job,
    core::v1::{Container, PodSpec},
};

use crate::{SEPARATOR, Target, checks, lines, text_of, workspace as variables};

/// Parts of an input: variables of the workspace, environment of the server, numbers and token,
/// policy, payload.
pub(crate) const TARGET: Target = Target {
    name: "job",
    longest: 192,
    about: "what validation lets pass is rendered, the same twice, explained, \
        and keeps the rules of Kubernetes",
    seeds: || {
        let environment = "ExecutorEphemeralPayloadDelivery=secret,env\nExecutorEphemeralSecret=a,b\n\
                           JAVA_TOOL_OPTIONS=-Dio.terrakube.executor.ephemeral.nodeSelector.diskType=ssd";
        let mut seeds = variables::seeds();
        seeds.push(["EPHEMERAL_CONFIG_LABELS=a=b", environment, "100 1 token"].join(SEPARATOR));
        let policy = "[default]\npod-security = 'restricted'\n[default.maximum]\ncpu = '1'\ndeadline = '1h'";
        seeds.push(["EPHEMERAL_CPU_LIMIT=900m", "", "1 1", policy].join(SEPARATOR));
        seeds.push(["EPHEMERAL_CPU_LIMIT=1100m", "", "1 1", policy].join(SEPARATOR));
        let claim = "ExecutorEphemeralPayloadDelivery=claim";
        seeds.push(["EPHEMERAL_CONFIG_LABELS=jobId=1", claim, "1 2 token"].join(SEPARATOR));
        let payload = SMALL.replace("acme", "b").replace("terraformPlan", "terraformApply");
        seeds.push(["EPHEMERAL_CONFIG_TTL_APPLY=0", "", "4294967295 0", "", &payload].join(SEPARATOR));
        seeds
    },
    run,
};

/// The first character says which variable the rest is the value of.
pub(crate) const POD_YAML: Target = Target {
    name: "pod-yaml",
    longest: 128,
    about: "parts and patches of the pod in YAML are refused, \
        or the pod that has them keeps the rules of Kubernetes",
    seeds: || {
        let named = |(index, setting): (usize, &Setting)| format!("{index}{}", setting.example);
        let mut seeds: Vec<String> = yaml_settings().enumerate().map(named).collect();
        let patches = [
            "[{op: add, path: /spec/hostname, value: a}, {op: test, path: /spec/restartPolicy, value: \
             Never}]",
            "[{op: remove, path: /spec/containers/0/env/0}]",
            "{spec: {dnsConfig: {options: [{name: ndots, value: '2'}]}, volumes: [{name: tmp, emptyDir: \
             {}}]}}",
            "{spec: {enableServiceLinks: null, containers: [{name: executor, terminationMessagePolicy: \
             null}]}}",
            "{spec: {resources: {limits: {cpu: 1}, requests: {cpu: 500m}}}}",
        ];
        let last = seeds.len() - 1;
        seeds.extend(patches.map(|patch| format!("{last}{patch}")));
        seeds
    },
    run: |data| {
        let Some((first, rest)) = data.split_first() else { return };
        let index = usize::from(first.wrapping_sub(b'0')) % yaml_settings().count();
        let setting = yaml_settings().nth(index).expect("the index is below the number of settings");
        let variables = [(setting.name, text_of(rest))].into_iter().collect();
        let (settings, policy) = (EphemeralSettings::default(), Policy::permissive());
        one(data, &variables, &Planner::new(&settings, &policy), &policy, (&small(), &[]));
    },
};

fn yaml_settings() -> impl Iterator<Item = &'static Setting> {
    workspace::settings().filter(|setting| setting.is_yaml())
}

/// Stands where an input has no payload of its own.
const SMALL: &str =
    r#"{"type":"terraformPlan","organizationId":"acme","workspaceId":"dev","jobId":"42","stepId":"s"}"#;

fn small() -> EphemeralJobData {
    serde_json::from_str(SMALL).expect("it is a payload")
}

fn run(data: &[u8]) {
    let text = text_of(data);
    let mut parts = text.split(SEPARATOR);
    let mut next = || parts.next().unwrap_or_default();
    let variables: Variables = lines::pairs(next()).into_iter().collect();
    let environment: EnvSnapshot = lines::pairs(next()).into_iter().collect();
    let words: Vec<&str> = next().split(' ').collect();
    // Wrong settings and policies are the business of other targets.
    let policy = match next() {
        // Without a policy no variable is refused because a permission is missing, so that all are planned.
        "" => Policy::permissive(),
        text => Policy::parse(text).unwrap_or_default(),
    };
    let payload = serde_json::from_str::<EphemeralJobData>(next()).unwrap_or_else(|_| small());
    let settings = EphemeralSettings::load(&environment).unwrap_or_default();
    one(data, &variables, &Planner::new(&settings, &policy), &policy, (&payload, &words));
}

/// Plans a Job, or collects the problems; the arguments are numbers of step and attempt, and a token.
fn one(
    data: &[u8],
    variables: &Variables,
    planner: &Planner<'_>,
    policy: &Policy,
    (payload, words): (&EphemeralJobData, &[&str]),
) {
    // To explain takes longer than all the rest: the engine makes inputs of every length,
    // and one in four is enough.
    let explained = data.len().is_multiple_of(4);
    let number = |index: usize| words.get(index).and_then(|word| word.parse::<u32>().ok()).unwrap_or(1);
    let organization = Organization::new(payload.organization_id.as_str(), "acme");
    let job_id = payload.job_id.parse().unwrap_or(7);
    let key = AttemptKey::new(organization, payload.workspace_id.as_str(), job_id, number(0), number(1));
    let access = words.get(2).map(|token| AttemptAccess::new("https://a/b", *token));
    let rules = key.organization().rules(policy);
    let (_, found) = WorkspaceOverrides::read(variables, payload.step_type.kind());
    let refused = !found.is_empty() || !rules.check(variables).is_empty();
    if explained {
        // It takes any text and never fails.
        let old = planner.compatible(variables, payload, &key, access.clone());
        assert!(!old.defects.is_empty(), "no Job of Terrakube 2.27 is without defects");
    }
    match planner.plan(variables, payload, &key, access.clone()) {
        Ok(plan) => {
            assert!(!refused, "a problem of reading or of the policy was lost");
            let job = plan.job();
            assert_eq!(plan.job(), job, "the same plan, the same Job");
            planned(&job, &key, &rules);
            if explained {
                shown(&plan, &job, payload);
            }
        }
        Err(problems) => {
            checks::problems(&problems);
            let refused =
                explained.then(|| planner.preview(Profile::Safe, variables, payload, &key, access).refused);
            let is_shown = |problem| refused.as_ref().is_none_or(|refused| refused.contains(problem));
            assert!(problems.iter().all(is_shown), "a problem is not shown: {problems}");
        }
    }
}

fn planned(job: &Job, key: &AttemptKey, rules: &Rules) {
    metadata(job, key);
    let spec = job.spec.as_ref().expect("a Job has a spec");
    assert!(spec.active_deadline_seconds.is_some_and(|seconds| (1..=i64::from(i32::MAX)).contains(&seconds)));
    assert!(spec.ttl_seconds_after_finished.is_some_and(|seconds| seconds >= 0));
    let pod = spec.template.spec.as_ref().expect("a Job has a pod");
    assert_eq!(pod.restart_policy.as_deref(), Some("Never"));
    assert!(pod.termination_grace_period_seconds.is_some_and(|seconds| seconds > 0));
    volumes(pod);
    pod.containers.iter().for_each(environment);
    for container in &pod.containers {
        for (resource, maximum) in rules.maximum() {
            let limits = container.resources.as_ref().and_then(|resources| resources.limits.as_ref());
            let limit = limits.and_then(|limits| limits.get(resource.as_str()));
            let limit = limit.and_then(|limit| limit.0.parse::<Quantity>().ok()).expect("a limit");
            assert!(limit.nanos() <= maximum.value.nanos(), "{limit} is above {}", maximum.value);
        }
    }
}

/// What is shown shows no payload, and nothing in it is without an explanation.
fn shown(plan: &JobPlan, job: &Job, payload: &EphemeralJobData) {
    let payload = payload.encode();
    let json = serde_json::to_string(job).expect("a Job is JSON");
    assert_eq!(
        serde_json::to_string(&plan.job()).ok().as_ref(),
        Some(&json),
        "the same plan, the same bytes"
    );
    assert_eq!(serde_json::from_str::<Job>(&json).ok().as_ref(), Some(job), "it reads as itself");
    let explanation = plan.explain();
    let shown = serde_json::to_string(&explanation).expect("an explanation is JSON");
    assert!(!shown.contains(&payload), "the payload is shown");
    assert_eq!(explanation.job, redacted(job));
    let mut paths = BTreeSet::new();
    for field in &explanation.fields {
        assert_ne!(field.reason, Some("origin unknown"), "{}", field.path);
        assert!(paths.insert(field.path.as_str()), "{} twice", field.path);
    }
    if let Some(secret) = plan.secret() {
        assert_eq!(secret.metadata.name, job.metadata.name);
        assert_eq!(secret.metadata.namespace, job.metadata.namespace);
        assert!(!json.contains(&payload), "the payload is in the Job too");
    }
}

fn metadata(job: &Job, key: &AttemptKey) {
    let name = job.metadata.name.as_deref().expect("a Job has a name");
    checks::rule(Rule::DnsLabel, name);
    let of_job = job.metadata.labels.as_ref().expect("a Job has labels");
    assert_eq!(labels::parse(of_job), Some(key.into()));
    let of_pod = job.spec.as_ref().and_then(|spec| spec.template.metadata.as_ref());
    let labels_of_pod = of_pod.and_then(|pod| pod.labels.as_ref()).expect("a pod has labels");
    assert!(labels_of_pod.iter().all(|label| of_job.get(label.0) == Some(label.1)), "{of_job:?}");
    let is_of_job = |label: &str| workspace::settings().any(|setting| setting.job_label == Some(label));
    let only_on_job = of_job.keys().filter(|label| !labels_of_pod.contains_key(*label));
    assert_eq!(only_on_job.filter(|label| !is_of_job(label)).count(), 0, "the pod has the same labels");
    for (key, value) in of_job {
        checks::rule(Rule::LabelKey, key);
        checks::rule(Rule::LabelValue, value);
    }
    let annotations = [Some(&job.metadata), of_pod].into_iter().flatten();
    for key in annotations.filter_map(|metadata| metadata.annotations.as_ref()).flat_map(BTreeMap::keys) {
        checks::rule(Rule::AnnotationKey, key);
    }
}

/// Every mount has its volume, and no two mounts have one path.
fn volumes(pod: &PodSpec) {
    let names: Vec<&str> = pod.volumes.iter().flatten().map(|volume| volume.name.as_str()).collect();
    let unique: BTreeSet<&str> = names.iter().copied().collect();
    assert_eq!(unique.len(), names.len(), "{names:?}");
    for name in &names {
        checks::rule(Rule::DnsLabel, name);
    }
    for container in pod.containers.iter().chain(pod.init_containers.iter().flatten()) {
        let mut paths = BTreeSet::new();
        for mount in container.volume_mounts.iter().flatten() {
            assert!(unique.contains(mount.name.as_str()), "no volume {:?}", mount.name);
            assert!(paths.insert(mount.mount_path.trim_end_matches('/')), "{:?} twice", mount.mount_path);
        }
    }
}

/// Names are such as every Kubernetes takes, each once, and the program can start with them.
fn environment(container: &Container) {
    let mut names = BTreeSet::new();
    for entry in container.env.iter().flatten() {
        checks::rule(Rule::EnvName, &entry.name);
        assert!(names.insert(entry.name.as_str()), "{:?} twice", entry.name);
        // Kubernetes reads `$$` as `$`.
        let value = entry.value.as_deref().unwrap_or_default().replace("$$", "$");
        assert!(entry.name.len() + 1 + value.len() < LONGEST_ENV_STRING, "{} is too long", entry.name);
        assert!(!value.contains('\0'), "{}", entry.name);
    }
    assert!(names.contains(keys::EPHEMERAL_FLAG_BATCH));
}
