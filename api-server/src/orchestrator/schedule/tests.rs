//! Tables and properties: limits are kept, slots are used, organizations take turns.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::{free as free_at, *};

const NOW: Timestamp = Timestamp::UNIX_EPOCH;

fn candidate(job: i64, organization: &str, changes_infrastructure: bool) -> Candidate {
    Candidate { job, organization: organization.to_owned(), changes_infrastructure }
}

fn load(running: &[(&str, u32)], candidates: &[Candidate]) -> Load {
    Load {
        running: running.iter().map(|(name, count)| ((*name).to_owned(), *count)).collect::<BTreeMap<_, _>>(),
        candidates: candidates.to_vec(),
        ..Load::default()
    }
}

fn limits(server: u32, organization: u32) -> Limits {
    Limits { server: Some(server), organization: Some(organization) }
}

fn free(load: &Load, limits: Limits) -> Vec<i64> {
    let mut free = free_at(load, limits, NOW);
    free.sort_unstable();
    free
}

#[test]
fn without_limits_every_job_starts() {
    let load = load(&[("a", 100)], &[candidate(1, "a", false), candidate(2, "a", true)]);
    assert_eq!(free(&load, Limits::default()), [1, 2]);
}

#[test]
fn apply_starts_before_an_older_plan() {
    let load = load(&[("a", 1)], &[candidate(1, "a", false), candidate(2, "a", true)]);
    assert_eq!(free(&load, limits(2, 2)), [2]);
    let waits = slot(1, &load, limits(2, 9), NOW);
    let ahead = Ahead { count: 1, first: Some(2) };
    assert_eq!(waits, Slot::Wait(SlotWait::Server { limit: 2, ahead }));
}

#[test]
fn organizations_take_turns() {
    let jobs: Vec<_> = (1..=6).map(|job| candidate(job, "large", false)).collect();
    let load = load(&[], &[jobs, vec![candidate(7, "small", false)]].concat());
    assert_eq!(free(&load, Limits { server: Some(2), organization: None }), [1, 7]);
    assert_eq!(free(&load, Limits { server: Some(3), organization: None }), [1, 2, 7]);
}

#[test]
fn full_organization_keeps_no_other_one_from_starting() {
    let load =
        load(&[("a", 2)], &[candidate(1, "a", true), candidate(2, "a", true), candidate(3, "b", false)]);
    assert_eq!(free(&load, limits(3, 2)), [3]);
    let ahead = Ahead { count: 1, first: Some(1) };
    assert_eq!(slot(2, &load, limits(3, 2), NOW), Slot::Wait(SlotWait::Organization { limit: 2, ahead }));
}

#[test]
fn exhausted_quota_slows_down_new_steps_but_stops_none_for_ever() {
    let mut load = load(&[("a", 1)], &[candidate(5, "b", false)]);
    load.waits_for_quota = Some(4);
    load.last_start = Some(NOW);
    let until = NOW + QUOTA_PROBE_INTERVAL;
    assert_eq!(slot(5, &load, Limits::default(), NOW), Slot::Wait(SlotWait::Quota { job: 4, until }));
    assert_eq!(slot(5, &load, Limits::default(), until), Slot::Free);
}

#[test]
fn step_that_excludes_another_one_of_its_workspace_waits_for_it() {
    let load = Load { beside: Some(3), ..load(&[], &[candidate(5, "b", true)]) };
    assert_eq!(slot(5, &load, Limits::default(), NOW), Slot::Wait(SlotWait::Workspace { job: 3 }));
}

#[test]
fn step_in_the_workspace_of_one_job_keeps_no_other_job_from_starting() {
    let load = Load { beside: Some(3), ..load(&[("a", 1)], &[candidate(5, "b", true)]) };
    assert_eq!(free(&load, limits(2, 1)), [5]);
}

fn any_load() -> impl Strategy<Value = Load> {
    let candidates = prop::collection::vec((0_u8..4, any::<bool>()), 0..12);
    (prop::collection::vec(0_u32..4, 4), candidates).prop_map(|(running, candidates)| Load {
        running: (0..).zip(running).map(|(name, count): (u8, u32)| (name.to_string(), count)).collect(),
        candidates: (1..)
            .zip(candidates)
            .map(|(job, (organization, changes))| candidate(job, &organization.to_string(), changes))
            .collect(),
        ..Load::default()
    })
}

proptest! {
    #[test]
    fn limits_are_kept_and_slots_are_used(load in any_load(), server in 1_u32..12, organization in 1_u32..6) {
        let limits = limits(server, organization);
        let started = free(&load, limits);
        let total: u32 = load.running.values().sum();
        let count = u32::try_from(started.len()).unwrap();
        prop_assert!(count == 0 || total + count <= server);
        let mut running = load.running.clone();
        for candidate in load.candidates.iter().filter(|candidate| started.contains(&candidate.job)) {
            *running.entry(candidate.organization.clone()).or_default() += 1;
        }
        for candidate in &load.candidates {
            let of_organization = running[&candidate.organization];
            if started.contains(&candidate.job) {
                prop_assert!(of_organization <= organization);
            } else {
                // Nothing that could run waits.
                prop_assert!(total + count >= server || of_organization >= organization);
            }
        }
    }
}
