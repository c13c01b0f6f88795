//! The Terraform state of a workspace, as the `http` backend of Terraform gets it.

use anyhow::Context as _;
use api_server::client::Client;
use serde_json::Value;

/// A state, as far as it is checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct State {
    serial: u64,
    /// The number of resource instances.
    pub(crate) resources: usize,
}

impl std::fmt::Display for State {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "serial {}, {} resources", self.serial, self.resources)
    }
}

/// Reads the state of a workspace.
pub(crate) async fn read(client: &Client, workspace: &str) -> anyhow::Result<State> {
    let state: Value = client.get(&path(workspace)).await?;
    let instances = state["resources"].as_array().into_iter().flatten();
    let instances = instances.map(|resource| resource["instances"].as_array().map_or(0, Vec::len));
    let serial = state["serial"].as_u64().context("the state has no serial")?;
    Ok(State { serial, resources: instances.sum() })
}

/// Returns the path of the state of a workspace.
pub(crate) fn path(workspace: &str) -> String {
    format!("/state/v1/workspaces/{workspace}")
}
