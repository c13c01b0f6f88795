//! Arbitrary plans for tests of what holds for every Job; shared by those tests, and itself no test.

use std::{collections::BTreeMap, net::Ipv4Addr};

use config_core::{EphemeralSettings, Policy, workspace};
use job_spec::{AttemptAccess, AttemptKey, EphemeralJobData, JobPlan, Organization, Planner, StepType};
use proptest::prelude::*;
use serde_json::{Value, json};

const NAME: &str = "[a-z0-9]([a-z0-9-]{0,20}[a-z0-9])?";
const LABEL: &str = "[A-Za-z0-9]([A-Za-z0-9._-]{0,20}[A-Za-z0-9])?";

pub(crate) fn key() -> impl Strategy<Value = AttemptKey> {
    (LABEL, LABEL, any::<u64>(), any::<u32>(), any::<u32>()).prop_map(
        |(organization_id, workspace_id, job_id, step_number, attempt)| {
            let organization = Organization::new(organization_id, "acme");
            AttemptKey::new(organization, workspace_id, job_id, step_number, attempt)
        },
    )
}

pub(crate) fn workspace() -> impl Strategy<Value = BTreeMap<String, String>> {
    let list = prop::collection::vec((LABEL, LABEL), 0..3).prop_map(|entries| {
        entries.into_iter().map(|(key, value)| format!("{key}={value}")).collect::<Vec<_>>().join(";")
    });
    let toleration =
        prop_oneof![Just("*".to_owned()), LABEL.prop_map(|key| format!("{key}:Exists:NoExecute"))];
    (
        prop::option::of(list.clone()),
        prop::option::of(list),
        prop::option::of(toleration),
        prop::option::of(NAME),
        prop::option::of((NAME, prop::option::of("/[a-z/]{0,8}[a-z]"))),
        more_variables(),
        yaml_variables(),
    )
        .prop_map(|(tags, annotations, tolerations, account, config_map, more, yaml)| {
            let (map, path) = config_map.map(|(map, path)| (Some(map), path)).unwrap_or_default();
            [
                (workspace::NODE_SELECTOR_TAGS.name(), tags),
                (workspace::ANNOTATIONS.name(), annotations),
                (workspace::TOLERATIONS.name(), tolerations),
                (workspace::SERVICE_ACCOUNT.name(), account),
                (workspace::CONFIG_MAP_NAME.name(), map),
                (workspace::CONFIG_MAP_MOUNT_PATH.name(), path),
            ]
            .into_iter()
            .chain(more)
            .chain(yaml)
            .filter_map(|(name, value)| Some((name.to_owned(), value?)))
            .collect()
        })
}

/// The variables with little to get wrong between them. Labels begin with `x`, so that none is ours.
fn more_variables() -> impl Strategy<Value = Vec<(&'static str, Option<String>)>> {
    let amount = prop::option::of((1_u32..1000).prop_map(|number| format!("{number}Mi")));
    (
        prop::option::of((LABEL, LABEL).prop_map(|(key, value)| format!("x{key}={value}"))),
        prop::option::of(LABEL.prop_map(|key| format!("{key}=any text"))),
        prop::option::of((NAME, NAME).prop_map(|(left, right)| format!("{left},{right}"))),
        prop::option::of("[A-Z]{1,4}=[a-z$()]{0,8}"),
        amount,
        prop::option::of(
            prop::sample::select(&["readOnlyRootFilesystem=true", "addCapabilities=CHOWN"])
                .prop_map(str::to_owned),
        ),
        prop::option::of((1..=i32::MAX).prop_map(|user| {
            format!("runAsUser={user};supplementalGroups=7,{user};seccompProfile=Localhost/a")
        })),
        prop::option::of(NAME),
        pod_variables(),
    )
        .prop_map(
            |(labels, annotations, config_maps, env, memory, security, pod_security, claim, pod)| {
                let mut all = vec![
                    (workspace::LABELS.name(), labels),
                    (workspace::POD_ANNOTATIONS.name(), annotations),
                    (workspace::ENVFROM_CONFIG_MAP.name(), config_maps),
                    (workspace::JOB_ENV_VARS.name(), env),
                    (workspace::MEMORY_LIMIT.name(), memory),
                    (workspace::SECURITY_CONTEXT.name(), security),
                    (workspace::POD_SECURITY_CONTEXT.name(), pod_security),
                    (workspace::PVC_CLAIM_NAME.name(), claim),
                ];
                all.extend(pod);
                all
            },
        )
}

fn pod_variables() -> impl Strategy<Value = Vec<(&'static str, Option<String>)>> {
    let names = (NAME, NAME).prop_map(|(left, right)| format!("{left},{right}"));
    let policy = prop::sample::select(&["Always", "IfNotPresent", "Never"]).prop_map(str::to_owned);
    (
        prop::option::of((NAME, LABEL).prop_map(|(path, tag)| format!("registry.example.com/{path}:{tag}"))),
        prop::option::of(policy),
        prop::option::of(names),
        prop::option::of(NAME),
        prop::option::of(NAME),
        prop::option::of(
            (any::<Ipv4Addr>(), NAME, NAME).prop_map(|(ip, one, two)| format!("{ip}={one},{two}")),
        ),
        prop::option::of((1..=i32::MAX).prop_map(|seconds| seconds.to_string())),
        prop::option::of((0..1000, 1..60).prop_map(|(hours, seconds)| format!("{hours}h{seconds}s"))),
        prop::option::of((0..=i32::MAX).prop_map(|seconds| format!("{seconds}s"))),
    )
        .prop_map(|(image, policy, secrets, priority, runtime, aliases, deadline, grace_period, ttl)| {
            vec![
                (workspace::IMAGE.name(), image),
                (workspace::IMAGE_PULL_POLICY.name(), policy),
                (workspace::IMAGE_PULL_SECRETS.name(), secrets),
                (workspace::PRIORITY_CLASS.name(), priority),
                (workspace::RUNTIME_CLASS.name(), runtime),
                (workspace::HOST_ALIASES.name(), aliases),
                (workspace::DEADLINE.name(), deadline),
                (workspace::GRACE_PERIOD.name(), grace_period),
                (workspace::TTL.name(), ttl),
            ]
        })
}

/// The variables whose value is YAML.
fn yaml_variables() -> impl Strategy<Value = Vec<(&'static str, Option<String>)>> {
    let affinity = (LABEL, 1..=100, prop::collection::vec(LABEL, 1..3)).prop_map(|(key, weight, values)| {
        json!({"nodeAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": [
            {"weight": weight, "preference": {"matchExpressions": [{"key": key, "operator": "In", "values": values}]}},
        ]}})
    });
    let spread = (LABEL, 1..i32::MAX).prop_map(
        |(key, skew)| json!([{"maxSkew": skew, "topologyKey": key, "whenUnsatisfiable": "ScheduleAnyway"}]),
    );
    let containers = |prefix: &'static str| {
        prop::collection::vec((NAME, "[a-z]{1,8}", any::<bool>()), 0..3).prop_map(move |containers| {
            let container = |(index, (name, value, with_context)): (usize, &(String, String, bool))| {
                let mut container = json!({"name": format!("{prefix}{index}-{name}"), "image": "a/b:1",
                    "env": [{"name": "A", "value": value}], "volumeMounts": []});
                if *with_context {
                    container["securityContext"] = json!({"runAsUser": 7});
                }
                container
            };
            Value::from(containers.iter().enumerate().map(container).collect::<Vec<_>>())
        })
    };
    let volumes = prop::collection::vec((NAME, "/M[a-z/]{0,8}"), 0..3);
    (
        prop::option::of(affinity),
        prop::option::of(spread),
        prop::option::of(containers("i")),
        prop::option::of(containers("s")),
        volumes,
        prop::option::of(patch()),
    )
        .prop_map(|(affinity, spread, init_containers, sidecars, volumes, patch)| {
            let volume = |(index, (name, _)): (usize, &(String, String))| {
                json!({"name": format!("v{index}-{name}"), "emptyDir": {}})
            };
            let mount = |(index, (name, path)): (usize, &(String, String))| {
                json!({"name": format!("v{index}-{name}"), "mountPath": format!("/M{index}{path}")})
            };
            let mounts: Vec<Value> = volumes.iter().enumerate().map(mount).collect();
            let volumes: Vec<Value> = volumes.iter().enumerate().map(volume).collect();
            [
                (workspace::AFFINITY.name(), affinity),
                (workspace::TOPOLOGY_SPREAD.name(), spread),
                (workspace::INIT_CONTAINERS.name(), init_containers),
                (workspace::SIDECARS.name(), sidecars),
                (workspace::VOLUMES.name(), Some(volumes.into())),
                (workspace::VOLUME_MOUNTS.name(), Some(mounts.into())),
                (workspace::POD_PATCH.name(), patch),
            ]
            .into_iter()
            .map(|(key, value)| (key, value.map(|value| value.to_string())))
            .collect()
        })
}

fn patch() -> impl Strategy<Value = Value> {
    let merged = (NAME, 1..9).prop_map(|(hostname, count)| {
        let resources = json!({"limits": {"example.com/device": count}});
        json!({"spec": {"hostname": hostname, "containers": [{"name": "executor", "resources": resources}]}})
    });
    let operations = NAME.prop_map(|hostname| {
        json!([
            {"op": "add", "path": "/spec/hostname", "value": hostname},
            {"op": "remove", "path": "/spec/enableServiceLinks"},
        ])
    });
    prop_oneof![merged, operations]
}

pub(crate) fn payload_of(key: &AttemptKey, secret: &str) -> EphemeralJobData {
    let mut payload = EphemeralJobData::new(StepType::TerraformApply, key, "step");
    payload.access_token = Some(secret.to_owned());
    payload
}

pub(crate) fn plan_of(
    key: &AttemptKey,
    workspace: &BTreeMap<String, String>,
    payload: &EphemeralJobData,
    token: &str,
) -> JobPlan {
    let (settings, policy) = (EphemeralSettings::default(), Policy::permissive());
    let variables = workspace.clone().into_iter().collect();
    let access = AttemptAccess::new("https://api.example.com/a", token);
    Planner::new(&settings, &policy).plan(&variables, payload, key, access).unwrap()
}
