//! Searches for histories that break a promise, in a model of the whole product over virtual time.
//!
//! The decisions are those of the product: `api_server::orchestrator::decide` decides about jobs, `slot`
//! about the queue, `api_server::http::access::decide` about credentials. Around them is a small world that
//! has accidents: servers and executors are killed at every await point, messages are lost, late or arrive
//! twice, pods start twice, nodes are cut off, clocks jump, the store and the cluster fail, users cancel,
//! push states and resolve outcomes, and code in a step uses every credential that it can see.
//! `docs/search.md` describes what is in the model and what is not.
//!
//! A history is a list of choices that follows from its seed. One that breaks a promise is made as short as
//! possible and printed.
//!
//! In reading order: `promises`, `faults` (deliberate bugs that must be found), `world` (what happens; below
//! it who acts, and `invariants`, what must hold), `records` (the store), `choices`.

mod books;
mod choices;
#[cfg(test)]
mod conformance;
mod faults;
mod promises;
mod records;
mod world;

use std::{
    collections::BTreeMap,
    path::PathBuf,
    sync::atomic::{AtomicU64, Ordering},
    time::Instant,
};

use anyhow::{Context as _, bail};
use clap::Parser;

use self::{
    choices::{Choices, shrink},
    faults::Fault,
    promises::Violation,
    world::World,
};
use crate::ui::Ui;

/// The longest histories, in choices; the seed decides which of them it is.
const MAX_CHOICES: [usize; 4] = [80, 150, 300, 500];

/// How many histories a deliberate bug may take to be found.
const HISTORIES_PER_FAULT: u64 = 500_000;

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
    /// Write the shortest history of each deliberate bug to this file
    #[arg(long, value_name = "FILE", requires = "faults")]
    write: Option<PathBuf>,
    /// Play one history of these choices, and print what happens
    #[arg(long, value_name = "CHOICES", conflicts_with = "faults")]
    history: Option<String>,
    /// Play it with this deliberate bug
    #[arg(long, value_name = "NAME", requires = "history")]
    fault: Option<String>,
}

/// A history that broke a promise.
#[derive(Debug)]
struct Found {
    seed: u64,
    violation: Violation,
    tape: Vec<u8>,
}

/// Runs the program.
///
/// # Errors
/// A history breaks a promise, or a deliberate bug was not found.
pub fn run(args: &Args) -> anyhow::Result<()> {
    match &args.history {
        Some(choices) => play(choices, args.fault.as_deref()),
        None if args.faults => search_faults(args),
        None => search(args),
    }
}

/// Plays one history, and prints what happens.
fn play(choices: &str, fault: Option<&str>) -> anyhow::Result<()> {
    let ui = Ui::for_terminal();
    let tape = tape(choices).context("--history")?;
    let fault = fault.map(fault_named).transpose()?;
    let mut world = World::new(Choices::recorded(&tape), fault);
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

fn fault_named(name: &str) -> anyhow::Result<Fault> {
    let found = Fault::ALL.iter().find(|fault| format!("{fault:?}") == name);
    let names = || Fault::ALL.iter().map(|fault| format!("{fault:?}")).collect::<Vec<_>>().join(", ");
    found
        .copied()
        .with_context(|| format!("no deliberate bug is named {name:?}, expected one of {}", names()))
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
        bail!("a history breaks a promise; play it with `cargo xtask search --history \"...\"`");
    }
    let seconds = started.elapsed().as_secs();
    ui.success(&format!("{} histories, none breaks a promise ({seconds} s)", args.histories));
    Ok(())
}

fn search_faults(args: &Args) -> anyhow::Result<()> {
    let ui = Ui::for_terminal();
    let mut missed = Vec::new();
    let mut lines = BTreeMap::new();
    for fault in Fault::ALL {
        let started = Instant::now();
        let found = search_range(args.seed, HISTORIES_PER_FAULT, Some(*fault));
        let seconds = started.elapsed().as_secs_f64();
        let Some(Found { seed, violation, tape }) = found else {
            ui.line(&format!("{fault:?} was not found:{}", fault.description()));
            missed.push(format!("{fault:?}"));
            continue;
        };
        let name = format!("{fault:?}");
        let histories = seed.wrapping_sub(args.seed) + 1;
        let choices = tape.len();
        ui.line(&format!("{name:<26} {histories:>7} {choices:>4} {seconds:>7.1} s  {violation}"));
        lines.insert(name, text(&tape));
    }
    if let Some(file) = &args.write {
        let lines: Vec<String> = lines.iter().map(|(name, tape)| format!("{name}: {tape}\n")).collect();
        std::fs::write(file, lines.concat()).with_context(|| format!("cannot write {}", file.display()))?;
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
            if !random_world(seed, fault).play().violations.is_empty() {
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
        let mut world = random_world(seed, fault).play();
        let first = world.violations.swap_remove(0);
        // The shrunk history breaks the same promise.
        let same = |found: &Violation| found.promise == first.promise;
        let tape =
            shrink(world.choices.into_tape(), |tape| violation(tape, fault).as_ref().is_some_and(same));
        Found { seed, violation: violation(&tape, fault).unwrap_or(first), tape }
    })
}

fn random_world(seed: u64, fault: Option<Fault>) -> World {
    let length = usize::try_from(seed % 4).unwrap_or_default();
    World::new(Choices::random(seed, MAX_CHOICES[length]), fault)
}

/// Plays recorded choices, and returns the promise that they break.
fn violation(tape: &[u8], fault: Option<Fault>) -> Option<Violation> {
    World::new(Choices::recorded(tape), fault).play().violations.into_iter().next()
}

/// Writes choices as a line of text.
fn text(tape: &[u8]) -> String {
    tape.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The shortest histories that were found: of each deliberate bug, among them those that were once bugs
    /// of the product. `cargo xtask search --faults --write e2e/src/search/histories.txt` finds them again
    /// where the model has changed.
    const HISTORIES: &str = include_str!("search/histories.txt");

    const PAGE: &str = include_str!("../../docs/search.md");

    #[test]
    fn no_history_breaks_a_promise() {
        let found = search_range(1, 1_500, None);
        assert!(found.is_none(), "{found:?}");
    }

    #[test]
    fn committed_histories_find_each_deliberate_bug_and_nothing_without_it() {
        let mut found = Vec::new();
        for line in HISTORIES.lines() {
            let (name, choices) = line.split_once(": ").unwrap();
            let (fault, tape) = (fault_named(name).unwrap(), tape(choices).unwrap());
            let broken = violation(&tape, Some(fault));
            assert!(broken.is_some(), "the history of {name} finds nothing; the model has changed");
            assert_eq!(violation(&tape, None), None, "{line}");
            found.push(fault);
        }
        for fault in Fault::ALL {
            assert!(found.contains(fault), "{fault:?} has no history");
        }
    }

    #[test]
    fn page_describes_each_promise_and_each_deliberate_bug() {
        let rows = Fault::ALL
            .iter()
            .map(|fault| format!("| `{fault:?}` |{} | `{:?}` |", fault.description(), fault.breaks()));
        let promises = promises::Promise::ALL
            .iter()
            .map(|promise| format!("| `{promise:?}` |{} |", promise.description()));
        for row in rows.chain(promises) {
            assert!(PAGE.contains(&row), "docs/search.md lacks the row\n{row}");
        }
    }

    #[test]
    fn the_same_seed_is_the_same_history() {
        let play = || random_world(43, None).play();
        assert_eq!(format!("{:?}", play().records), format!("{:?}", play().records));
    }
}
