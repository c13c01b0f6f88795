//! The settings of the platform operator, one descriptor each.
//!
//! [`EphemeralSettings`](crate::EphemeralSettings) holds their values.

use crate::{
    names::{Image, Namespace, SecretName},
    setting::{Items, OldName, Setting, value, variables},
    value::{COUNT, Count, Deliveries, NameList, SECONDS_AT_LEAST_1, Seconds, positive_seconds},
};

variables! {
    ALL;

    /// The namespace in which Kubernetes Jobs are created.
    NAMESPACE: Namespace = value, Setting {
        property: Some("namespace"),
        grammar: "DNS label",
        default: Some("terrakube"),
        example: "terraform-runs",
        ..Setting::platform("ExecutorEphemeralNamespace")
    };

    /// The container image of the executor.
    IMAGE: Image = value, Setting {
        property: Some("image"),
        grammar: "`[registry/]path[:tag][@digest]`",
        default: Some("azbuilder/executor:2.22.0"),
        example: "azbuilder/executor:2.27.2",
        replaced_by: Some("EPHEMERAL_CONFIG_IMAGE"),
        ..Setting::platform("ExecutorEphemeralImage")
    };

    /// The Secrets whose entries become environment variables of the executor. Of two entries with one name,
    /// that of the later Secret is used.
    SECRET: NameList<SecretName> = value, Setting {
        property: Some("secret"),
        grammar: "DNS subdomains separated by `,`",
        default: Some("terrakube-executor-secrets"),
        example: "executor-secrets,cloud-credentials",
        items: Items::SeparatedBy(','),
        ..Setting::platform("ExecutorEphemeralSecret")
    };

    /// How the payload gets to the executor: in the Kubernetes Job itself, in a Secret that belongs to it
    /// (the api-server needs the right to create Secrets), or over the network when the executor claims its
    /// attempt (only executors of this project can do that). An environment variable holds at most 131,054
    /// bytes of it, also when it comes from a Secret. Where it is not set, the api-server uses `env,claim`.
    PAYLOAD_DELIVERY: Deliveries = value, Setting {
        property: Some("payloadDelivery"),
        grammar: "`env`, `secret`, `claim`, or several of them separated by `,`, of which the first that can \
                  carry the payload is used",
        default: Some("env"),
        example: "env,claim",
        items: Items::SeparatedBy(','),
        ..Setting::platform("ExecutorEphemeralPayloadDelivery")
    };

    /// How long an executor may wait for one and the same thing before it starts: an image, room on a node, a
    /// Secret. After that its step fails with the reason. Nothing has run then, so the job can be started
    /// again. The option `--pod-start-timeout` of the api-server wins over this setting.
    POD_START_TIMEOUT: Seconds = |text| positive_seconds(text, "with 0 no executor could start"), Setting {
        property: Some("podStartTimeout"),
        old_name: Some(OldName { name: "PodStartPatience", property: "podStartPatience", until: "0.2.0" }),
        grammar: SECONDS_AT_LEAST_1,
        default: Some("10m"),
        example: "20m",
        ..Setting::platform("PodStartTimeout")
    };

    /// How many steps the server runs at a time; 0 is no limit. A step counts from the creation of its
    /// Kubernetes Job to its end. The others wait: steps that change infrastructure are started before plans,
    /// and the organization with the fewest running steps comes first.
    MAX_RUNNING_STEPS: Count = value, Setting {
        property: Some("maxRunningSteps"),
        grammar: COUNT,
        default: Some("0"),
        example: "50",
        ..Setting::platform("MaxRunningSteps")
    };

    /// How many steps of one organization the server runs at a time; 0 is no limit.
    MAX_RUNNING_STEPS_PER_ORGANIZATION: Count = value, Setting {
        property: Some("maxRunningStepsPerOrganization"),
        grammar: COUNT,
        default: Some("0"),
        example: "10",
        ..Setting::platform("MaxRunningStepsPerOrganization")
    };

    /// How often a plan is repeated whose executor had begun and was then lost to the cluster: its node was
    /// lost, or its pod was evicted, preempted or disrupted. 0 repeats none. An apply or destroy that had
    /// begun is never repeated, and an attempt that had not begun is repeated anyway.
    PLAN_RETRIES: Count = value, Setting {
        property: Some("planRetries"),
        grammar: COUNT,
        default: Some("1"),
        example: "2",
        ..Setting::platform("PlanRetries")
    };

    /// How long an executor that runs may be silent before its job says that contact is lost. Terraform may
    /// run on meanwhile, so its step ends only when the cluster reports the end of the pod, or when an
    /// administrator confirms it. Executors call eight times in this time, and at least every 15 seconds.
    LOST_CONTACT_TIMEOUT: Seconds = |text| positive_seconds(text, "with 0 contact \
        would always be lost"), Setting {
        property: Some("lostContactTimeout"),
        grammar: SECONDS_AT_LEAST_1,
        default: Some("2m"),
        example: "5m",
        ..Setting::platform("LostContactTimeout")
    };

    /// How long the local backend keeps the folder of a Kubernetes Job that has ended, with its output.
    LOCAL_JOB_RETENTION: Seconds = |text| positive_seconds(text, "with 0 no end could be read"), Setting {
        property: Some("localJobRetention"),
        grammar: SECONDS_AT_LEAST_1,
        default: Some("168h"),
        example: "24h",
        ..Setting::platform("LocalJobRetention")
    };
}

/// The labels that the node of an executor must have.
pub static NODE_SELECTOR: Setting = Setting {
    also: &[
        "-Dio.terrakube.executor.ephemeral.nodeSelector[<label key>]",
        "-Dorg.terrakube.executor.ephemeral.nodeSelector.<label key>",
        "-Dorg.terrakube.executor.ephemeral.nodeSelector[<label key>]",
        "IO_TERRAKUBE_EXECUTOR_EPHEMERAL_NODESELECTOR_<LABEL_KEY>",
    ],
    grammar: "label value; a label key with `/` needs brackets; \
        the environment form gives a key in lower case",
    example: "-Dio.terrakube.executor.ephemeral.nodeSelector.diskType=ssd",
    replaced_by: Some("EPHEMERAL_CONFIG_NODE_SELECTOR_TAGS"),
    summary: "A label that the node of an executor must have, \
        for workspaces that set no node selector themselves.",
    ..Setting::platform("-Dio.terrakube.executor.ephemeral.nodeSelector.<label key>")
};

/// Property of the node selector below either prefix; a label key follows, after a dot or in brackets.
pub(crate) const NODE_SELECTOR_PROPERTY: &str = "nodeSelector";

/// Iterates over the settings that have one value, which are all but [`NODE_SELECTOR`].
pub(crate) fn settings() -> impl Iterator<Item = &'static Setting> + Clone {
    ALL.iter().map(|variable| variable.setting())
}

/// The properties below either prefix, as they are spelled in documentation.
pub(crate) fn properties() -> impl Iterator<Item = &'static str> + Clone {
    settings().filter_map(|setting| setting.property).chain([NODE_SELECTOR_PROPERTY])
}
