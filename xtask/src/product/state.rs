//! What the state of a workspace holds, as Terraform's http backend would get it.

use anyhow::Context as _;
use serde_json::Value;

use super::api::Api;

/// A state, as far as it is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct State {
    pub(crate) serial: u64,
    /// How many instances of resources it holds.
    pub(crate) resources: usize,
}

impl std::fmt::Display for State {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "serial {}, {} resources", self.serial, self.resources)
    }
}

/// Reads the state of a workspace.
pub(crate) fn read(api: &Api, workspace: &str) -> anyhow::Result<State> {
    let text = api.text(&path(workspace))?;
    let state: Value = serde_json::from_str(&text).context("the state is no JSON")?;
    let instances = state["resources"].as_array().into_iter().flatten();
    let instances = instances.map(|resource| resource["instances"].as_array().map_or(0, Vec::len));
    let serial = state["serial"].as_u64().context("the state has no serial")?;
    Ok(State { serial, resources: instances.sum() })
}

/// Returns where the state of a workspace is.
pub(crate) fn path(workspace: &str) -> String {
    format!("/state/v1/workspaces/{workspace}")
}
