//! The settings of the platform from `JAVA_TOOL_OPTIONS` and from the rest of the environment.

use config_core::{EnvSnapshot, EphemeralSettings, Origin, SourceName, keys, kubernetes::Rule};

use crate::{Target, checks, java_options::quoted, lines, owned, text_of};

pub(crate) const PROPERTIES: Target = Target {
    name: "properties",
    longest: 128,
    about: "settings in JAVA_TOOL_OPTIONS satisfy their rules, \
        and the options that won give the same settings alone",
    seeds: || {
        owned(&[
            "-Dorg.terrakube.executor.ephemeral.nodeSelector.diskType=ssd \
             -Dio.terrakube.executor.ephemeral.image=a:b",
            "-Dio.terrakube.executor.ephemeral.nodeSelector[kubernetes.io/os]=linux \
             -DExecutorEphemeralSecret=a,b",
            "-Dio.TERRA-KUBE.executor.ephemeral.node-selector.[a].b-c_d= -DExecutorEphemeralNamespace='x'",
            "-Dio.terrakube.executor.ephemeral.payloadDelivery=secret,env \
             -Dio.terrakube.executor.ephemeral.imgae=x",
            "-Dio.terrakube.executor.ephemeral.nodeSelector[a[b]=c \
             -Dexecutorephemeralx -Dorg[terrakube].executor",
        ])
    },
    run: |data| load(&[(keys::JAVA_TOOL_OPTIONS.to_owned(), text_of(data).into_owned())]),
};

pub(crate) const ENVIRONMENT: Target = Target {
    name: "environment",
    longest: 128,
    about: "settings in the environment satisfy their rules, and the variables that \
        won give the same settings alone",
    seeds: || {
        owned(&[
            "ExecutorEphemeralNamespace=a\nExecutorEphemeralImage=b/c:d\nEXECUTOREPHEMERALSECRET=x,y",
            "IO_TERRAKUBE_EXECUTOR_EPHEMERAL_NODESELECTOR_DISK_TYPE=ssd\nIO_TERRAKUBE_EXECUTOR_EPHEMERAL_IMAGE=a@b",
            "ORG_TERRAKUBE_EXECUTOR_EPHEMERAL_NAMESPACE=x\nExecutorEphemeralImgae=y\nPATH=/bin",
            "SPRING_APPLICATION_JSON={\"io.terrakube.executor.ephemeral\":{\"image\":\"a\",\"nodeSelector\":{\"a.b/c\":1}}}",
            "_JAVA_OPTIONS=-DExecutorEphemeralImage=a\nJAVA_TOOL_OPTIONS=-DExecutorEphemeralImage=b",
            "ExecutorEphemeralPayloadDelivery=claim\nJAVA_TOOL_OPTIONS=-DExecutorEphemeralImage='b c'",
        ])
    },
    run: |data| load(&lines::pairs(&text_of(data))),
};

fn load(pairs: &[(String, String)]) {
    let environment: EnvSnapshot = pairs.iter().cloned().collect();
    match EphemeralSettings::load(&environment) {
        Ok(settings) => {
            check(&settings);
            let winners = winners(&settings);
            assert_eq!(EphemeralSettings::load(&winners).as_ref(), Ok(&settings), "{winners:?}");
        }
        Err(problems) => checks::problems(&problems),
    }
}

/// What `load` accepts satisfies the rules of Kubernetes.
pub(crate) fn check(settings: &EphemeralSettings) {
    checks::rule(Rule::DnsLabel, settings.namespace.value.as_str());
    checks::rule(Rule::ContainerImage, settings.image.value.as_str());
    settings.secrets.value.iter().for_each(|name| checks::rule(Rule::DnsSubdomain, name.as_str()));
    for (key, value) in &settings.node_selector {
        checks::rule(Rule::LabelKey, key.as_str());
        checks::rule(Rule::LabelValue, value.value.as_str());
    }
}

/// The variables and options that decided something, and nothing else.
fn winners(settings: &EphemeralSettings) -> EnvSnapshot {
    let secrets = settings.secrets.value.to_string();
    let delivery = settings.payload_delivery.value.to_string();
    let single = [
        (&settings.namespace.origin, settings.namespace.value.as_str()),
        (&settings.image.origin, settings.image.value.as_str()),
        (&settings.secrets.origin, secrets.as_str()),
        (&settings.payload_delivery.origin, delivery.as_str()),
    ];
    let labels = settings.node_selector.values().map(|found| (&found.origin, found.value.as_str()));
    let all: Vec<(&Origin, &str)> = single.into_iter().chain(labels).collect();
    let of_source =
        |source: SourceName| all.iter().filter(move |(origin, _)| origin.source == source).copied();
    let options = |source| {
        let option = |(origin, value): (&Origin, &str)| quoted(&format!("-D{}={value}", origin.key));
        of_source(source).map(option).collect::<Vec<_>>().join(" ")
    };
    let json = of_source(SourceName::SpringApplicationJson)
        .map(|(origin, value)| (origin.key.clone(), value.into()))
        .collect::<serde_json::Map<_, _>>();
    let variables =
        of_source(SourceName::Environment).map(|(origin, value)| (origin.key.clone(), value.to_owned()));
    let named = [
        (keys::JAVA_TOOL_OPTIONS.to_owned(), options(SourceName::JavaToolOptions)),
        (keys::JAVA_OPTIONS.to_owned(), options(SourceName::JavaOptions)),
        (keys::SPRING_APPLICATION_JSON.to_owned(), serde_json::Value::from(json).to_string()),
    ];
    variables.chain(named).collect()
}
