//! How long it takes to turn the variables of a workspace and a payload into a Kubernetes Job,
//! as a whole and stage by stage.
//!
//! `cargo xtask bench spec` runs it and prints `the_whole_way` as a ratio to `serialise_the_job`, which
//! merely writes the same Job down with `serde_json`. The settings of the platform are loaded once in the
//! life of a server: `load_settings`.

#![expect(clippy::unwrap_used, reason = "a benchmark whose input is wrong has nothing to measure")]

use std::hint::black_box;

use config_core::{EnvSnapshot, EphemeralSettings, Policy, Variables, WorkspaceOverrides};
use divan::Bencher;
use job_spec::{AttemptAccess, AttemptKey, EphemeralJobData, JobPlan, Organization, Planner};
use k8s_openapi::api::batch::v1::Job;

fn main() {
    divan::main();
}

/// What a server has in hand when a step begins.
struct Typical {
    environment: EnvSnapshot,
    variables: Variables,
    payload: EphemeralJobData,
}

impl Typical {
    fn new() -> Self {
        let environment = [
            ("ExecutorEphemeralNamespace", "terraform-runs"),
            ("ExecutorEphemeralImage", "registry.example.com/platform/executor:2.27.2"),
            ("ExecutorEphemeralSecret", "executor-secrets,cloud-credentials"),
            ("JAVA_TOOL_OPTIONS", "-Xmx1g -Dorg.terrakube.executor.ephemeral.nodeSelector.diskType=ssd"),
            ("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"),
            ("HOME", "/home/terraform"),
        ];
        let variables = [
            ("EPHEMERAL_CONFIG_NODE_SELECTOR_TAGS", "diskType=ssd;topology.kubernetes.io/zone=eu-west-1a"),
            ("EPHEMERAL_CONFIG_SERVICE_ACCOUNT", "terraform-runner"),
            ("EPHEMERAL_CONFIG_ANNOTATIONS", "example.com/team=platform;example.com/cost-centre=4711"),
            ("EPHEMERAL_CONFIG_TOLERATIONS", "spot:Exists:NoSchedule;gpu=true:Equal:NoExecute:300"),
            ("EPHEMERAL_CONFIG_MAP_NAME", "provider-mirror"),
            ("EPHEMERAL_CONFIG_MAP_MOUNT_PATH", "/etc/terraform"),
            ("EPHEMERAL_CPU_REQUEST", "500m"),
            ("EPHEMERAL_MEMORY_LIMIT", "2Gi"),
            ("AWS_REGION", "eu-west-1"),
            ("TERRAKUBE_ENABLE_EPHEMERAL_EXECUTOR", "1"),
        ];
        Self {
            environment: environment.into_iter().collect(),
            variables: variables.into_iter().collect(),
            payload: payload(),
        }
    }

    fn key() -> AttemptKey {
        let organization = Organization::new("0b8a3c10-0000-4000-8000-000000000001", "acme");
        AttemptKey::new(organization, "7c1d2e5a-0000-4000-8000-000000000002", 4711, 100, 1)
    }

    fn settings(&self) -> EphemeralSettings {
        EphemeralSettings::load(&self.environment).unwrap()
    }

    fn overrides(&self) -> WorkspaceOverrides {
        WorkspaceOverrides::parse(&self.variables, self.payload.step_type.kind()).unwrap()
    }

    fn plan(&self, settings: &EphemeralSettings, policy: &Policy) -> JobPlan {
        let access = AttemptAccess::new(
            "https://terraform.example.com/executor/v1/attempts/0192c7e4-2f0e-7c5e-9d0b-0242ac120002",
            "c2VjcmV0LXNlY3JldC1zZWNyZXQtc2VjcmV0LXNlY3JldA",
        );
        Planner::new(settings, policy).plan(&self.variables, &self.payload, &Self::key(), access).unwrap()
    }

    fn job(&self, settings: &EphemeralSettings, policy: &Policy) -> Job {
        self.plan(settings, policy).into_objects().0
    }
}

/// A payload of about 4 KB: a script, a dozen variables and a key for modules.
fn payload() -> EphemeralJobData {
    let texts = |prefix: &str| -> serde_json::Value {
        (0..12)
            .map(|number| {
                (
                    format!("{prefix}_variable_{number}"),
                    format!("value of {prefix} {number} ").repeat(3).into(),
                )
            })
            .collect::<serde_json::Map<_, _>>()
            .into()
    };
    serde_json::from_value(serde_json::json!({
        "commandList": [{
            "runtime": "BASH",
            "script": "set -eu\necho \"planning $workspaceName\"\n".repeat(12),
            "priority": 10,
            "before": true,
        }],
        "type": "terraformPlan",
        "organizationId": "0b8a3c10-0000-4000-8000-000000000001",
        "workspaceId": "7c1d2e5a-0000-4000-8000-000000000002",
        "jobId": "4711",
        "stepId": "d2f0aa11-0000-4000-8000-000000000100",
        "terraformVersion": "1.9.8",
        "source": "https://github.com/acme/infrastructure.git",
        "branch": "main",
        "folder": "/live/production",
        "vcsType": "GITHUB",
        "accessToken": "t".repeat(40),
        "moduleSshKey": "k".repeat(1200),
        "environmentVariables": texts("environment"),
        "variables": texts("terraform"),
    }))
    .unwrap()
}

/// Variables, checks and the object: everything between a step that is due and a Kubernetes Job.
#[divan::bench]
fn the_whole_way(bencher: Bencher<'_, '_>) {
    let typical = Typical::new();
    let (settings, policy) = (typical.settings(), Policy::default());
    bencher.bench(|| black_box(&typical).job(&settings, &policy));
}

/// What the whole way is measured by.
#[divan::bench]
fn serialise_the_job(bencher: Bencher<'_, '_>) {
    let typical = Typical::new();
    let job = typical.job(&typical.settings(), &Policy::default());
    bencher.bench(|| serde_json::to_vec(black_box(&job)).unwrap());
}

#[divan::bench]
fn load_settings(bencher: Bencher<'_, '_>) {
    let typical = Typical::new();
    bencher.bench(|| black_box(&typical).settings());
}

#[divan::bench]
fn parse_overrides(bencher: Bencher<'_, '_>) {
    let typical = Typical::new();
    bencher.bench(|| black_box(&typical).overrides());
}

#[divan::bench]
fn encode_payload(bencher: Bencher<'_, '_>) {
    let payload = payload();
    bencher.bench(|| black_box(&payload).encode());
}

#[divan::bench]
fn plan_the_job(bencher: Bencher<'_, '_>) {
    let typical = Typical::new();
    let (settings, policy) = (typical.settings(), Policy::default());
    bencher.bench(|| black_box(&typical).plan(&settings, &policy));
}

#[divan::bench]
fn render_the_plan(bencher: Bencher<'_, '_>) {
    let typical = Typical::new();
    let plan = typical.plan(&typical.settings(), &Policy::default());
    bencher.bench(|| black_box(&plan).job());
}
