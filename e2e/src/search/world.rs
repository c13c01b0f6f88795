//! The world of one history: the server's records, its replicas, a cluster, executors, a cloud, users, time.

mod executors;
mod invariants;
mod replicas;
mod requests;
mod steps;
mod users;

use std::collections::{BTreeMap, BTreeSet};

use api_server::{messages::Place, model::AttemptPhase, orchestrator::Rules};
use jiff::{SignedDuration, Timestamp};
use k8s_backend::Cause;

use self::{executors::Executor, replicas::Replica};
use super::{
    books::Cloud,
    choices::Choices,
    faults::Fault,
    records::{Records, Workspace},
};

/// How many workspaces there are; few, so that jobs meet.
const WORKSPACES: usize = 2;

/// A Kubernetes Job, as the cluster sees it.
#[derive(Debug, Clone, Default)]
pub(super) struct KubernetesJob {
    pub(super) pods_started: u32,
    pub(super) ended: Option<Cause>,
    pub(super) cancelled: bool,
}

/// Everything.
#[derive(Debug)]
pub(super) struct World {
    pub(super) now: Timestamp,
    pub(super) records: Records,
    pub(super) cluster: BTreeMap<String, KubernetesJob>,
    executors: Vec<Executor>,
    replicas: [Replica; 2],
    pub(super) cloud: Cloud,
    pub(super) rules: Rules,
    pub(super) choices: Choices,
    /// Jobs whose outcome was unknown at some time.
    pub(super) was_unknown: BTreeSet<i64>,
    /// What must never happen, and did.
    pub(super) violations: Vec<String>,
    /// What happened, line by line, where it is to be printed.
    pub(super) trace: Option<Vec<String>>,
    next_number: u32,
}

impl World {
    pub(super) fn new(choices: Choices, fault: Option<Fault>) -> Self {
        let now = Timestamp::UNIX_EPOCH;
        let rules = Rules {
            start_timeout: std::time::Duration::from_mins(10),
            lost_contact_timeout: std::time::Duration::from_mins(2),
            plan_retries: 2,
            started_at: now,
            place: Place { api_url: "http://api".to_owned(), namespace: None },
        };
        let mut world = Self {
            now,
            records: Records {
                workspaces: vec![Workspace::default(); WORKSPACES],
                fault,
                ..Records::default()
            },
            cluster: BTreeMap::new(),
            executors: Vec::new(),
            replicas: [Replica::default(), Replica::default()],
            cloud: Cloud::default(),
            rules,
            choices,
            was_unknown: BTreeSet::new(),
            violations: Vec::new(),
            trace: None,
            next_number: 0,
        };
        world.create_job();
        world
    }

    /// Plays the history: accidents as long as there are choices, then a calm end.
    pub(super) fn play(mut self) -> Self {
        while !self.choices.is_exhausted() && self.violations.is_empty() {
            self.event();
            self.check_always();
        }
        if self.violations.is_empty() {
            self.calm_down();
        }
        self
    }

    /// Notes what happened.
    pub(super) fn note(&mut self, text: impl FnOnce() -> String) {
        if let Some(trace) = &mut self.trace {
            trace.push(text());
        }
    }

    pub(super) fn violation(&mut self, text: impl Into<String>) {
        self.violations.push(text.into());
    }

    /// Returns a number that nothing else has.
    pub(super) fn fresh(&mut self) -> u32 {
        self.next_number += 1;
        self.next_number
    }

    /// Something happens.
    fn event(&mut self) {
        const WEIGHTS: [u32; 14] = [14, 4, 16, 4, 2, 1, 3, 3, 1, 1, 2, 1, 1, 1];
        match self.choices.weighted(WEIGHTS.len(), |event| WEIGHTS[event]) {
            0 => self.drive(0),
            1 => self.drive(1),
            2 => self.executor_acts(),
            3 => self.start_pod(),
            4 => self.observe(),
            5 => self.kill_executor(),
            6 => self.user_approves(),
            7 => self.time_passes(),
            8 => self.kill_or_pause_replica(),
            9 => self.user_cancels(),
            10 => self.create_job(),
            11 => self.user_resolves(),
            12 => self.user_pushes_state(),
            _ => self.hostile_step(),
        }
    }

    /// From here on nothing fails: replicas run, pods start, messages arrive, users approve, time passes.
    fn calm_down(&mut self) {
        self.note(|| "nothing fails any more".to_owned());
        self.replicas = [Replica::default(), Replica::default()];
        for _ in 0..300 {
            for _ in 0..6 {
                for job in self.open_jobs() {
                    self.drive_job(0, job);
                    self.drive_job(1, job);
                }
            }
            if self.open_jobs().iter().all(|job| self.waits_for_a_user(*job)) {
                break;
            }
            let attempts: Vec<String> = self.cluster.keys().cloned().collect();
            for attempt in &attempts {
                self.start_pod_of(attempt);
                self.observe_attempt(attempt);
            }
            for executor in 0..self.executors.len() {
                self.step_of_executor(executor);
            }
            self.user_approves();
            self.now += SignedDuration::from_secs(61);
            self.check_always();
            if !self.violations.is_empty() {
                break;
            }
        }
        if self.violations.is_empty() {
            self.check_at_the_end();
        }
    }

    pub(super) fn open_jobs(&self) -> Vec<i64> {
        let open = self.records.jobs.values().filter(|row| !row.job.status.is_final());
        open.map(|row| row.job.id).collect()
    }

    // Time.

    fn time_passes(&mut self) {
        let seconds = [3, 20, 70, 700, 30_000][self.choices.pick(5)];
        self.now += SignedDuration::from_secs(seconds);
        self.note(|| format!("{seconds} seconds pass"));
    }

    // The cluster.

    fn start_pod(&mut self) {
        let waiting: Vec<String> = self.cluster.keys().cloned().collect();
        if waiting.is_empty() {
            return;
        }
        let attempt = waiting[self.choices.pick(waiting.len())].clone();
        let job = &self.cluster[&attempt];
        if job.pods_started == 1 && job.ended.is_none() && self.choices.rarely(3) {
            // Kubernetes starts a pod twice at times.
            self.new_executor(&attempt);
        } else {
            self.start_pod_of(&attempt);
        }
    }

    fn start_pod_of(&mut self, attempt: &str) {
        let job = &self.cluster[attempt];
        if job.pods_started == 0 && job.ended.is_none() {
            if job.cancelled {
                self.end_kubernetes_job(attempt, Cause::Deleted);
            } else {
                self.new_executor(attempt);
            }
        }
    }

    fn new_executor(&mut self, attempt: &str) {
        let Some((row, step, _)) = self.records.find(attempt) else { return };
        let (job, workspace, step_type) = (row.job.id, row.workspace, step.step_type);
        let id = self.fresh();
        self.executors.push(Executor::new(id, attempt.to_owned(), (job, workspace), step_type));
        if let Some(job) = self.cluster.get_mut(attempt) {
            job.pods_started += 1;
        }
    }

    pub(super) fn end_kubernetes_job(&mut self, attempt: &str, cause: Cause) {
        if let Some(job) = self.cluster.get_mut(attempt) {
            job.ended.get_or_insert(cause);
        }
    }

    /// An executor dies with everything that it started, or the cluster only believes so.
    fn kill_executor(&mut self) {
        let alive: Vec<usize> =
            (0..self.executors.len()).filter(|executor| self.executors[*executor].alive).collect();
        if alive.is_empty() {
            return;
        }
        let executor = alive[self.choices.pick(alive.len())];
        let attempt = self.executors[executor].attempt.clone();
        self.note(|| format!("an accident happens to the executor of {attempt}"));
        match self.choices.weighted(4, |choice| [6, 2, 2, 3][choice]) {
            0 => self.executor_ends(executor, Cause::ExitCode(Some(137))),
            1 => self.executor_ends(executor, Cause::Evicted { resource: None, message: String::new() }),
            2 => self.executors[executor].terraform_dies(self.records.fault),
            // The node is cut off: the pod goes on.
            _ => self.end_kubernetes_job(&attempt, Cause::NodeLost { message: String::new() }),
        }
    }

    /// A replica sees a Kubernetes Job, early or late.
    fn observe(&mut self) {
        let attempts: Vec<String> = self.cluster.keys().cloned().collect();
        if !attempts.is_empty() {
            let attempt = attempts[self.choices.pick(attempts.len())].clone();
            self.observe_attempt(&attempt);
        }
    }

    fn observe_attempt(&mut self, attempt: &str) {
        let (cause, now) = (self.cluster[attempt].ended.clone(), self.now);
        let runs = self.cluster[attempt].pods_started > 0;
        let Some(found) = self.records.attempt_mut(attempt) else { return };
        if found.phase != AttemptPhase::Submitted || found.cause.is_some() {
            return;
        }
        if cause.is_some() {
            found.cause = cause;
            self.note(|| format!("the end of the Kubernetes Job of {attempt} is seen"));
        } else if runs {
            found.progress.running_at.get_or_insert(now);
        }
    }
}
