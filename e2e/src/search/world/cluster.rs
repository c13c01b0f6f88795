//! The cluster: Kubernetes Jobs, their pods, and what the server sees of them.

use std::collections::BTreeSet;

use api_server::model::AttemptPhase;
use k8s_backend::Cause;

use super::{World, drivers::Replica, executors::Executor};
use crate::search::faults::Fault;

/// A Kubernetes Job, as the cluster sees it.
#[derive(Debug, Clone, Default)]
pub(super) struct KubernetesJob {
    pub(super) pods_started: u32,
    pub(super) ended: Option<Cause>,
    /// Why it ends when its pod is gone.
    pub(super) ending: Option<Cause>,
    /// A client has deleted the object; its pods may live for a while.
    pub(super) deleted: bool,
}

impl World {
    pub(super) fn start_pod(&mut self) {
        let waiting: Vec<String> = self.cluster.keys().cloned().collect();
        if waiting.is_empty() {
            return;
        }
        let attempt = waiting[self.choices.pick(waiting.len())].clone();
        let job = &self.cluster[&attempt];
        if job.pods_started == 1 && job.ended.is_none() && !job.deleted && self.choices.rarely(3) {
            // Kubernetes starts a pod twice at times.
            self.new_executor(&attempt);
        } else {
            self.start_pod_of(&attempt);
        }
    }

    pub(super) fn start_pod_of(&mut self, attempt: &str) {
        let job = &self.cluster[attempt];
        if job.pods_started == 0 && job.ended.is_none() && !job.deleted {
            self.new_executor(attempt);
        }
    }

    fn new_executor(&mut self, attempt: &str) {
        let Some((row, step, _)) = self.records.find(attempt) else { return };
        let (job, workspace, step_type) = (row.job.id, row.workspace, step.step_type);
        let step = step.id.clone();
        let id = self.fresh();
        self.note(|| format!("a pod of {attempt} starts: executor {id}"));
        self.executors.push(Executor::new(id, attempt.to_owned(), (job, step, workspace), step_type));
        if let Some(job) = self.cluster.get_mut(attempt) {
            job.pods_started += 1;
        }
    }

    pub(super) fn end_kubernetes_job(&mut self, attempt: &str, cause: Cause) {
        if let Some(job) = self.cluster.get_mut(attempt) {
            let cause = job.ending.take().unwrap_or(cause);
            job.ended.get_or_insert(cause);
        }
    }

    /// The pods of a Kubernetes Job get TERM, and it ends with them.
    fn stop_pods(&mut self, attempt: &str, cause: Cause) {
        for executor in self.executors.iter_mut().filter(|executor| executor.attempt == attempt) {
            executor.stop = true;
        }
        let runs = self.executors.iter().any(|executor| executor.alive && executor.attempt == attempt);
        let Some(job) = self.cluster.get_mut(attempt) else { return };
        if runs {
            job.ending.get_or_insert(cause);
        } else {
            job.ended.get_or_insert(cause);
        }
    }

    /// The server cancels a Kubernetes Job.
    pub(super) fn cancel_kubernetes_job(&mut self, attempt: &str) {
        self.stop_pods(attempt, Cause::Deleted);
    }

    /// Another client deletes a Kubernetes Job, without waiting for its pods.
    pub(super) fn delete_kubernetes_job(&mut self) {
        let Some(attempt) = self.pick_kubernetes_job() else { return };
        self.note(|| format!("a client deletes the Kubernetes Job of {attempt}"));
        self.stop_pods(&attempt, Cause::Deleted);
        if let Some(job) = self.cluster.get_mut(&attempt) {
            job.deleted = true;
        }
    }

    /// A pod gets TERM: it is evicted, or its deadline has passed.
    pub(super) fn terminate_pod(&mut self) {
        let Some(attempt) = self.pick_kubernetes_job() else { return };
        let cause = match self.choices.pick(3) {
            0 => Cause::Evicted { resource: None, message: String::new() },
            1 => Cause::DeadlineExceeded,
            _ => Cause::PodDeleted { ran: true },
        };
        self.note(|| format!("the pod of {attempt} gets TERM: {cause:?}"));
        self.stop_pods(&attempt, cause);
    }

    fn pick_kubernetes_job(&mut self) -> Option<String> {
        let present = self.cluster.iter().filter(|(_, job)| job.ended.is_none() && !job.deleted);
        let present: Vec<String> = present.map(|(attempt, _)| attempt.clone()).collect();
        if present.is_empty() {
            return None;
        }
        let at = self.choices.pick(present.len());
        present.into_iter().nth(at)
    }

    /// An executor dies with everything that it started, or its terraform does, or the cluster only believes
    /// that the pod is gone.
    pub(super) fn kill_executor(&mut self) {
        let alive = self.alive();
        if alive.is_empty() {
            return;
        }
        let index = alive[self.choices.pick(alive.len())];
        let attempt = self.executors[index].attempt.clone();
        let accident = self.choices.pick(5);
        self.note(|| format!("an accident happens to the executor of {attempt}: {accident}"));
        match accident {
            0 => self.executor_dies(index, Cause::ExitCode(Some(137))),
            1 => self.executor_dies(index, Cause::Evicted { resource: None, message: String::new() }),
            2 => self.executor_dies(index, Cause::OutOfMemory { limit: None, exit_code: 137 }),
            3 => self.executors[index].terraform_dies(self.records.fault),
            // The node is cut off: the pod goes on.
            _ => self.end_kubernetes_job(&attempt, Cause::NodeLost { message: String::new() }),
        }
    }

    /// An executor is killed. What terraform has asked the cloud for is done all the same.
    fn executor_dies(&mut self, index: usize, cause: Cause) {
        if self.executors[index].has_change_left() && self.choices.pick(2) == 1 {
            self.change(index);
        }
        self.executor_ends(index, cause);
    }

    /// The process of an executor ends, and with the last one of its pods the Kubernetes Job.
    pub(super) fn executor_ends(&mut self, index: usize, cause: Cause) {
        self.executors[index].alive = false;
        let attempt = self.executors[index].attempt.clone();
        if !self.executors.iter().any(|other| other.alive && other.attempt == attempt) {
            self.end_kubernetes_job(&attempt, cause);
        }
    }

    pub(super) fn alive(&self) -> Vec<usize> {
        (0..self.executors.len()).filter(|executor| self.executors[*executor].alive).collect()
    }

    /// Returns the attempts whose Kubernetes Jobs a replica watches.
    pub(super) fn watched(&self) -> Vec<String> {
        let mut watched = BTreeSet::new();
        for (job, _) in self.replicas.iter().flat_map(Replica::sleepers) {
            let attempts = self.records.job(job).steps.iter().flat_map(|step| &step.attempts);
            let mut submitted =
                attempts.filter(|it| it.phase == AttemptPhase::Submitted && it.cause.is_none());
            watched.extend(submitted.next().map(|attempt| attempt.id.clone()));
        }
        watched.into_iter().collect()
    }

    /// A replica sees a Kubernetes Job, early or late.
    pub(super) fn observe(&mut self) {
        let watched = self.watched();
        if !watched.is_empty() {
            let attempt = watched[self.choices.pick(watched.len())].clone();
            self.observe_attempt(&attempt);
        }
    }

    pub(super) fn observe_attempt(&mut self, attempt: &str) {
        let Some((row, _, _)) = self.records.find(attempt) else { return };
        let Some((replica, generation)) = self.sleeper(row.job.id) else { return };
        let job = row.job.id;
        let (cause, runs) = match self.cluster.get(attempt) {
            Some(found) if !found.deleted => (found.ended.clone(), found.pods_started > 0),
            _ if self.is(Fault::VanishedJobsAreNotSeen) => (None, false),
            _ => (Some(Cause::Vanished), false),
        };
        if cause.is_none() && !runs {
            return;
        }
        if !self.records.is_current(job, generation) {
            return self.lost_job(replica, job);
        }
        let now = self.clock(replica);
        match cause {
            Some(cause) => {
                self.note(|| format!("the end of the Kubernetes Job of {attempt} is seen: {cause:?}"));
                self.records.record_cause(attempt, cause);
            }
            None => self.records.record_running(attempt, now),
        }
        self.wake(replica, job, false);
    }
}
