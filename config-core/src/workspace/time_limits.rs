//! Deadline, grace period and time to live of the Kubernetes Job.

use crate::{
    WorkspaceOverrides,
    setting::{Setting, value, variables},
    value::{SECONDS, SECONDS_AT_LEAST_1, Seconds, positive_seconds},
};

variables! {
    TIME_LIMITS_GROUP;

    /// How long the Kubernetes Job may take before its pod is stopped, waiting for a node and an image
    /// included. The default is that of Terrakube.
    DEADLINE: Seconds = |text| positive_seconds(text, "with 0 the step would be over \
        before it starts"), Setting {
        grammar: SECONDS_AT_LEAST_1,
        default: Some("6h"),
        example: "1h30m",
        sets: &["spec.activeDeadlineSeconds"],
        ..Setting::workspace("EPHEMERAL_CONFIG_DEADLINE")
    };

    /// How long the pod has from the signal to stop to the kill: terraform finishes what it has begun and
    /// saves its state. An apply that is killed before that leaves an unknown state.
    GRACE_PERIOD: Seconds = |text| positive_seconds(text, "with 0 the executor would \
        be killed before it can save the state"),
    Setting {
        grammar: SECONDS_AT_LEAST_1,
        default: Some("5m"),
        example: "10m",
        sets: &["spec.template.spec.terminationGracePeriodSeconds"],
        ..Setting::workspace("EPHEMERAL_CONFIG_GRACE_PERIOD")
    };

    /// How long the Kubernetes Job stays in the cluster after its end; with 0 it is deleted at once. The
    /// default is long enough for a server that was down to see the end,
    /// and short enough that payloads do not stay in the cluster.
    TTL: Seconds = value, Setting {
        grammar: SECONDS,
        default: Some("1h"),
        example: "15m",
        sets: &["spec.ttlSecondsAfterFinished"],
        ..Setting::workspace("EPHEMERAL_CONFIG_TTL")
    };
}

impl WorkspaceOverrides {
    /// Returns the time from the start of the Kubernetes Job to the signal to stop.
    #[must_use]
    pub fn deadline(&self) -> Seconds {
        self.get_or_default(&DEADLINE)
    }

    /// Returns the time from the signal to stop to the kill.
    #[must_use]
    pub fn grace_period(&self) -> Seconds {
        self.get_or_default(&GRACE_PERIOD)
    }

    /// Returns the time from the end of the Kubernetes Job to its deletion.
    #[must_use]
    pub fn ttl(&self) -> Seconds {
        self.get_or_default(&TTL)
    }
}
