//! Requests and limits of the executor's container.

use std::collections::BTreeMap;

use crate::{
    Problem, WorkspaceOverrides,
    setting::{Setting, Variable, value, variables},
    value::{EntryError, ListError, Quantity},
};

const AMOUNT: &str = "amount: a number with an optional suffix `n`, `u`, `m`, `k`, `M`, `G`, `T`, `P`, `E`, \
                      `Ki` to `Ei`, or an exponent `e3`";

variables! {
    RESOURCES_GROUP;

    /// The processor time that the node must have free; 1 is one processor.
    CPU_REQUEST: Quantity = value, Setting {
        grammar: AMOUNT,
        example: "500m",
        sets: &["spec.template.spec.containers.executor.resources.requests.cpu"],
        ..Setting::workspace("EPHEMERAL_CPU_REQUEST")
    };

    /// The processor time that the executor may use; not below the request.
    CPU_LIMIT: Quantity = value, Setting {
        grammar: AMOUNT,
        example: "2",
        sets: &["spec.template.spec.containers.executor.resources.limits.cpu"],
        ..Setting::workspace("EPHEMERAL_CPU_LIMIT")
    };

    /// The memory that the node must have free, in bytes.
    MEMORY_REQUEST: Quantity = bytes, Setting {
        grammar: AMOUNT,
        example: "512Mi",
        sets: &["spec.template.spec.containers.executor.resources.requests.memory"],
        ..Setting::workspace("EPHEMERAL_MEMORY_REQUEST")
    };

    /// The memory that the executor may use, in bytes; not below the request.
    MEMORY_LIMIT: Quantity = bytes, Setting {
        grammar: AMOUNT,
        example: "1Gi",
        sets: &["spec.template.spec.containers.executor.resources.limits.memory"],
        ..Setting::workspace("EPHEMERAL_MEMORY_LIMIT")
    };

    /// The disk space that the node must have free for the pod, in bytes.
    STORAGE_REQUEST: Quantity = bytes, Setting {
        grammar: AMOUNT,
        example: "2Gi",
        sets: &["spec.template.spec.containers.executor.resources.requests.ephemeral-storage"],
        ..Setting::workspace("EPHEMERAL_STORAGE_REQUEST")
    };

    /// The disk space of the node that the pod may use, in bytes; not below the request.
    STORAGE_LIMIT: Quantity = bytes, Setting {
        grammar: AMOUNT,
        example: "10Gi",
        sets: &["spec.template.spec.containers.executor.resources.limits.ephemeral-storage"],
        ..Setting::workspace("EPHEMERAL_STORAGE_LIMIT")
    };
}

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

    /// Returns the variable that holds its request.
    #[must_use]
    pub fn request(self) -> &'static Variable<Quantity> {
        match self {
            Self::Cpu => &CPU_REQUEST,
            Self::EphemeralStorage => &STORAGE_REQUEST,
            Self::Memory => &MEMORY_REQUEST,
        }
    }

    /// Returns the variable that holds its limit.
    #[must_use]
    pub fn limit(self) -> &'static Variable<Quantity> {
        match self {
            Self::Cpu => &CPU_LIMIT,
            Self::EphemeralStorage => &STORAGE_LIMIT,
            Self::Memory => &MEMORY_LIMIT,
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

    /// Returns whether there is neither a request nor a limit.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.requests.is_empty() && self.limits.is_empty()
    }
}

impl WorkspaceOverrides {
    /// Returns requests and limits of the executor's container.
    #[must_use]
    pub fn resources(&self) -> Resources {
        let amounts = |variable: fn(ResourceName) -> &'static Variable<Quantity>| {
            let amount = |resource| Some((resource, self.get(variable(resource))?.clone()));
            ResourceName::ALL.into_iter().filter_map(amount).collect()
        };
        Resources { requests: amounts(ResourceName::request), limits: amounts(ResourceName::limit) }
    }
}

/// No request is above its limit.
pub(super) fn check(overrides: &mut WorkspaceOverrides, problems: &mut Vec<Problem>) {
    for resource in ResourceName::ALL {
        let (request_variable, limit_variable) = (resource.request(), resource.limit());
        if let (Some(request), Some(limit)) = (overrides.get(request_variable), overrides.get(limit_variable))
            && request.nanos() > limit.nanos()
        {
            let expected = format!("at most the limit, {}={limit}", limit_variable.name());
            problems.push(
                Problem::new(overrides.origins().of(request_variable.name()), expected)
                    .with_found(request.as_str()),
            );
        }
    }
}

/// Parses an amount of bytes. Thousandths of a byte are what `500m` means, and never what was meant.
fn bytes(text: &str) -> Result<Quantity, ListError> {
    let amount: Quantity = value(text)?;
    let text = amount.as_str();
    if amount.is_whole() || !text.ends_with(['n', 'u', 'm']) {
        return Ok(amount);
    }
    let error = EntryError::new(text, "a whole number of bytes");
    Err(match text.strip_suffix('m') {
        Some(number) => {
            error.with_hint(format!("m means thousandths; did you mean {:?}?", format!("{number}Mi")))
        }
        None => error,
    }
    .into())
}
