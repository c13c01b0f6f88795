//! Which job may start its next step, when not all may.
//!
//! A pure function of what is stored: how many steps run, and which jobs wait to start one. The order is the
//! same for every job that asks: steps that change infrastructure first, then the organization with the
//! fewest steps, then the oldest job.

use jiff::{SignedDuration, Timestamp};

use crate::model::{Ahead, Candidate, Limits, Load, Slot, SlotWait};

/// How often one more step is started while a quota of the cluster is exhausted: enough to notice that there
/// is room again, or that a smaller step fits.
const QUOTA_PROBE_INTERVAL: SignedDuration = SignedDuration::from_secs(15);

/// Returns whether a job may start its next step now.
#[must_use]
pub fn slot(job: i64, load: &Load, limits: Limits, now: Timestamp) -> Slot {
    if let Some(job) = load.beside {
        return Slot::Wait(SlotWait::Workspace { job });
    }
    let order = order(load);
    let Some(place) = order.iter().position(|candidate| candidate.job == job) else {
        // It does not wait to start a step, as far as the store knows.
        return Slot::Free;
    };
    if let Some(wait) = full(&order, place, load, limits) {
        return Slot::Wait(wait);
    }
    let probe = load.last_start.and_then(|last| last.checked_add(QUOTA_PROBE_INTERVAL).ok());
    match (load.waits_for_quota, probe) {
        (Some(blocked), Some(until)) if until > now && blocked != job => {
            Slot::Wait(SlotWait::Quota { job: blocked, until })
        }
        _ => Slot::Free,
    }
}

/// Returns the jobs that may start their next step now.
#[must_use]
pub fn free(load: &Load, limits: Limits, now: Timestamp) -> Vec<i64> {
    // What runs in the workspace of the job that asks keeps only that one from starting.
    let load = &Load { beside: None, ..load.clone() };
    let jobs = load.candidates.iter().map(|candidate| candidate.job);
    jobs.filter(|job| slot(*job, load, limits, now) == Slot::Free).collect()
}

/// Returns the limit that keeps the candidate at this place from starting.
fn full(order: &[&Candidate], place: usize, load: &Load, limits: Limits) -> Option<SlotWait> {
    let own = &order[place].organization;
    let mut total: u32 = load.running.values().sum();
    let mut running = load.running.clone();
    let ahead_of = |same: bool| {
        let before = order[..place].iter().filter(|candidate| !same || candidate.organization == *own);
        Ahead { count: before.clone().count(), first: before.map(|candidate| candidate.job).next() }
    };
    for candidate in &order[..=place] {
        let is_own = candidate.job == order[place].job;
        let of_organization = running.entry(candidate.organization.clone()).or_default();
        if limits.organization.is_some_and(|limit| *of_organization >= limit) {
            if is_own {
                let limit = limits.organization.unwrap_or_default();
                return Some(SlotWait::Organization { limit, ahead: ahead_of(true) });
            }
            // It waits for its own organization, and keeps no other one from starting.
            continue;
        }
        if limits.server.is_some_and(|limit| total >= limit) {
            // Every later one waits, too.
            return limits.server.map(|limit| SlotWait::Server { limit, ahead: ahead_of(false) });
        }
        *of_organization += 1;
        total += 1;
    }
    None
}

/// Returns the candidates in the order in which they may start.
fn order(load: &Load) -> Vec<&Candidate> {
    let mut left: Vec<&Candidate> = load.candidates.iter().collect();
    let mut running = load.running.clone();
    let mut order = Vec::with_capacity(left.len());
    // Each one that starts counts for its organization, so the next one is of another organization.
    while let Some(next) = (0..left.len()).min_by_key(|&at| {
        let Candidate { job, organization, changes_infrastructure } = left[at];
        (!changes_infrastructure, running.get(organization).copied().unwrap_or_default(), *job)
    }) {
        let next = left.swap_remove(next);
        *running.entry(next.organization.clone()).or_default() += 1;
        order.push(next);
    }
    order
}

#[cfg(test)]
mod tests;
