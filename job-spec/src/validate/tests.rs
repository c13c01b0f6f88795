//! What is refused, with which message, and that all problems are reported together.

use std::borrow::Cow;

use config_core::{EnvSnapshot, Organization, Origin, Policy, Rules, SettingsFile, SourceName, Sourced};

use super::{EphemeralSettings, JobPlan, Problems, WorkspaceOverrides, longest_env_value};
use crate::{AttemptAccess, AttemptKey, EphemeralJobData, StepType};

mod delivery;

/// The parts of a request; a test changes some of them.
pub(super) struct Request {
    key: AttemptKey,
    settings: EphemeralSettings,
    pub(super) rules: Rules,
    overrides: WorkspaceOverrides,
    payload: EphemeralJobData,
    pub(super) access: Option<AttemptAccess>,
}

impl Default for Request {
    fn default() -> Self {
        Self {
            key: AttemptKey::new(Organization::new("org-7", "acme"), "ws-8", 42, 100, 3),
            settings: EphemeralSettings::default(),
            rules: Rules::default(),
            overrides: WorkspaceOverrides::default(),
            payload: payload(),
            access: None,
        }
    }
}

impl Request {
    pub(super) fn with(overrides: WorkspaceOverrides) -> Self {
        Self { overrides, ..Self::default() }
    }

    pub(super) fn validate(&self) -> Result<JobPlan, Problems> {
        let Self { key, settings, rules, overrides, payload, access } = self;
        let request = super::Request {
            key,
            settings,
            rules: rules.clone(),
            variables: Cow::default(),
            payload,
            access: access.as_ref(),
        };
        super::validate_overrides(Vec::new(), &request, overrides.clone())
    }

    pub(super) fn messages(&self) -> Vec<String> {
        self.validate().unwrap_err().iter().map(ToString::to_string).collect()
    }
}

fn payload() -> EphemeralJobData {
    serde_json::from_value(serde_json::json!({
        "type": StepType::TerraformPlan,
        "organizationId": "org-7", "workspaceId": "ws-8", "jobId": "42", "stepId": "step-9",
    }))
    .unwrap()
}

#[test]
fn plans_minimal_request() {
    let plan = Request::default().validate().unwrap();
    assert_eq!(plan.name().as_str(), "job-42-100-3");
    assert_eq!(plan.namespace().as_str(), "terrakube");
    assert_eq!(plan.key().attempt(), 3);
}

#[test]
fn rejects_payload_of_another_attempt() {
    let mut request = Request::default();
    request.payload.workspace_id = "ws-other".to_owned();
    request.payload.job_id = "43".to_owned();
    assert_eq!(
        request.messages(),
        [
            "job request EphemeralJobData.jobId: found \"43\", expected \"42\" as in the attempt",
            "job request EphemeralJobData.workspaceId: found \"ws-other\", \
             expected \"ws-8\" as in the attempt",
        ]
    );
}

#[test]
fn rejects_ids_that_are_not_label_values() {
    let mut request = Request::default();
    request.key.organization = Organization::new("org 7", "acme");
    request.payload.organization_id = "org 7".to_owned();
    request.key.workspace_id = String::new();
    request.payload.workspace_id = String::new();
    let keys: Vec<String> =
        request.messages().iter().map(|text| text.split(", expected").next().unwrap().to_owned()).collect();
    assert_eq!(keys, ["job request organizationId: found \"org 7\"", "job request workspaceId: found \"\""]);
}

#[test]
fn validates_access_and_hides_token() {
    let with = |url: &str, token: &str| Request {
        access: Some(AttemptAccess::new(url, token)),
        ..Request::default()
    };
    assert!(with("http://127.0.0.1:8080/executor/v1/attempts/a", "t0ken-_~.").validate().is_ok());
    for url in ["", "http://", "ftp://host", "http://host/", "http://ho st", "host:80", "http://höst"] {
        assert_eq!(
            with(url, "t").messages(),
            [format!(
                "job request EphemeralAttemptUrl: found {url:?}, expected an address that begins with \
                 http:// or https:// and has no slash at the end"
            )]
        );
    }
    for token in ["", "hunter 2", "hunter\n2", "huntér2"] {
        assert_eq!(
            with("http://host", token).messages(),
            ["job request EphemeralAttemptToken: expected a token of printable ASCII characters"]
        );
    }
    let longest = 131_072 - "EphemeralAttemptToken=\0".len();
    assert!(with("http://host", &"t".repeat(longest)).validate().is_ok());
    assert_eq!(
        with("http://host", &"t".repeat(longest + 1)).messages(),
        [format!(
            "job request EphemeralAttemptToken: found \"{} bytes\", expected at most {longest} bytes, which \
             is all that Linux takes in one environment variable; use a shorter token",
            longest + 1
        )]
    );
}

#[test]
fn rejects_reserved_annotations() {
    let annotations = "ephemeral-agents.dev/spec-hash=x;team=a";
    let overrides = overrides(&[("EPHEMERAL_CONFIG_ANNOTATIONS", annotations)]);
    assert_eq!(
        Request { overrides, ..Request::default() }.messages(),
        ["workspace variable EPHEMERAL_CONFIG_ANNOTATIONS: found \"ephemeral-agents.dev/spec-hash\", \
          expected annotations other than those that begin with ephemeral-agents.dev/"]
    );
}

#[test]
fn workspace_node_selector_and_image_replace_platform_values() {
    let env = |key: &str| Origin::new(SourceName::Environment, key);
    let mut request = Request::default();
    let ssd = Sourced::new("ssd".parse().unwrap(), env("x"));
    request.settings.node_selector.insert("disk".parse().unwrap(), ssd);
    request.settings.image = Sourced::new("platform".parse().unwrap(), env("b-image"));
    let plan = request.validate().unwrap();
    assert_eq!(plan.image, "platform");
    assert_eq!(plan.node_selector["disk"].value, "ssd");
    request.overrides = overrides(&[
        ("EPHEMERAL_CONFIG_NODE_SELECTOR_TAGS", "zone=a"),
        ("EPHEMERAL_CONFIG_IMAGE", "executor"),
    ]);
    let plan = request.validate().unwrap();
    assert_eq!(plan.image, "executor");
    assert_eq!(plan.node_selector.keys().map(crate::names::LabelKey::as_str).collect::<Vec<_>>(), ["zone"]);
}

pub(super) fn overrides(variables: &[(&str, &str)]) -> WorkspaceOverrides {
    WorkspaceOverrides::parse(&variables.iter().copied().collect(), None).unwrap()
}

#[test]
fn rejects_config_map_at_temporary_folder() {
    let with_map_at = |path: &str| {
        let overrides = overrides(&[
            ("EPHEMERAL_CONFIG_SECURITY_CONTEXT", "readOnlyRootFilesystem=true"),
            ("EPHEMERAL_CONFIG_MAP_NAME", "extra"),
            ("EPHEMERAL_CONFIG_MAP_MOUNT_PATH", path),
        ]);
        Request { overrides, ..Request::default() }
    };
    for path in ["/tmp", "//tmp/."] {
        assert_eq!(
            with_map_at(path).messages(),
            [format!(
                "workspace variable EPHEMERAL_CONFIG_MAP_MOUNT_PATH: found {path:?}, expected another path \
                 than \"/tmp\", which is that of EPHEMERAL_CONFIG_SECURITY_CONTEXT"
            )]
        );
    }
    for path in ["/tmp/extra", "/tmpfs", "/data"] {
        assert!(with_map_at(path).validate().is_ok(), "{path}");
    }
}

#[test]
fn rejects_reserved_labels() {
    let reserved = [
        "app.kubernetes.io/managed-by",
        "attempt",
        "batch.kubernetes.io/job-name",
        "controller-uid",
        "ephemeral-agents.dev/x",
        "job-name",
        "jobId",
        "organizationId",
        "stepNumber",
        "workspaceId",
    ];
    let list = reserved.map(|key| format!("{key}=x")).join(";");
    let messages =
        Request { overrides: overrides(&[("EPHEMERAL_CONFIG_LABELS", &list)]), ..Request::default() }
            .messages();
    let expected = reserved.map(|key| {
        format!(
            "workspace variable EPHEMERAL_CONFIG_LABELS: found {key:?}, expected labels other than those by \
             which attempts and their pods are found"
        )
    });
    assert_eq!(messages, expected);
    for key in ["team", "job-names", "app.kubernetes.io/part-of", "jobid"] {
        let overrides = overrides(&[("EPHEMERAL_CONFIG_LABELS", &format!("{key}=x"))]);
        assert!(Request { overrides, ..Request::default() }.validate().is_ok(), "{key}");
    }
}

#[test]
fn rejects_reserved_and_too_long_environment_variables() {
    let messages = |variables: &str| {
        let overrides = overrides(&[("EPHEMERAL_JOB_ENV_VARS", variables)]);
        Request { overrides, ..Request::default() }.validate().err().map(|problems| problems.to_string())
    };
    for name in [
        "EphemeralJobData",
        "EPHEMERALFLAGBATCH",
        "EphemeralAttemptUrl",
        "ephemeralAttemptToken",
        "EphemeralGracePeriodSeconds",
        "EphemeralTerminationLog",
    ] {
        assert_eq!(
            messages(&format!("{name}=hunter2")).unwrap(),
            format!(
                "workspace variable EPHEMERAL_JOB_ENV_VARS: found {name:?}, expected variables other than \
                 EphemeralFlagBatch, EphemeralJobData, EphemeralAttemptUrl, EphemeralAttemptToken, \
                 EphemeralGracePeriodSeconds, EphemeralTerminationLog"
            )
        );
    }
    assert_eq!(messages(&format!("A={}", "x".repeat(131_069))), None);
    assert_eq!(
        messages(&format!("A={}", "x".repeat(131_070))).unwrap(),
        "workspace variable EPHEMERAL_JOB_ENV_VARS: found \"131070 bytes\", expected at most 131069 bytes in \
         A, which is all that Linux takes in one environment variable"
    );
}

#[test]
fn rejects_reserved_pod_annotations() {
    let overrides = overrides(&[("EPHEMERAL_CONFIG_POD_ANNOTATIONS", "ephemeral-agents.dev/spec-hash=x")]);
    assert_eq!(
        Request { overrides, ..Request::default() }.messages(),
        ["workspace variable EPHEMERAL_CONFIG_POD_ANNOTATIONS: found \"ephemeral-agents.dev/spec-hash\", \
             expected annotations other than those that begin with ephemeral-agents.dev/"]
    );
}

#[test]
fn rejects_overlapping_plugin_cache_and_config_map() {
    let with = |cache: &str, map: &str| {
        let overrides = overrides(&[
            ("TF_PLUGIN_CACHE_DIR", cache),
            ("PVC_CLAIM_NAME", "cache"),
            ("EPHEMERAL_CONFIG_MAP_NAME", "extra"),
            ("EPHEMERAL_CONFIG_MAP_MOUNT_PATH", map),
        ]);
        Request { overrides, ..Request::default() }
    };
    assert_eq!(
        with("/data/", "/data").messages(),
        ["workspace variable TF_PLUGIN_CACHE_DIR: found \"/data/\", expected another path than \"/data\", \
             which is that of EPHEMERAL_CONFIG_MAP_MOUNT_PATH"]
    );
    assert_eq!(
        with("/data/cache", "/data").messages(),
        ["workspace variable TF_PLUGIN_CACHE_DIR: found \"/data/cache\", expected a path \
             outside \"/data\", which is that of EPHEMERAL_CONFIG_MAP_MOUNT_PATH and read-only"]
    );
    for (cache, map) in [("/data", "/data/extra"), ("/data-cache", "/data"), ("/a/data", "/data")] {
        let volumes = with(cache, map).validate().unwrap().volumes;
        assert_eq!(volumes.len(), 2, "{cache} {map}");
    }
}

#[test]
fn mounts_folder_before_its_contents() {
    let overrides = overrides(&[
        ("TF_PLUGIN_CACHE_DIR", "/tmp/cache"),
        ("PVC_CLAIM_NAME", "cache"),
        ("EPHEMERAL_CONFIG_MAP_NAME", "extra"),
        ("EPHEMERAL_CONFIG_MAP_MOUNT_PATH", "/tmp/cache//extra"),
        ("EPHEMERAL_CONFIG_SECURITY_CONTEXT", "readOnlyRootFilesystem=true"),
    ]);
    let plan = Request { overrides, ..Request::default() }.validate().unwrap();
    let paths: Vec<&str> = plan.volumes.iter().map(|volume| volume.mount_path.as_str()).collect();
    assert_eq!(paths, ["/tmp", "/tmp/cache", "/tmp/cache//extra"]);
}

#[test]
fn debug_of_plan_hides_payload() {
    let mut request = Request::default();
    request.payload.access_token = Some("hunter2".to_owned());
    let encoded = request.payload.encode();
    let shown = format!("{:?}", request.validate().unwrap());
    assert!(!shown.contains(&encoded) && shown.starts_with("JobPlan { key: AttemptKey {"), "{shown}");
}

#[test]
fn plans_contradiction_of_operator_with_warning() {
    let file = "[variables]\nEPHEMERAL_CONFIG_POD_SECURITY_CONTEXT = 'runAsUser=0;runAsNonRoot=false'\n";
    let file = SettingsFile::parse(file).unwrap();
    let settings = EphemeralSettings::load_with(&EnvSnapshot::default(), Some(&file)).unwrap();
    let overrides = WorkspaceOverrides::parse(&settings.variables_for(&[]), None).unwrap();
    let rules = Policy::parse("[default]\npod-security = 'restricted'\n").unwrap().rules_for(&[]);
    let plan = Request { rules, overrides, ..Request::default() }.validate().unwrap();
    let keys: Vec<&str> = plan.warnings().iter().map(|warning| warning.origin.key.as_str()).collect();
    assert!(!keys.is_empty() && keys.iter().all(|key| key.ends_with("POD_SECURITY_CONTEXT")), "{keys:?}");
}

#[test]
fn plans_valid_settings_and_overrides() {
    let env: EnvSnapshot = [(
        "JAVA_TOOL_OPTIONS",
        "-Dorg.terrakube.executor.ephemeral.nodeSelector[kubernetes.io/os]=linux \
         -DExecutorEphemeralNamespace=runs",
    )]
    .into_iter()
    .collect();
    let variables = [
        ("EPHEMERAL_CONFIG_TOLERATIONS", "spot:Exists:NoSchedule"),
        ("EPHEMERAL_CONFIG_MAP_NAME", "extra"),
        ("EPHEMERAL_CONFIG_SERVICE_ACCOUNT", "runner"),
    ];
    let request = Request {
        settings: EphemeralSettings::load(&env).unwrap(),
        overrides: overrides(&variables),
        ..Request::default()
    };
    assert_eq!(request.validate().unwrap().namespace().as_str(), "runs");
}
