//! `cargo xtask manifests`: the objects that run the api-server in a cluster, as YAML.
//!
//! The only source of `deploy/`: `cargo xtask deploy` applies these objects, the kustomize base is generated
//! from them, and a test compares them with the rendered Helm chart. No cluster is involved. One file per
//! kind of object: [`access`] (namespace, account, roles), [`server`], [`network`], [`policy`], [`secrets`].

mod access;
mod kustomize;
mod network;
mod policy;
pub(crate) mod secrets;
mod server;
mod settings;
pub(crate) mod yaml;

use serde_json::{Value, json};

pub(crate) use self::{kustomize::write as write_kustomize, settings::Settings};
use crate::shell;

/// Name of the Deployment and of everything else that belongs to the api-server alone.
pub(crate) const SERVER: &str = "ephemeral-agents-api";

/// Returns the objects, in the order in which they can be applied.
///
/// The Secrets have no entries: `deploy` creates their values at the first deployment.
pub(crate) fn objects(settings: &Settings) -> Vec<Value> {
    let mut objects = vec![access::namespace(settings), access::service_account(settings)];
    objects.extend([access::role(settings), access::role_binding(settings)]);
    if settings.extended_role {
        objects.extend(access::extended(settings));
    }
    objects.extend([secrets::executors(settings), secrets::server(settings)]);
    objects.push(policy::config_map(settings));
    objects.extend(server::claim(settings));
    objects.extend([server::service(settings), server::deployment(settings)]);
    objects.push(server::disruption_budget(settings));
    objects.extend(network::policies(settings));
    objects
}

/// Returns the extended role, which `--extended-role` adds and a deployment without it deletes.
pub(crate) fn optional_objects(settings: &Settings) -> Vec<Value> {
    access::extended(settings).into()
}

/// Returns kind and name for `kubectl`: `role/terrakube-api-role`.
pub(crate) fn reference(object: &Value) -> String {
    let text = |pointer| object.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
    format!("{}/{}", text("/kind").to_lowercase(), text("/metadata/name"))
}

/// Returns the metadata of an object in the namespace.
fn metadata(settings: &Settings, name: &str) -> Value {
    json!({ "name": name, "namespace": settings.namespace, "labels": labels() })
}

/// Returns the labels of the objects.
///
/// Not `app.kubernetes.io/managed-by`, which selects the Kubernetes Jobs and pods of executors.
fn labels() -> Value {
    json!({ "app.kubernetes.io/name": SERVER, "app.kubernetes.io/part-of": "ephemeral-agents" })
}

/// Prints the objects.
pub(crate) fn run(settings: &Settings) -> anyhow::Result<()> {
    settings.check()?;
    shell::line(yaml::documents(HEAD, &objects(settings))?.trim_end());
    Ok(())
}

const HEAD: &str = "\
Objects that run the api-server of Ephemeral Agents. Secret ephemeral-agents-api has no entries; \
create them before
the first start (docs/deploy.md), or use `cargo xtask deploy` or the Helm chart.";

#[cfg(test)]
mod tests;
