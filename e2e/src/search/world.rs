//! The world of one history: the server's records, its replicas, a cluster, executors, a cloud, users, time.

mod actions;
mod calm;
mod cluster;
mod drivers;
mod executors;
mod hostile;
mod invariants;
mod requests;
mod states;
mod steps;
mod users;

use std::collections::{BTreeMap, BTreeSet};

use api_server::{messages::Place, model::Limits, orchestrator::Rules};
use jiff::{SignedDuration, Timestamp};

use self::{cluster::KubernetesJob, drivers::Replica, executors::Executor, requests::Message};
use super::{
    books::Cloud,
    choices::Choices,
    faults::Fault,
    promises::{Promise, Violation},
    records::{Records, Workspace},
};

/// The organizations of the workspaces; few, so that jobs meet.
const WORKSPACES: [&str; 3] = ["a", "a", "b"];

/// Limits that a history may have, of the server and of each organization.
const LIMITS: [(Option<u32>, Option<u32>); 4] =
    [(None, None), (Some(1), None), (Some(2), None), (Some(2), Some(1))];

/// What arrives later than expected.
#[derive(Debug, Clone)]
enum Late {
    /// A request of an executor, or of code in a step.
    Request(Message),
    /// A Kubernetes Job that was submitted for this attempt.
    Submit(String),
}

/// Everything.
#[derive(Debug)]
pub(super) struct World {
    now: Timestamp,
    pub(super) records: Records,
    cluster: BTreeMap<String, KubernetesJob>,
    executors: Vec<Executor>,
    replicas: Vec<Replica>,
    late: Vec<Late>,
    /// A timer may be longer than it would be by the clock of now.
    has_jumped: bool,
    cloud: Cloud,
    rules: Rules,
    pub(super) choices: Choices,
    /// Locks that users hold, by workspace.
    user_locks: BTreeMap<usize, u32>,
    /// How often a step that changes infrastructure was claimed.
    claims: BTreeMap<String, u32>,
    /// Jobs whose outcome was unknown at some time.
    was_unknown: BTreeSet<i64>,
    /// Workspaces whose state was replaced on purpose, so that it need not have everything.
    replaced: BTreeSet<usize>,
    /// The only promise that counts, where a deliberate bug is meant to break it.
    wanted: Option<Promise>,
    /// What must never happen, and did.
    pub(super) violations: Vec<Violation>,
    /// What happened, line by line, where it is to be printed.
    pub(super) trace: Option<Vec<String>>,
    next_number: u32,
}

impl World {
    pub(super) fn new(mut choices: Choices, fault: Option<Fault>) -> Self {
        let now = Timestamp::UNIX_EPOCH + SignedDuration::from_hours(24);
        let rules = Rules {
            start_timeout: std::time::Duration::from_mins(10),
            lost_contact_timeout: std::time::Duration::from_mins(2),
            plan_retries: 2,
            started_at: now,
            place: Place { api_url: "http://api".to_owned(), namespace: None },
        };
        let replicas = 1 + choices.pick(2);
        let (server, organization) = LIMITS[choices.pick(LIMITS.len())];
        let workspaces = WORKSPACES.map(|organization| Workspace { organization, ..Workspace::default() });
        let mut world = Self {
            now,
            records: Records {
                workspaces: workspaces.to_vec(),
                limits: Limits { server, organization },
                fault,
                ..Records::default()
            },
            cluster: BTreeMap::new(),
            executors: Vec::new(),
            replicas: vec![Replica::default(); replicas],
            late: Vec::new(),
            has_jumped: false,
            cloud: Cloud::default(),
            rules,
            choices,
            user_locks: BTreeMap::new(),
            claims: BTreeMap::new(),
            was_unknown: BTreeSet::new(),
            replaced: BTreeSet::new(),
            wanted: fault.map(Fault::breaks),
            violations: Vec::new(),
            trace: None,
            next_number: 0,
        };
        for replica in 0..replicas {
            world.start_replica(replica);
        }
        world
    }

    /// Plays the history: accidents as long as there are choices, then a calm end.
    pub(super) fn play(mut self) -> Self {
        self.user_creates_job();
        while !self.choices.is_exhausted() && self.violations.is_empty() {
            self.event();
            self.check_always();
        }
        if self.violations.is_empty() {
            self.calm_down();
        }
        self
    }

    fn is(&self, fault: Fault) -> bool {
        self.records.is(fault)
    }

    /// Notes what happened.
    fn note(&mut self, text: impl FnOnce() -> String) {
        if let Some(trace) = &mut self.trace {
            trace.push(text());
        }
    }

    fn violation(&mut self, promise: Promise, detail: impl Into<String>) {
        if self.wanted.is_none_or(|wanted| wanted == promise) {
            self.violations.push(Violation { promise, detail: detail.into() });
        }
    }

    /// Returns a number that nothing else has.
    fn fresh(&mut self) -> u32 {
        self.next_number += 1;
        self.next_number
    }

    /// Something happens.
    fn event(&mut self) {
        const WEIGHTS: [u32; 23] = [24, 24, 6, 6, 4, 3, 3, 2, 2, 2, 2, 2, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1];
        match self.choices.event(&WEIGHTS) {
            0 => self.drive(),
            1 => self.executor_acts(),
            2 => self.start_pod(),
            3 => self.observe(),
            4 => self.time_passes(),
            5 => self.user_approves(),
            6 => self.user_creates_job(),
            7 => self.kill_executor(),
            8 => self.late_arrives(),
            9 => self.hostile_step(),
            10 => self.kill_replica(),
            11 => self.pause_replica(),
            12 => self.clock_jumps(),
            13 => self.user_cancels(),
            14 => self.user_resolves(),
            15 => self.user_pushes_state(),
            16 => self.user_locks_state(),
            17 => self.delete_kubernetes_job(),
            18 => self.terminate_pod(),
            19 => self.user_confirms_end(),
            20 => self.replace_plan_file(),
            21 => self.user_restores_state(),
            _ => self.tick_of_one(),
        }
    }

    fn late_arrives(&mut self) {
        if self.late.is_empty() {
            return;
        }
        let at = self.choices.pick(self.late.len());
        match self.late.remove(at) {
            Late::Request(message) => {
                self.note(|| format!("late: {message:?}"));
                self.arrives(&message);
            }
            Late::Submit(attempt) => {
                self.note(|| format!("late: the Kubernetes Job of {attempt}"));
                self.cluster.entry(attempt).or_default();
            }
        }
    }

    fn time_passes(&mut self) {
        let seconds = [3, 20, 70, 700, 3000][self.choices.pick(5)];
        self.note(|| format!("{seconds} seconds pass"));
        self.now += SignedDuration::from_secs(seconds);
        for replica in 0..self.replicas.len() {
            if !self.choices.rarely(8) {
                self.tick(replica);
            }
        }
    }

    /// The clock of a machine is set.
    fn clock_jumps(&mut self) {
        let replica = self.choices.pick(self.replicas.len());
        let seconds = [90, -90, 3600, -3600][self.choices.pick(4)];
        self.replicas[replica].clock += SignedDuration::from_secs(seconds);
        self.has_jumped = true;
        self.note(|| format!("the clock of replica {replica} jumps by {seconds} seconds"));
    }

    fn tick_of_one(&mut self) {
        let replica = self.choices.pick(self.replicas.len());
        self.tick(replica);
    }

    fn open_jobs(&self) -> Vec<i64> {
        let open = self.records.jobs.values().filter(|row| !row.job.status.is_final());
        open.map(|row| row.job.id).collect()
    }
}
