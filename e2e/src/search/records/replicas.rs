//! Which replica decides about a job: leases and generations.

use jiff::Timestamp;

use super::Records;
use crate::search::faults::Fault;

impl Records {
    fn has_lease(&self, replica: u32, now: Timestamp) -> bool {
        self.replicas.get(&replica).is_some_and(|expires| *expires > now)
    }

    /// Returns the open jobs about which no replica with a lease decides.
    pub(in crate::search) fn jobs_without_replica(&self, now: Timestamp) -> Vec<i64> {
        let open = self.jobs.values().filter(|row| !row.job.status.is_final());
        let orphans = open.filter(|row| !row.driver.is_some_and(|driver| self.has_lease(driver, now)));
        orphans.map(|row| row.job.id).collect()
    }

    /// Makes a replica the one that decides about a job. Returns the generation that it then has; `None` if
    /// another one decides, or if this one has no lease.
    pub(in crate::search) fn take_job(&mut self, id: i64, replica: u32, now: Timestamp) -> Option<u32> {
        let row = self.jobs.get(&id)?;
        let is_other = row.driver.is_some_and(|driver| driver != replica && self.has_lease(driver, now));
        if is_other || !self.has_lease(replica, now) {
            return None;
        }
        let row = self.jobs.get_mut(&id)?;
        row.driver = Some(replica);
        row.generation += 1;
        Some(row.generation)
    }

    /// Returns whether a decision of this generation may be stored.
    pub(in crate::search) fn is_current(&self, id: i64, generation: u32) -> bool {
        self.jobs[&id].generation == generation || self.is(Fault::StaleReplicasAct)
    }
}
