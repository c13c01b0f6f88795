//! What holds for every Job, whatever the settings.

#![expect(clippy::unwrap_used, clippy::panic, reason = "helpers of tests fail by a panic too")]

use std::collections::BTreeMap;

use config_core::{keys, workspace};
use job_spec::{
    AttemptKey, EXECUTOR_CONTAINER, EphemeralJobData, ExitCode, Organization, attempt_api, labels, redacted,
};
use k8s_openapi::api::{
    batch::v1::{Job, JobSpec},
    core::v1::{Container, PodSpec},
};
use proptest::prelude::*;

#[path = "properties/plans.rs"]
mod plans;

use plans::{key, payload_of, plan_of, workspace};

fn parts(job: &Job) -> (&JobSpec, &PodSpec, &Container) {
    let spec = job.spec.as_ref().unwrap();
    let pod = spec.template.spec.as_ref().unwrap();
    let [container] = pod.containers.as_slice() else { panic!("one container") };
    (spec, pod, container)
}

fn env_of<'a>(container: &'a Container, name: &str) -> &'a str {
    let found: Vec<&str> = container
        .env
        .iter()
        .flatten()
        .filter(|entry| entry.name == name)
        .filter_map(|e| e.value.as_deref())
        .collect();
    let [value] = found.as_slice() else { panic!("{name} once") };
    value
}

proptest! {
    #[test]
    fn renders_same_bytes_twice(key in key(), workspace in workspace()) {
        let payload = payload_of(&key, "s");
        let bytes = |()| serde_json::to_vec(&plan_of(&key, &workspace, &payload, "t").job()).unwrap();
        prop_assert_eq!(bytes(()), bytes(()));
    }

    #[test]
    fn every_field_of_every_job_is_explained(key in key(), workspace in workspace()) {
        let plan = plan_of(&key, &workspace, &payload_of(&key, "s"), "t");
        let explanation = plan.explain();
        prop_assert_eq!(&explanation.job, &redacted(&plan.job()));
        for field in &explanation.fields {
            prop_assert_ne!(field.reason, Some("origin unknown"), "{}", field.path);
        }
    }

    #[test]
    fn every_job_is_safe(key in key(), workspace in workspace()) {
        let job = plan_of(&key, &workspace, &payload_of(&key, "s"), "t").job();
        let (spec, pod, container) = parts(&job);
        prop_assert_eq!(spec.backoff_limit, Some(0));
        prop_assert_eq!(pod.restart_policy.as_deref(), Some("Never"));
        prop_assert_eq!(spec.pod_replacement_policy.as_deref(), Some("Failed"));
        prop_assert!(spec.active_deadline_seconds.is_some() && spec.ttl_seconds_after_finished.is_some());
        prop_assert!(pod.termination_grace_period_seconds.is_some_and(|seconds| seconds > 0));
        prop_assert_eq!(pod.automount_service_account_token, Some(pod.service_account_name.is_some()));
        let of_pod = pod.security_context.as_ref().unwrap();
        prop_assert_eq!(of_pod.run_as_non_root, Some(true));
        prop_assert!(of_pod.run_as_user.is_some_and(|user| user > 0));
        let wanted = if workspace.contains_key(workspace::POD_SECURITY_CONTEXT.name()) { "Localhost" } else { "RuntimeDefault" };
        prop_assert_eq!(of_pod.seccomp_profile.as_ref().map(|profile| profile.type_.as_str()), Some(wanted));
        let of_container = container.security_context.as_ref().unwrap();
        prop_assert_eq!(of_container.allow_privilege_escalation, Some(false));
        let dropped = of_container.capabilities.as_ref().and_then(|capabilities| capabilities.drop.clone());
        prop_assert_eq!(dropped, Some(vec!["ALL".to_owned()]));
    }

    #[test]
    fn job_and_pod_have_labels_of_attempt(key in key(), workspace in workspace()) {
        let job = plan_of(&key, &workspace, &payload_of(&key, "s"), "t").job();
        let of_job = job.metadata.labels.as_ref().unwrap();
        prop_assert_eq!(labels::parse(of_job), Some((&key).into()));
        let of_pod = job.spec.as_ref().unwrap().template.metadata.as_ref().unwrap();
        prop_assert_eq!(Some(of_job), of_pod.labels.as_ref());
        let wanted = workspace.contains_key(workspace::POD_ANNOTATIONS.name());
        prop_assert_eq!(of_pod.annotations.is_some(), wanted);
    }

    #[test]
    fn spec_hash_changes_with_spec_only(key in key(), workspace in workspace()) {
        let hash = |payload: &EphemeralJobData, workspace: &BTreeMap<String, String>| {
            let job = plan_of(&key, workspace, payload, "t").job();
            job.metadata.annotations.unwrap()[labels::SPEC_HASH].clone()
        };
        let first = hash(&payload_of(&key, "a"), &workspace);
        let is_digit = |b: u8| b.is_ascii_digit() || (b'a'..=b'f').contains(&b);
        prop_assert!(first.len() == 64 && first.bytes().all(is_digit));
        prop_assert_ne!(&first, &hash(&payload_of(&key, "b"), &workspace));
        let mut other_annotations = workspace.clone();
        other_annotations.insert(workspace::ANNOTATIONS.name().to_owned(), "other=annotation".to_owned());
        prop_assert_eq!(first, hash(&payload_of(&key, "a"), &other_annotations));
    }

    #[test]
    fn executor_decodes_payload_and_redacted_job_hides_secrets(
        key in key(), workspace in workspace(), secret in "secret-[a-z]{12}", token in "token-[a-z]{12}",
    ) {
        let payload = payload_of(&key, &secret);
        let job = plan_of(&key, &workspace, &payload, &token).job();
        let (_, _, container) = parts(&job);
        let data = env_of(container, keys::EPHEMERAL_JOB_DATA);
        prop_assert_eq!(EphemeralJobData::decode(data).unwrap(), payload);
        prop_assert_eq!(env_of(container, keys::EPHEMERAL_FLAG_BATCH), "true");
        prop_assert_eq!(env_of(container, attempt_api::ATTEMPT_TOKEN_ENV), token.as_str());
        let shown = serde_json::to_string(&redacted(&job)).unwrap();
        prop_assert!(!shown.contains(&token));
        prop_assert!(!shown.contains(env_of(container, keys::EPHEMERAL_JOB_DATA)));
    }
}

#[test]
fn pod_failure_policy_covers_every_failure() {
    let key = AttemptKey::new(Organization::new("o", "acme"), "w", 1, 2, 3);
    let job = plan_of(&key, &BTreeMap::new(), &payload_of(&key, "s"), "t").job();
    let rules = &parts(&job).0.pod_failure_policy.as_ref().unwrap().rules;
    assert!(rules.iter().all(|rule| rule.action == "FailJob"));
    let [disruption, ours, others] = rules.as_slice() else { panic!("three rules") };
    let condition = &disruption.on_pod_conditions.as_ref().unwrap()[0];
    assert_eq!((condition.type_.as_str(), condition.status.as_str()), ("DisruptionTarget", "True"));
    for (rule, operator) in [(ours, "In"), (others, "NotIn")] {
        let codes = rule.on_exit_codes.as_ref().unwrap();
        assert_eq!(
            (codes.operator.as_str(), codes.container_name.as_deref()),
            (operator, Some(EXECUTOR_CONTAINER))
        );
        // The API server wants them sorted, each once, and without 0.
        let expected: Vec<i32> =
            ExitCode::ALL.iter().map(|code| code.code().into()).filter(|code| *code != 0).collect();
        assert_eq!(codes.values, expected);
        assert!(expected.is_sorted());
    }
}
