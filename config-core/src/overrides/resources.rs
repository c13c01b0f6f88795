//! What the executor asks of its node, and what it may use.

use std::collections::BTreeMap;

use super::reader::Reader;
use crate::{Problem, keys, value::Quantity};

/// A resource of a container.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ResourceName {
    /// Processor time; 1 is one processor.
    Cpu,
    /// Disk space of the node, in bytes.
    EphemeralStorage,
    /// Memory, in bytes.
    Memory,
}

impl ResourceName {
    /// Every resource, in the order in which Kubernetes prints them.
    pub const ALL: [Self; 3] = [Self::Cpu, Self::EphemeralStorage, Self::Memory];

    /// Returns the variables that hold its request and its limit.
    pub(crate) const fn keys(self) -> (&'static str, &'static str) {
        match self {
            Self::Cpu => (keys::CPU_REQUEST, keys::CPU_LIMIT),
            Self::EphemeralStorage => (keys::STORAGE_REQUEST, keys::STORAGE_LIMIT),
            Self::Memory => (keys::MEMORY_REQUEST, keys::MEMORY_LIMIT),
        }
    }

    /// Returns the name that Kubernetes gives it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Cpu => "cpu",
            Self::EphemeralStorage => "ephemeral-storage",
            Self::Memory => "memory",
        }
    }
}

/// Requests and limits of the executor's container; no request is above its limit. `Default` has none.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Resources {
    requests: BTreeMap<ResourceName, Quantity>,
    limits: BTreeMap<ResourceName, Quantity>,
}

impl Resources {
    /// Returns what a node must have free for the pod to be placed there.
    #[must_use]
    pub const fn requests(&self) -> &BTreeMap<ResourceName, Quantity> {
        &self.requests
    }

    /// Returns what the container may use at most.
    #[must_use]
    pub const fn limits(&self) -> &BTreeMap<ResourceName, Quantity> {
        &self.limits
    }

    pub(crate) fn set_request(&mut self, resource: ResourceName, amount: Quantity) {
        self.requests.insert(resource, amount);
    }

    pub(crate) fn set_limit(&mut self, resource: ResourceName, amount: Quantity) {
        self.limits.insert(resource, amount);
    }

    /// Tells whether there is neither a request nor a limit.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.requests.is_empty() && self.limits.is_empty()
    }
}

impl Reader<'_> {
    pub(super) fn resources(&mut self) -> Resources {
        let mut resources = Resources::default();
        for resource in ResourceName::ALL {
            let (request_key, limit_key) = resource.keys();
            let request = self.amount(resource, request_key);
            let limit = self.amount(resource, limit_key);
            if let (Some(request), Some(limit)) = (&request, &limit)
                && request.nanos() > limit.nanos()
            {
                self.push(
                    Problem::new(self.origin(request_key), format!("at most the limit, {limit_key}={limit}"))
                        .with_found(request.as_str()),
                );
            }
            resources.requests.extend(request.map(|request| (resource, request)));
            resources.limits.extend(limit.map(|limit| (resource, limit)));
        }
        resources
    }

    fn amount(&mut self, resource: ResourceName, key: &str) -> Option<Quantity> {
        let amount: Quantity = self.entry(key)?;
        let text = amount.as_str();
        // Thousandths of a byte are what `500m` means and never what it was meant to say.
        if resource != ResourceName::Cpu && !amount.is_whole() && text.ends_with(['n', 'u', 'm']) {
            let meant = format!("{}Mi", &text[..text.len() - 1]);
            let problem = Problem::new(self.origin(key), "a whole number of bytes").with_found(text);
            self.push(if text.ends_with('m') {
                problem.with_hint(format!("m means thousandths; did you mean {meant:?}?"))
            } else {
                problem
            });
            return None;
        }
        Some(amount)
    }
}
