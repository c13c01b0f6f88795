//! The end of a history, in which nothing fails: what began must come to an end by itself.

use api_server::model::{JobStatus, WorkspaceHold};
use jiff::SignedDuration;

use super::{Late, World};

/// After so many rounds a job that has not ended never does.
const ROUNDS: u32 = 300;

/// From this round on, every wake-up that was lost has been made up for, unless a clock has jumped.
const FIRST_CHECKED_ROUND: u32 = 3;

impl World {
    /// Replicas run, pods start, messages arrive, users approve, time passes.
    pub(super) fn calm_down(&mut self) {
        self.note(|| "nothing fails any more".to_owned());
        for replica in 0..self.replicas.len() {
            self.replicas[replica].paused = false;
        }
        while let Some((workspace, lock)) = self.user_locks.pop_first() {
            self.user_unlocks(workspace, lock);
        }
        for late in std::mem::take(&mut self.late) {
            match late {
                Late::Request(message) => drop(self.arrives(&message)),
                Late::Submit(attempt) => drop(self.cluster.entry(attempt).or_default()),
            }
        }
        for round in 0..ROUNDS {
            for replica in 0..self.replicas.len() {
                self.tick(replica);
            }
            self.drive_until_quiet();
            if self.violations.is_empty() && round >= FIRST_CHECKED_ROUND && !self.has_jumped {
                self.check_sleepers();
            }
            let is_over = round >= FIRST_CHECKED_ROUND
                && self.open_jobs().iter().all(|job| self.waits_for_a_user(*job));
            if is_over || !self.violations.is_empty() {
                break;
            }
            self.everything_goes_on();
            self.now += SignedDuration::from_secs(if round < 60 { 31 } else { 400 });
            self.check_always();
        }
        if self.violations.is_empty() {
            self.check_at_the_end();
        }
    }

    fn everything_goes_on(&mut self) {
        let attempts: Vec<String> = self.cluster.keys().cloned().collect();
        for attempt in &attempts {
            self.start_pod_of(attempt);
        }
        for attempt in self.watched() {
            self.observe_attempt(&attempt);
        }
        for executor in 0..self.executors.len() {
            // An executor that lives makes all its requests in one round.
            for _ in 0..4 {
                self.step_of_executor(executor);
            }
        }
        self.user_approves();
    }

    /// Returns whether a job waits for a user: behind a job with an unknown outcome, perhaps behind others
    /// that wait for it, too.
    pub(super) fn waits_for_a_user(&self, id: i64) -> bool {
        let mut at = id;
        for _ in 0..self.records.jobs.len() {
            if self.records.job(at).status != JobStatus::Pending {
                return false;
            }
            let WorkspaceHold::Other(blocker) = self.records.hold(at) else { return false };
            if blocker.status == JobStatus::Unknown {
                return true;
            }
            at = blocker.job;
        }
        false
    }
}
