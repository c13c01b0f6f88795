//! `cargo xtask bench spec`: runs the benchmark of job-spec and computes the ratio that it is about.

use std::time::Duration;

use anyhow::Context as _;

use crate::{cmd::Cmd, environment::Environment};

/// What is measured, and what it is measured by: names of functions in `job-spec/benches/spec.rs`.
const WHOLE: &str = "the_whole_way";
const YARDSTICK: &str = "serialise_the_job";

/// The aims: the whole way takes less than this, and less than this many times the yardstick.
const LONGEST: Duration = Duration::from_micros(100);
const LARGEST_RATIO: f64 = 5.0;

pub(super) fn run(environment: &Environment) -> anyhow::Result<()> {
    let table = Cmd::cargo(["bench", "-p", "job-spec", "--bench", "spec"]).read(environment)?;
    table.lines().for_each(|line| environment.ui.line(line));
    let median = |name: &str| {
        median(&table, name).with_context(|| format!("the benchmark printed no median of {name:?}"))
    };
    let (whole, yardstick) = (median(WHOLE)?, median(YARDSTICK)?);
    let ratio = whole.as_secs_f64() / yardstick.as_secs_f64();
    let result = format!(
        "{WHOLE}: {:.1} µs, {ratio:.1} times {YARDSTICK} ({:.1} µs)",
        micros(whole),
        micros(yardstick)
    );
    let aim = format!("the aim is under {:.0} µs and under {LARGEST_RATIO} times", micros(LONGEST));
    if whole < LONGEST && ratio < LARGEST_RATIO {
        environment.ui.good(&format!("{result}; {aim}"));
    } else {
        environment.ui.warning(&format!("{result}; {aim}"));
    }
    Ok(())
}

fn micros(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e6
}

/// Reads the median of a benchmark, the third column of the table.
fn median(table: &str, name: &str) -> Option<Duration> {
    let row = table.lines().find(|line| line.split_whitespace().nth(1) == Some(name))?;
    let mut words = row.split('│').nth(2)?.split_whitespace();
    let (number, unit) = (words.next()?.parse::<f64>().ok()?, words.next()?);
    let nanos = match unit {
        "ns" => 1.0,
        "µs" => 1e3,
        "ms" => 1e6,
        "s" => 1e9,
        _ => return None,
    };
    Duration::try_from_secs_f64(number * nanos / 1e9).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLE: &str = "\
Timer precision: 20 ns
spec                     fastest       │ slowest       │ median        │ mean          │ samples │ iters
├─ serialise_the_job     950.5 ns      │ 31.57 µs      │ 975 ns        │ 5.479 µs      │ 100     │ 100
╰─ the_whole_way         29.06 µs      │ 1.2 ms        │ 30.54 µs      │ 31.5 µs       │ 100     │ 100
";

    #[test]
    fn the_median_is_read_in_any_unit() {
        assert_eq!(median(TABLE, WHOLE), Some(Duration::from_nanos(30_540)));
        assert_eq!(median(TABLE, YARDSTICK), Some(Duration::from_nanos(975)));
    }

    #[test]
    fn what_was_not_measured_has_no_median() {
        assert_eq!(median(TABLE, "whole"), None);
        assert_eq!(median("", WHOLE), None);
    }
}
