//! What a saved state shows.

use std::collections::HashMap;

use serde::Deserialize;
use serde_json::Value;

use super::address;

/// The resource instances of a state.
#[derive(Debug, Default)]
pub struct SavedState {
    lineage: String,
    serial: u64,
    /// Ids by address: more than one where an object is deposed.
    instances: HashMap<String, Vec<Option<String>>>,
}

/// Why a state cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SavedStateError {
    /// OpenTofu encrypted it.
    #[error("the state is encrypted by OpenTofu, so this server cannot compare it with the log")]
    Encrypted,
    /// It is not a state of version 4.
    #[error("the state is not JSON of version 4, so this server cannot compare it with the log")]
    Malformed,
}

#[derive(Deserialize)]
struct Root {
    #[serde(default)]
    version: Option<u64>,
    #[serde(default)]
    encrypted_data: Option<Value>,
    #[serde(default)]
    lineage: String,
    #[serde(default)]
    serial: u64,
    #[serde(default)]
    resources: Vec<Resource>,
}

#[derive(Deserialize)]
struct Resource {
    #[serde(default)]
    module: Option<String>,
    mode: String,
    #[serde(rename = "type")]
    kind: String,
    name: String,
    #[serde(default)]
    instances: Vec<Instance>,
}

#[derive(Deserialize)]
struct Instance {
    #[serde(default)]
    index_key: Value,
    #[serde(default)]
    attributes: Value,
}

impl SavedState {
    /// Parses a state.
    ///
    /// # Errors
    /// [`SavedStateError`] when it is encrypted or of another version.
    pub fn parse(text: &[u8]) -> Result<Self, SavedStateError> {
        let root: Root = serde_json::from_slice(text).map_err(|_| SavedStateError::Malformed)?;
        if root.encrypted_data.is_some() {
            return Err(SavedStateError::Encrypted);
        }
        if root.version != Some(4) {
            return Err(SavedStateError::Malformed);
        }
        let mut instances: HashMap<String, Vec<Option<String>>> = HashMap::new();
        for resource in root.resources.iter().filter(|resource| resource.mode == "managed") {
            let Resource { module, kind, name, .. } = resource;
            for instance in &resource.instances {
                let address = address::of_instance(module.as_deref(), kind, name, &instance.index_key);
                let Some(address) = address else { continue };
                let id = instance.attributes["id"].as_str().map(str::to_owned);
                instances.entry(address).or_default().push(id);
            }
        }
        Ok(Self { lineage: root.lineage, serial: root.serial, instances })
    }

    /// Returns the ids of the objects at an address; `None` if the state has none there.
    pub(super) fn ids(&self, address: &str) -> Option<&[Option<String>]> {
        self.instances.get(address).map(Vec::as_slice)
    }

    /// Returns every object that has an id, with its address, in the order of the addresses.
    pub(super) fn objects(&self) -> Vec<(&str, &str)> {
        let mut objects: Vec<_> = self
            .instances
            .iter()
            .flat_map(|(address, ids)| ids.iter().flatten().map(|id| (address.as_str(), id.as_str())))
            .collect();
        objects.sort_unstable();
        objects
    }

    /// Returns whether this is another state or one that came after it.
    pub(super) fn includes(&self, other: &Self) -> bool {
        self.lineage == other.lineage && self.serial >= other.serial
    }

    /// Returns whether this state could be stored as the version after another one.
    pub(super) fn follows(&self, other: Option<&Self>) -> bool {
        other.is_none_or(|other| self.lineage == other.lineage && self.serial > other.serial)
    }
}
