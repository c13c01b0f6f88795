//! What a cloud and a state hold, and what terraform does between them.

use std::collections::BTreeSet;

/// How many resources the configuration of a workspace has.
pub(super) const RESOURCES: u32 = 2;

/// A resource that exists in the cloud. Each creation is a new one.
pub(super) type ResourceId = u32;

/// A plan file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Plan {
    /// Stands for the SHA-256 of the file.
    pub(super) digest: u32,
    /// The version of the state that it was made from; 0 is no state.
    pub(super) base: u32,
    /// The slots of resources that it creates.
    pub(super) creates: Vec<u32>,
}

/// A version of a state.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct State {
    /// Number of the version in its workspace, from 1.
    pub(super) version: u32,
    pub(super) serial: u32,
    /// The resources by their slot.
    pub(super) resources: Vec<(u32, ResourceId)>,
}

impl State {
    /// Plans the creation of what is missing.
    pub(super) fn plan(&self, digest: u32) -> Plan {
        let there: BTreeSet<u32> = self.resources.iter().map(|(slot, _)| *slot).collect();
        let creates = (0..RESOURCES).filter(|slot| !there.contains(slot)).collect();
        Plan { digest, base: self.version, creates }
    }

    pub(super) fn has(&self, id: ResourceId) -> bool {
        self.resources.iter().any(|(_, resource)| *resource == id)
    }
}

/// One creation, as the cloud remembers it.
#[derive(Debug, Clone)]
pub(super) struct Creation {
    pub(super) id: ResourceId,
    pub(super) workspace: usize,
    pub(super) job: i64,
    pub(super) plan: u32,
    pub(super) slot: u32,
}

/// The books of the cloud.
#[derive(Debug, Clone, Default)]
pub(super) struct Cloud {
    pub(super) creations: Vec<Creation>,
}

impl Cloud {
    /// Creates a resource.
    pub(super) fn create(&mut self, workspace: usize, job: i64, plan: u32, slot: u32) -> ResourceId {
        let id = u32::try_from(self.creations.len()).unwrap_or(u32::MAX) + 1;
        self.creations.push(Creation { id, workspace, job, plan, slot });
        id
    }
}
