//! Watches the memory of the container, and stops terraform before the kernel kills a process.
//!
//! A killed provider leaves an apply in an unknown state; terraform that is interrupted saves what it did.
//! What counts is memory that the kernel cannot take back: without the cache of files. The limits are those
//! of the control groups (version 1 and 2) of this process; without one there is nothing to watch, as on a
//! laptop.

mod groups;

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use job_spec::attempt_api::MemoryUse;
use tokio::{
    task::JoinHandle,
    time::{MissedTickBehavior, interval},
};

use self::groups::{Group, own_groups};
use crate::{
    child::processes,
    stop::{MemoryShortage, Stop},
};

/// How often the use is read.
const INTERVAL: Duration = Duration::from_millis(100);

/// What remains free for terraform to save its state: a sixteenth of the limit, within these bounds.
const MIN_RESERVE: u64 = 8 * 1024 * 1024;
const MAX_RESERVE: u64 = 256 * 1024 * 1024;

/// The watch of one attempt. Dropping it ends it.
#[derive(Debug)]
pub(crate) struct MemoryWatch {
    groups: Vec<Group>,
    peak: Arc<AtomicU64>,
    task: Option<JoinHandle<()>>,
}

impl MemoryWatch {
    /// Watches the control groups of this process.
    pub(crate) fn start(stop: &Stop) -> Self {
        Self::of(own_groups(), stop)
    }

    /// Watches the control groups that these files describe: `cgroup` and `mountinfo` of a process.
    #[cfg(test)]
    fn of_files(cgroup: &str, mountinfo: &str, root: &std::path::Path, stop: &Stop) -> Self {
        Self::of(groups::groups(cgroup, mountinfo, root), stop)
    }

    fn of(groups: Vec<Group>, stop: &Stop) -> Self {
        let peak = Arc::new(AtomicU64::new(0));
        let task = (!groups.is_empty())
            .then(|| tokio::spawn(watch(groups.clone(), Arc::clone(&peak), stop.clone())));
        Self { groups, peak, task }
    }

    /// Returns what was used at most so far, and the limit; `None` where nothing shows it.
    pub(crate) fn measured(&self) -> Option<MemoryUse> {
        let own = self.groups.first()?;
        let limit = self.groups.iter().filter_map(Group::limit).min();
        let peak_bytes = self.peak.load(Ordering::Relaxed).max(own.used().unwrap_or_default());
        (peak_bytes > 0).then_some(MemoryUse { peak_bytes, limit_bytes: limit })
    }
}

impl Drop for MemoryWatch {
    fn drop(&mut self) {
        if let Some(task) = &self.task {
            task.abort();
        }
    }
}

async fn watch(groups: Vec<Group>, peak: Arc<AtomicU64>, stop: Stop) {
    let mut ticks = interval(INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        for (level, group) in groups.iter().enumerate() {
            let Some(used) = group.used() else { continue };
            if level == 0 {
                peak.fetch_max(used, Ordering::Relaxed);
            }
            let Some(limit) = group.limit() else { continue };
            if is_short(used, limit) && is_by_this_step(used) {
                stop.short_of_memory(MemoryShortage { used_bytes: used, limit_bytes: limit });
            }
        }
    }
}

/// Returns whether so much of a limit is used that terraform should stop.
const fn is_short(used: u64, limit: u64) -> bool {
    let sixteenth = limit / 16;
    let reserve = if sixteenth < MIN_RESERVE { MIN_RESERVE } else { sixteenth };
    let reserve = if reserve > MAX_RESERVE { MAX_RESERVE } else { reserve };
    used.saturating_add(reserve) >= limit
}

/// Returns whether most of the memory belongs to this step. A group of a whole machine has other processes,
/// and to stop every step would help none of them.
fn is_by_this_step(used: u64) -> bool {
    processes::resident_bytes(rustix::process::getpid()) >= used / 2
}

#[cfg(test)]
mod tests;
