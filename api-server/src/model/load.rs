//! What runs, and which jobs wait to start a step.

use std::collections::BTreeMap;

use jiff::Timestamp;

/// The limits of the operator; `None` is no limit.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Limits {
    /// Steps that the server runs at a time.
    pub server: Option<u32>,
    /// Steps that it runs at a time for one organization.
    pub organization: Option<u32>,
}

/// A job that waits to start a step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidate {
    /// The job.
    pub job: i64,
    /// Its organization.
    pub organization: String,
    /// Whether the step changes infrastructure.
    pub changes_infrastructure: bool,
}

/// What runs and what waits.
#[derive(Debug, Clone, Default)]
pub struct Load {
    /// How many steps run, by organization.
    pub running: BTreeMap<String, u32>,
    /// The jobs that wait to start a step, each once.
    pub candidates: Vec<Candidate>,
    /// A job whose Kubernetes Job waits for a quota of the cluster.
    pub waits_for_quota: Option<i64>,
    /// When the last step was started.
    pub last_start: Option<Timestamp>,
    /// Another job that runs a step in the same workspace, which excludes the step of this one.
    pub beside: Option<i64>,
}

/// Whether a job may start its next step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Slot {
    /// It may.
    Free,
    /// It waits.
    Wait(SlotWait),
}

/// Why a job waits to start its next step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SlotWait {
    /// The server runs as many steps as it may.
    Server {
        /// The limit.
        limit: u32,
        /// How many jobs are before this one, and the first of them.
        ahead: Ahead,
    },
    /// The organization runs as many steps as it may.
    Organization {
        /// The limit.
        limit: u32,
        /// How many jobs are before this one, and the first of them.
        ahead: Ahead,
    },
    /// A quota of the cluster is exhausted.
    Quota {
        /// The job whose Kubernetes Job waits for it.
        job: i64,
        /// When one more step may be started.
        until: Timestamp,
    },
    /// Another job runs a step in the same workspace.
    Workspace {
        /// That job.
        job: i64,
    },
}

/// The jobs before one in the order.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Ahead {
    /// How many.
    pub count: usize,
    /// The first of them.
    pub first: Option<i64>,
}
