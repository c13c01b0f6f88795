//! Random schedules of faults against the API server in memory: no Job is lost, none is made twice, every watcher ends.
//!
//! `FAULT_SCHEDULES` is how many are played (300 without it), `FAULT_SEED` plays one alone. A failure names its seed. Time is
//! that of the test, so that waiting costs nothing.

#![expect(clippy::unwrap_used, clippy::panic, reason = "helpers of tests may fail as tests do")]

#[path = "faults/driver.rs"]
mod driver;
#[path = "faults/world.rs"]
mod world;

use std::time::Duration;

use tokio::time::timeout;

use world::World;

#[expect(
    clippy::disallowed_methods,
    reason = "how many schedules are played is the caller's choice, not the program's"
)]
fn number(variable: &str) -> Option<u64> {
    let text = std::env::var(variable).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{variable} is {text:?}, expected a number")))
}

/// Plays one schedule to its end.
fn play(seed: u64) {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap();
    // The pauses between tries are random, too.
    fastrand::seed(seed);
    runtime.block_on(async {
        let mut world = World::new(seed);
        world.go_wrong().await;
        world.recover();
        let ended = timeout(Duration::from_hours(4), world.wait_for_all()).await;
        assert!(ended.is_ok(), "seed {seed}: a watcher did not end: {}", world.report());
        world.check();
    });
}

#[test]
fn no_job_is_lost_none_is_made_twice_and_every_watcher_ends() {
    if let Some(seed) = number("FAULT_SEED") {
        return play(seed);
    }
    let schedules = number("FAULT_SCHEDULES").unwrap_or(300);
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    // Each schedule has a clock and dice of its own, so that threads change nothing in it.
    let play_share = |first: u64| {
        let mut seeds = (first..schedules).step_by(threads);
        seeds.find(|seed| std::panic::catch_unwind(|| play(*seed)).is_err())
    };
    let failed: Vec<_> = std::thread::scope(|scope| {
        let shares: Vec<_> =
            (0..).take(threads).map(|first| scope.spawn(move || play_share(first))).collect();
        shares.into_iter().filter_map(|share| share.join().unwrap()).collect()
    });
    assert!(failed.is_empty(), "schedules failed; play one alone with FAULT_SEED={failed:?}");
}
