//! The policy of the api-server, as a `ConfigMap`.

use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::{SERVER, Settings, metadata};

/// The key of the `ConfigMap`, and the name of the mounted file.
pub(super) const FILE: &str = "policy.toml";
/// Where the file is mounted.
pub(super) const FOLDER: &str = "/policy";
/// Annotation of the pod with a hash of the policy: the server reads it once, so a change must restart it.
pub(super) const HASH: &str = "ephemeral-agents.dev/policy-hash";

/// The policy of a deployment without `--policy`; the chart has the same.
pub(super) const DEFAULT: &str = include_str!("../../../deploy/chart/policy.toml");

pub(super) fn config_map(settings: &Settings) -> Value {
    json!({
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": metadata(settings, SERVER),
        "data": { FILE: settings.policy },
    })
}

/// Returns the start of the SHA-256 hash of the policy, in hexadecimal digits.
pub(super) fn hash(settings: &Settings) -> String {
    let digest = Sha256::digest(&settings.policy);
    let start = digest.iter().take(8).fold(0_u64, |start, byte| start << 8 | u64::from(*byte));
    format!("{start:016x}")
}
