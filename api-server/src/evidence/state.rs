//! What a saved state shows.

use std::collections::HashMap;

use serde::Deserialize;
use serde_json::Value;

use super::address;

/// The resource instances of a state.
#[derive(Debug, Default)]
pub struct SavedState {
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
        Ok(Self { instances })
    }

    /// Returns the ids of the objects at an address; `None` if the state has none there.
    pub(super) fn ids(&self, address: &str) -> Option<&[Option<String>]> {
        self.instances.get(address).map(Vec::as_slice)
    }
}
