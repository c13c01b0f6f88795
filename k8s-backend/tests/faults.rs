//! Random fault schedules against the API server in memory: no Job is lost, none is created twice, every
//! watch ends.
//!
//! `FAULT_SCHEDULES` is the number of schedules (default 300), `FAULT_SEED` runs a single one. A failure
//! prints its seed. The clock is paused, so that delays take no time.

#![expect(clippy::unwrap_used, clippy::panic, reason = "helpers of tests may fail as tests do")]

#[path = "faults/driver.rs"]
mod driver;
#[path = "faults/world.rs"]
mod world;

use std::time::Duration;

use tokio::time::timeout;

use world::World;

#[expect(clippy::disallowed_methods, reason = "the number of schedules is an option of the test run")]
fn number(variable: &str) -> Option<u64> {
    let text = std::env::var(variable).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{variable} is {text:?}, expected a number")))
}

/// Runs one schedule to its end.
fn run(seed: u64) {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap();
    // The jitter of retries is random, too.
    fastrand::seed(seed);
    runtime.block_on(async {
        let mut world = World::new(seed);
        world.inject_faults().await;
        world.recover();
        let ended = timeout(Duration::from_hours(4), world.wait_for_all()).await;
        assert!(ended.is_ok(), "seed {seed}: a watch did not end: {}", world.report());
        world.check();
    });
}

#[test]
fn no_job_is_lost_or_created_twice_and_every_watch_ends() {
    if let Some(seed) = number("FAULT_SEED") {
        return run(seed);
    }
    let schedules = number("FAULT_SCHEDULES").unwrap_or(300);
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    // Each schedule has its own clock and random numbers, so that threads do not change it.
    let run_share = |first: u64| {
        let mut seeds = (first..schedules).step_by(threads);
        seeds.find(|seed| std::panic::catch_unwind(|| run(*seed)).is_err())
    };
    let failed: Vec<_> = std::thread::scope(|scope| {
        let shares: Vec<_> = (0..).take(threads).map(|first| scope.spawn(move || run_share(first))).collect();
        shares.into_iter().filter_map(|share| share.join().unwrap()).collect()
    });
    assert!(failed.is_empty(), "schedules failed; run a single one with FAULT_SEED={failed:?}");
}
