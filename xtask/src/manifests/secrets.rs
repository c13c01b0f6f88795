//! The Secrets: that of the executors, which operators fill, and that of the api-server,
//! whose entries are created once.

use serde_json::{Value, json};

use super::{SERVER, Settings, metadata, settings::EXECUTOR_SECRET};

/// Entry: the key for encryption at rest, 32 bytes in base64.
pub(crate) const ENCRYPTION_KEY: &str = "encryption-key";
/// Entry: the administrator's token.
pub(crate) const ADMIN_TOKEN: &str = "admin-token";

/// Its entries become environment variables of every executor, so it must not contain secrets of the server.
pub(super) fn executors(settings: &Settings) -> Value {
    secret(settings, EXECUTOR_SECRET)
}

/// Contains [`ENCRYPTION_KEY`] and [`ADMIN_TOKEN`].
pub(super) fn server(settings: &Settings) -> Value {
    secret(settings, SERVER)
}

fn secret(settings: &Settings, name: &str) -> Value {
    json!({ "apiVersion": "v1", "kind": "Secret", "type": "Opaque", "metadata": metadata(settings, name) })
}
