//! Searches for histories that break a promise, in a model of the whole product over virtual time.
//!
//! The decisions are those of the product: `api_server::orchestrator::decide` decides about jobs,
//! `api_server::http::access::decide` about credentials. Around them is a small world that has accidents: the
//! server is killed or stopped between any two effects, messages are lost or arrive twice, pods start twice,
//! executors and terraform are killed, nodes are cut off, the clock jumps, users cancel, push states and
//! resolve outcomes, and code in a step uses every credential that it can see.
//!
//! A history is a list of choices that follows from its seed. One that breaks a promise is made as short as
//! possible and printed; `histories.txt` has those that were found once, and tests play them.
//!
//! In reading order: `world` (what happens; below it who acts, and `invariants`, what must hold), `records`
//! (the store), `faults` (deliberate bugs that must be found), `choices`.

mod books;
mod choices;
mod faults;
mod records;
mod world;

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Instant,
};

use anyhow::{Context as _, bail};
use clap::Parser;

use self::{
    choices::{Choices, shrink},
    faults::Fault,
    world::World,
};
use crate::ui::Ui;

/// The longest history, in choices.
const MAX_CHOICES: usize = 400;

/// How many histories a deliberate bug may take to be found.
const HISTORIES_PER_FAULT: u64 = 200_000;

/// Searches for histories that break a promise
#[derive(Debug, Parser)]
#[command(name = "cargo xtask search", bin_name = "cargo xtask search")]
pub struct Args {
    /// Number of histories
    #[arg(long, default_value_t = 1_000_000)]
    histories: u64,
    /// Seed of the first history; each further one has the next
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Play the deliberate bugs instead, each of which must be found
    #[arg(long)]
    faults: bool,
    /// Play one history of these choices, and print what happens
    #[arg(long, value_name = "CHOICES", conflicts_with = "faults")]
    history: Option<String>,
}

/// A history that broke a promise.
#[derive(Debug)]
struct Found {
    seed: u64,
    violation: String,
    tape: Vec<u8>,
}

/// Runs the program.
///
/// # Errors
/// A history breaks a promise, or a deliberate bug was not found.
pub fn run(args: &Args) -> anyhow::Result<()> {
    match &args.history {
        Some(choices) => play(choices),
        None if args.faults => search_faults(args.seed),
        None => search(args),
    }
}

/// Plays one history, and prints what happens.
fn play(choices: &str) -> anyhow::Result<()> {
    let ui = Ui::for_terminal();
    let tape = tape(choices).context("--history")?;
    let mut world = World::new(Choices::recorded(&tape), None);
    world.trace = Some(Vec::new());
    let world = world.play();
    for line in world.trace.iter().flatten() {
        ui.line(line);
    }
    match world.violations.first() {
        Some(violation) => bail!("{violation}"),
        None => Ok(()),
    }
}

/// Reads a line of choices.
fn tape(text: &str) -> anyhow::Result<Vec<u8>> {
    let choice = |text: &str| text.parse().with_context(|| format!("found {text:?}, expected 0 to 255"));
    text.split_whitespace().map(choice).collect()
}

fn search(args: &Args) -> anyhow::Result<()> {
    let ui = Ui::for_terminal();
    let started = Instant::now();
    ui.line(&format!("searching {} histories from seed {}", args.histories, args.seed));
    let found = search_range(args.seed, args.histories, None);
    if let Some(found) = found {
        ui.line(&format!("seed {}: {}", found.seed, found.violation));
        ui.line(&format!("shrunk to {} choices: {}", found.tape.len(), text(&found.tape)));
        bail!("a history breaks a promise; add the line of choices to e2e/src/search/histories.txt");
    }
    let seconds = started.elapsed().as_secs();
    ui.success(&format!("{} histories, none breaks a promise ({seconds} s)", args.histories));
    Ok(())
}

fn search_faults(seed: u64) -> anyhow::Result<()> {
    let ui = Ui::for_terminal();
    let mut missed = Vec::new();
    for fault in Fault::ALL {
        match search_range(seed, HISTORIES_PER_FAULT, Some(fault)) {
            Some(found) => ui.line(&format!(
                "{fault:?}: found with seed {}, {} choices: {}",
                found.seed,
                found.tape.len(),
                found.violation
            )),
            None => missed.push(format!("{fault:?}")),
        }
    }
    if !missed.is_empty() {
        bail!("not found: {}", missed.join(", "));
    }
    ui.success(&format!("each of {} deliberate bugs was found", Fault::ALL.len()));
    Ok(())
}

/// Plays histories on all processors, and returns the shrunk one of the lowest seed that breaks a promise.
fn search_range(first: u64, count: u64, fault: Option<Fault>) -> Option<Found> {
    let workers = std::thread::available_parallelism().map_or(1, usize::from);
    let next = AtomicU64::new(0);
    let lowest = AtomicU64::new(u64::MAX);
    let work = || {
        loop {
            let offset = next.fetch_add(1, Ordering::Relaxed);
            let seed = first.wrapping_add(offset);
            if offset >= count || seed > lowest.load(Ordering::Relaxed) {
                return;
            }
            if !World::new(Choices::random(seed, MAX_CHOICES), fault).play().violations.is_empty() {
                lowest.fetch_min(seed, Ordering::Relaxed);
            }
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..workers {
            scope.spawn(work);
        }
    });
    let seed = lowest.into_inner();
    (seed != u64::MAX).then(|| {
        let world = World::new(Choices::random(seed, MAX_CHOICES), fault).play();
        let tape = shrink(world.choices.into_tape(), |tape| violation(tape, fault).is_some());
        Found { seed, violation: violation(&tape, fault).unwrap_or_default(), tape }
    })
}

/// Plays recorded choices, and returns the promise that they break.
fn violation(tape: &[u8], fault: Option<Fault>) -> Option<String> {
    World::new(Choices::recorded(tape), fault).play().violations.into_iter().next()
}

/// Writes choices as a line of text.
fn text(tape: &[u8]) -> String {
    tape.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Histories that broke a promise once: a line of choices each, after the promise as a comment.
    const FOUND_ONCE: &str = include_str!("search/histories.txt");

    #[test]
    fn no_history_breaks_a_promise() {
        assert!(search_range(1, 3_000, None).is_none(), "{:?}", search_range(1, 3_000, None));
    }

    #[test]
    fn histories_that_broke_a_promise_once_do_so_no_more() {
        let lines = FOUND_ONCE.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
        for line in lines {
            assert_eq!(violation(&tape(line).unwrap(), None), None, "{line}");
        }
    }

    #[test]
    fn the_same_seed_is_the_same_history() {
        let play = || World::new(Choices::random(42, MAX_CHOICES), None).play();
        assert_eq!(format!("{:?}", play().records), format!("{:?}", play().records));
    }
}
