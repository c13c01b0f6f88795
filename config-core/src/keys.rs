//! Names that are not settings of a platform or a workspace: sources, prefixes, inputs of an executor.

/// Environment variable from which a JVM reads options; its `-D` options are settings here.
pub const JAVA_TOOL_OPTIONS: &str = "JAVA_TOOL_OPTIONS";
/// The same for `HotSpot` alone; its options are stronger.
pub const JAVA_OPTIONS: &str = "_JAVA_OPTIONS";
/// Environment variable with properties as JSON, stronger than all options.
pub const SPRING_APPLICATION_JSON: &str = "SPRING_APPLICATION_JSON";

/// Prefix of the properties since Terrakube 2.27.
pub const PROPERTY_PREFIX: &str = "io.terrakube.executor.ephemeral.";
/// Older prefix of the same properties; the newer one wins where both name a setting.
pub const OLD_PROPERTY_PREFIX: &str = "org.terrakube.executor.ephemeral.";

/// Prefix of all workspace variables that shape the Kubernetes Job.
pub const EPHEMERAL_PREFIX: &str = "EPHEMERAL_";
/// Name that the plugin cache's claim has by the documentation of Terrakube;
/// it is mounted only where a workspace names it.
pub const USUAL_PVC_CLAIM_NAME: &str = "terrakube-plugin-pvc";

/// Executor input: `true` makes the program run one attempt and exit.
pub const EPHEMERAL_FLAG_BATCH: &str = "EphemeralFlagBatch";
/// Executor input: the payload, base64 of JSON.
pub const EPHEMERAL_JOB_DATA: &str = "EphemeralJobData";
/// Executor input: address of its attempt at the api-server, without a slash at the end.
pub const EPHEMERAL_ATTEMPT_URL: &str = "EphemeralAttemptUrl";
/// Executor input: the attempt's token.
pub const EPHEMERAL_ATTEMPT_TOKEN: &str = "EphemeralAttemptToken";
/// Executor input: seconds between the signal to stop and KILL.
pub const EPHEMERAL_GRACE_PERIOD: &str = "EphemeralGracePeriodSeconds";
/// Executor input: the file for the termination message.
pub const EPHEMERAL_TERMINATION_LOG: &str = "EphemeralTerminationLog";
