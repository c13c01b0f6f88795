//! What a cloud and a state hold, and what terraform does between them.

use super::records::Writer;

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
    pub(super) base: i64,
    /// What it does.
    pub(super) changes: Vec<Change>,
}

/// One change of a plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Change {
    /// The place of the resource in the configuration.
    pub(super) slot: u32,
    /// A resource is created, in place of the one that is there; otherwise that one is removed.
    pub(super) creates: bool,
}

/// A version of a state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct State {
    /// Id of the version, over all workspaces; 0 is no state.
    pub(super) version: i64,
    pub(super) lineage: u32,
    pub(super) serial: i64,
    /// The resources by their slot.
    pub(super) resources: Vec<(u32, ResourceId)>,
    /// Who has written the version.
    pub(super) writer: Option<Writer>,
    /// The version that the writer has read or written before.
    pub(super) base: i64,
}

impl State {
    /// No state.
    pub(super) const NONE: Self =
        Self { version: 0, lineage: 0, serial: 0, resources: Vec::new(), writer: None, base: 0 };

    /// Plans what makes the configuration real: everything is replaced.
    pub(super) fn plan(&self, digest: u32) -> Plan {
        let changes = (0..RESOURCES).map(|slot| Change { slot, creates: true }).collect();
        Plan { digest, base: self.version, changes }
    }

    /// Plans the removal of everything.
    pub(super) fn plan_destroy(&self, digest: u32) -> Plan {
        let changes = self.resources.iter().map(|(slot, _)| Change { slot: *slot, creates: false }).collect();
        Plan { digest, base: self.version, changes }
    }

    pub(super) fn has(&self, id: ResourceId) -> bool {
        self.resources.iter().any(|(_, resource)| *resource == id)
    }

    /// Returns whether both are the same bytes.
    pub(super) fn is_same_document(&self, other: &Self) -> bool {
        (self.lineage, self.serial, &self.resources) == (other.lineage, other.serial, &other.resources)
    }

    /// Returns the same resources as the next document of a writer that has read this one.
    pub(super) fn next(&self) -> Self {
        Self { serial: self.serial + 1, writer: None, base: self.version, ..self.clone() }
    }
}

/// One creation, as the cloud remembers it.
#[derive(Debug, Clone)]
pub(super) struct Creation {
    pub(super) id: ResourceId,
    pub(super) workspace: usize,
    pub(super) job: i64,
    pub(super) step: String,
    pub(super) executor: u32,
    pub(super) plan: u32,
    pub(super) slot: u32,
    pub(super) removed: bool,
}

/// The books of the cloud.
#[derive(Debug, Clone, Default)]
pub(super) struct Cloud {
    pub(super) creations: Vec<Creation>,
}

impl Cloud {
    /// Creates a resource.
    pub(super) fn create(&mut self, creation: Creation) -> ResourceId {
        let id = u32::try_from(self.creations.len()).unwrap_or(u32::MAX) + 1;
        self.creations.push(Creation { id, ..creation });
        id
    }

    /// Removes a resource.
    pub(super) fn remove(&mut self, id: ResourceId) {
        if let Some(creation) = self.creations.iter_mut().find(|creation| creation.id == id) {
            creation.removed = true;
        }
    }
}
