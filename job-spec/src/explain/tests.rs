//! Who decided what, for Jobs with much in them.

use std::collections::BTreeMap;

use config_core::{EnvSnapshot, EphemeralSettings, Organization, Policy, Variables};

use super::{Field, Preview, Profile, UNKNOWN, Value};
use crate::{AttemptAccess, AttemptKey, EphemeralJobData, Planner};

const POLICY: &str = "
[default]
allow = ['EPHEMERAL_CONFIG_SIDECARS', 'EPHEMERAL_CONFIG_INIT_CONTAINERS', 'EPHEMERAL_CONFIG_VOLUMES']
forbid = ['EPHEMERAL_CONFIG_TTL']
pod-security = 'privileged'
[default.maximum]
ephemeral-storage = '2Gi'
";

fn payload() -> EphemeralJobData {
    serde_json::from_value(serde_json::json!({
        "type": "terraformPlan",
        "organizationId": "org-7", "workspaceId": "ws-8", "jobId": "42", "stepId": "step-9", "accessToken": "hunter2",
    }))
    .unwrap()
}

/// Calls a function with a planner, variables, and the workspace's key and access.
fn with_planner<T>(
    workspace: &str,
    variables: &[(&str, &str)],
    take: impl FnOnce(&Planner<'_>, &Variables, &AttemptKey, AttemptAccess) -> T,
) -> T {
    let env: EnvSnapshot = [
        ("ExecutorEphemeralNamespace", "runs"),
        ("JAVA_TOOL_OPTIONS", "-Dio.terrakube.executor.ephemeral.nodeSelector.diskType=ssd"),
    ]
    .into_iter()
    .collect();
    let (settings, policy) = (EphemeralSettings::load(&env).unwrap(), Policy::parse(POLICY).unwrap());
    let key = AttemptKey::new(Organization::new("org-7", "acme"), workspace, 42, 100, 3);
    let access = AttemptAccess::new("https://api.example.com/a", "s3cret");
    take(&Planner::new(&settings, &policy), &variables.iter().copied().collect(), &key, access)
}

fn preview(profile: Profile, variables: &[(&str, &str)]) -> Preview {
    with_planner("ws-8", variables, |planner, variables, key, access| {
        planner.preview(profile, variables, &payload(), key, access)
    })
}

/// Path to origin (and reason) of every field.
fn origins(variables: &[(&str, &str)]) -> BTreeMap<String, String> {
    with_planner("ws-8", variables, |planner, variables, key, access| {
        let plan = planner.plan(variables, &payload(), key, access).unwrap();
        let reason = |field: &Field| field.reason.map(|reason| format!(" ({reason})")).unwrap_or_default();
        plan.explain()
            .fields
            .iter()
            .map(|field| (field.path.clone(), format!("{}{}", field.origin, reason(field))))
            .collect()
    })
}

#[test]
#[expect(clippy::too_many_lines, reason = "a table of cases")]
fn field_names_its_setting_or_default() {
    let origins = origins(&[
        ("EPHEMERAL_CONFIG_LABELS", "team=a"),
        ("EPHEMERAL_CONFIG_ANNOTATIONS", "a/b=c"),
        ("EPHEMERAL_CPU_LIMIT", "2"),
        ("EPHEMERAL_STORAGE_LIMIT", "1Gi"),
        ("EPHEMERAL_CPU_LIMIT_PLAN", "1"),
        ("EPHEMERAL_CONFIG_POD_SECURITY_CONTEXT", "runAsUser=0"),
        ("EPHEMERAL_CONFIG_SECURITY_CONTEXT", "readOnlyRootFilesystem=true"),
        ("EPHEMERAL_CONFIG_MAP_NAME", "extra"),
        ("EPHEMERAL_JOB_ENV_VARS", "A=1"),
        ("EPHEMERAL_CONFIG_ENVFROM_CONFIG_MAP", "m"),
        ("EPHEMERAL_CONFIG_DEADLINE", "1h"),
        ("EPHEMERAL_CONFIG_TOLERATIONS", "spot:Exists"),
        (
            "EPHEMERAL_CONFIG_SIDECARS",
            "[{name: proxy, image: proxy:1, resources: {limits: {ephemeral-storage: 1Gi}}}]",
        ),
        (
            "EPHEMERAL_CONFIG_INIT_CONTAINERS",
            "[{name: fetch, image: fetch:1, resources: {limits: {ephemeral-storage: 1Gi}}}]",
        ),
        ("EPHEMERAL_CONFIG_VOLUMES", "[{name: more, emptyDir: {}}]"),
        ("EPHEMERAL_CONFIG_VOLUME_MOUNTS", "[{name: more, mountPath: /a}, {name: tmp, mountPath: /b}]"),
    ]);
    let pod = "spec.template.spec";
    let container = "spec.template.spec.containers[executor]";
    for (path, expected) in [
        ("metadata.name".to_owned(), "job request name"),
        ("metadata.namespace".to_owned(), "environment variable ExecutorEphemeralNamespace"),
        ("metadata.labels.team".to_owned(), "workspace variable EPHEMERAL_CONFIG_LABELS"),
        ("metadata.labels.workspaceId".to_owned(), "job request workspaceId"),
        (
            "metadata.labels[\"app.kubernetes.io/managed-by\"]".to_owned(),
            "built-in default app.kubernetes.io/managed-by",
        ),
        ("spec.template.metadata.labels.team".to_owned(), "workspace variable EPHEMERAL_CONFIG_LABELS"),
        ("metadata.annotations[\"a/b\"]".to_owned(), "workspace variable EPHEMERAL_CONFIG_ANNOTATIONS"),
        ("spec.backoffLimit".to_owned(), "built-in default backoffLimit (a step runs once)"),
        ("spec.activeDeadlineSeconds".to_owned(), "workspace variable EPHEMERAL_CONFIG_DEADLINE"),
        ("spec.ttlSecondsAfterFinished".to_owned(), "built-in default EPHEMERAL_CONFIG_TTL"),
        (
            format!("{pod}.nodeSelector.diskType"),
            "JAVA_TOOL_OPTIONS -Dio.terrakube.executor.ephemeral.nodeSelector.diskType",
        ),
        (format!("{pod}.tolerations[0].key"), "workspace variable EPHEMERAL_CONFIG_TOLERATIONS"),
        (
            format!("{pod}.securityContext.runAsUser"),
            "workspace variable EPHEMERAL_CONFIG_POD_SECURITY_CONTEXT",
        ),
        (
            format!("{pod}.securityContext.runAsNonRoot"),
            "workspace variable EPHEMERAL_CONFIG_POD_SECURITY_CONTEXT",
        ),
        (format!("{pod}.securityContext.fsGroup"), "built-in default fsGroup"),
        (
            format!("{pod}.volumes[config-volume].configMap.name"),
            "workspace variable EPHEMERAL_CONFIG_MAP_NAME",
        ),
        (format!("{container}.image"), "built-in default ExecutorEphemeralImage"),
        (format!("{container}.resources.limits.cpu"), "workspace variable EPHEMERAL_CPU_LIMIT_PLAN"),
        (format!("{container}.env[A].value"), "workspace variable EPHEMERAL_JOB_ENV_VARS"),
        (
            format!("{container}.env[EphemeralJobData].value"),
            "built-in default ExecutorEphemeralPayloadDelivery",
        ),
        (format!("{container}.env[EphemeralAttemptToken].value"), "job request EphemeralAttemptToken"),
        (
            format!("{container}.envFrom[0].configMapRef.name"),
            "workspace variable EPHEMERAL_CONFIG_ENVFROM_CONFIG_MAP",
        ),
        (format!("{container}.envFrom[1].secretRef.name"), "built-in default ExecutorEphemeralSecret"),
        (
            format!("{container}.securityContext.readOnlyRootFilesystem"),
            "workspace variable EPHEMERAL_CONFIG_SECURITY_CONTEXT",
        ),
        (
            format!("{container}.securityContext.allowPrivilegeEscalation"),
            "built-in default allowPrivilegeEscalation",
        ),
        (
            format!("{container}.volumeMounts[/data].mountPath"),
            "workspace variable EPHEMERAL_CONFIG_MAP_NAME",
        ),
        (format!("{container}.volumeMounts[/b].name"), "workspace variable EPHEMERAL_CONFIG_VOLUME_MOUNTS"),
        (
            format!("{container}.volumeMounts[/tmp].name"),
            "built-in default name (a read-only root file system needs a place for temporary files)",
        ),
        (format!("{pod}.volumes[more].emptyDir"), "workspace variable EPHEMERAL_CONFIG_VOLUMES"),
        (format!("{pod}.initContainers[proxy].image"), "workspace variable EPHEMERAL_CONFIG_SIDECARS"),
        (format!("{pod}.initContainers[fetch].image"), "workspace variable EPHEMERAL_CONFIG_INIT_CONTAINERS"),
    ] {
        assert_eq!(origins.get(&path).map(String::as_str), Some(expected), "{path} in {origins:#?}");
    }
    assert!(origins.values().all(|origin| !origin.contains(UNKNOWN)), "{origins:#?}");
}

#[test]
fn default_limit_is_maximum_of_policy() {
    let limit = "spec.template.spec.containers[executor].resources.limits.ephemeral-storage";
    assert_eq!(origins(&[])[limit], "policy default.maximum.ephemeral-storage");
}

#[test]
fn preview_reports_refused_variables_and_leaves_them_out() {
    let preview = preview(
        Profile::Safe,
        &[
            ("EPHEMERAL_CONFIG_TOLERATIONS", "a:X"),
            ("EPHEMERAL_CPU_LIMTI", "1"),
            ("EPHEMERAL_CONFIG_LABELS", "workspaceId=mine"),
            ("EPHEMERAL_MEMORY_LIMIT", "1Gi"),
            ("EPHEMERAL_CONFIG_TTL_APPLY", "1h"),
        ],
    );
    let keys: Vec<&str> = preview.refused.iter().map(|problem| problem.origin.key.as_str()).collect();
    assert_eq!(
        keys,
        [
            "EPHEMERAL_CONFIG_LABELS",
            "EPHEMERAL_CONFIG_TOLERATIONS",
            "EPHEMERAL_CONFIG_TTL_APPLY",
            "EPHEMERAL_CPU_LIMTI"
        ]
    );
    let fields = preview.explanation.unwrap().fields;
    assert!(fields.iter().any(|field| field.path.ends_with("limits.memory") && field.value == "1Gi"));
    assert!(fields.iter().all(|field| !field.path.contains("tolerations")));
}

#[test]
fn preview_has_no_job_where_no_variable_is_at_fault() {
    let preview = with_planner("another", &[], |planner, variables, key, access| {
        planner.preview(Profile::Safe, variables, &payload(), key, access)
    });
    assert_eq!(preview.explanation, None);
    assert_eq!(preview.refused[0].origin.key, "EphemeralJobData.workspaceId");
}

#[test]
fn preview_hides_secrets() {
    for profile in [Profile::Safe, Profile::Compatible] {
        let preview = preview(profile, &[("EPHEMERAL_JOB_ENV_VARS", "TOKEN=t0ken")]);
        let shown = serde_json::to_string(&preview).unwrap();
        for secret in ["hunter2", "s3cret", "t0ken", &payload().encode()] {
            assert!(!shown.contains(secret), "{secret} in {shown}");
        }
        let length = payload().encode().len();
        assert!(shown.contains(&format!("<redacted: {length} bytes>")), "{shown}");
    }
}

#[test]
fn preview_holds_warnings_beside_the_job() {
    let preview = preview(Profile::Safe, &[("PVC_CLAIM_NAME", "cache")]);
    let json: Value = serde_json::from_str(&serde_json::to_string(&preview).unwrap()).unwrap();
    assert_eq!(json["warnings"][0]["key"], "PVC_CLAIM_NAME");
    assert_eq!(json["refused"], serde_json::json!([]));
    assert_eq!(json["job"]["metadata"]["name"], "job-42-100-3");
    assert_eq!(json["fields"][0]["path"], "apiVersion");
    assert_eq!(json.get("defects"), None);
}

#[test]
fn compatible_fields_without_setting_have_a_reason() {
    let preview = preview(Profile::Compatible, &[]);
    let fields = preview.explanation.unwrap().fields;
    assert!(fields.iter().all(|field| field.reason != Some(UNKNOWN)), "{fields:#?}");
    let empty = fields.iter().find(|field| field.path.ends_with("[job-42].securityContext")).unwrap();
    assert_eq!(
        (&empty.value, empty.reason),
        (&serde_json::json!({}), Some("written even if it holds nothing"))
    );
}

#[test]
#[expect(clippy::too_many_lines, reason = "a table of cases")]
fn compatible_fields_name_their_origins() {
    let variables = [
        ("EPHEMERAL_CPU_LIMIT", "2"),
        ("EPHEMERAL_CPU_LIMIT_PLAN", "1"),
        ("EPHEMERAL_CONFIG_POD_SECURITY_CONTEXT", "runAsUser=7"),
        ("EPHEMERAL_CONFIG_MAP_NAME", "extra"),
        ("TF_PLUGIN_CACHE_DIR", "/cache"),
        ("EPHEMERAL_CONFIG_TOLERATIONS", "a:X"),
        ("EPHEMERAL_CONFIG_ANNOTATIONS", "team=a"),
        ("EPHEMERAL_CONFIG_SECURITY_CONTEXT", "allowPrivilegeEscalation=false"),
        ("EPHEMERAL_CONFIG_SERVICE_ACCOUNT", "runner"),
        ("EPHEMERAL_CPU_REQUEST", "500m"),
        ("EPHEMERAL_MEMORY_REQUEST", "1Gi"),
    ];
    let preview = preview(Profile::Compatible, &variables);
    assert_eq!(preview.refused.len(), 1, "{:?}", preview.refused);
    let fields = preview.explanation.unwrap().fields;
    assert!(fields.iter().all(|field| field.reason != Some(UNKNOWN)), "{fields:#?}");
    let pod = "spec.template.spec";
    let container = "spec.template.spec.containers[job-42]";
    for (path, value, origin) in [
        ("metadata.name".to_owned(), "job-42", "job request name"),
        ("metadata.namespace".to_owned(), "runs", "environment variable ExecutorEphemeralNamespace"),
        ("metadata.annotations.team".to_owned(), "a", "workspace variable EPHEMERAL_CONFIG_ANNOTATIONS"),
        (
            format!("{pod}.nodeSelector.diskType"),
            "ssd",
            "JAVA_TOOL_OPTIONS -Dio.terrakube.executor.ephemeral.nodeSelector.diskType",
        ),
        (format!("{pod}.securityContext.fsGroup"), "1000", "built-in default fsGroup"),
        (
            format!("{pod}.securityContext.runAsUser"),
            "7",
            "workspace variable EPHEMERAL_CONFIG_POD_SECURITY_CONTEXT",
        ),
        (format!("{pod}.tolerations[0].operator"), "X", "workspace variable EPHEMERAL_CONFIG_TOLERATIONS"),
        (
            format!("{pod}.volumes[config-volume].configMap.name"),
            "extra",
            "workspace variable EPHEMERAL_CONFIG_MAP_NAME",
        ),
        (
            format!("{pod}.volumes[tf-plugin-volume].persistentVolumeClaim.claimName"),
            "terrakube-plugin-pvc",
            "built-in default PVC_CLAIM_NAME",
        ),
        (
            format!("{container}.env[EphemeralJobData].name"),
            "EphemeralJobData",
            "job request EphemeralJobData",
        ),
        (
            format!("{container}.image"),
            "azbuilder/executor:2.22.0",
            "built-in default ExecutorEphemeralImage",
        ),
        (format!("{container}.resources.limits.cpu"), "2", "workspace variable EPHEMERAL_CPU_LIMIT"),
        (format!("{container}.resources.requests.cpu"), "500m", "workspace variable EPHEMERAL_CPU_REQUEST"),
        (
            format!("{container}.resources.requests.memory"),
            "1Gi",
            "workspace variable EPHEMERAL_MEMORY_REQUEST",
        ),
        (
            format!("{container}.volumeMounts[/tmp].mountPath"),
            "/tmp",
            "workspace variable EPHEMERAL_CONFIG_MAP_NAME",
        ),
        (
            format!("{container}.volumeMounts[/cache].mountPath"),
            "/cache",
            "workspace variable TF_PLUGIN_CACHE_DIR",
        ),
    ] {
        let field = fields.iter().find(|field| field.path == path).unwrap_or_else(|| panic!("no {path}"));
        assert_eq!(field.value.to_string().trim_matches('"'), value, "{path}");
        assert_eq!(field.origin.to_string(), origin, "{path}");
    }
}
