//! `cargo xtask bench`: runs the benchmarks.

use std::time::Duration;

use anyhow::Context as _;
use clap::Subcommand;

use crate::shell::{self, Cmd, Shell};

/// Functions in `job-spec/benches/spec.rs`.
const WHOLE: &str = "the_whole_way";
const YARDSTICK: &str = "serialise_the_job";
/// The targets: an absolute time, and a ratio to the yardstick, which depends less on the machine.
const MAX_DURATION: Duration = Duration::from_micros(100);
const MAX_RATIO: f64 = 5.0;

#[derive(Debug, Subcommand)]
pub(crate) enum Bench {
    /// From settings and a payload to a Kubernetes Job, as a ratio to its serialization
    Spec,
    /// Steps through the executor beside the same terraform commands typed by hand; its memory, its start and
    /// its log
    Executor {
        /// Number of measurements of each kind
        #[arg(long, default_value_t = 7)]
        rounds: usize,
    },
    /// Eight plans at once with the provider hashicorp/aws and one plugin cache, beside terraform alone
    Providers {
        /// A filesystem mirror of terraform that has the provider, unpacked
        #[arg(long, default_value = "/opt/tf-plugins")]
        mirror: String,
    },
    /// Jobs per second through the Kubernetes backend, as a ratio to bare POSTs;
    /// memory and time to the first observation
    Dispatch {
        /// Number of Jobs of each side
        #[arg(long, default_value_t = 2000)]
        jobs: usize,
        /// A context of the kubeconfig [default: an API server in memory]
        #[arg(long)]
        context: Option<String>,
    },
}

/// Runs one benchmark.
pub(crate) fn run(shell: &Shell, bench: &Bench) -> anyhow::Result<()> {
    match bench {
        Bench::Spec => spec(shell),
        Bench::Executor { rounds } => executor(shell, "steps", &rounds.to_string()),
        Bench::Providers { mirror } => executor(shell, "providers", mirror),
        Bench::Dispatch { jobs, context } => {
            Cmd::cargo(["run", "--quiet", "--release", "-p", "k8s-backend", "--example", "dispatch", "--"])
                .args([jobs.to_string().as_str()])
                .args(context.as_deref())
                .run(shell)
        }
    }
}

/// The program that measures has the executor's own server in memory, so that nothing else is measured.
fn executor(shell: &Shell, kind: &str, argument: &str) -> anyhow::Result<()> {
    Cmd::cargo(["build", "--quiet", "--release", "-p", "executor"]).run(shell)?;
    // Only the executor is measured; the rest needs no second build of every library.
    Cmd::cargo(["build", "--quiet", "-p", "executor", "--example", "bench"]).run(shell)?;
    let folder = shell.target_folder()?;
    let (program, executor) = (folder.join("debug/examples/bench"), folder.join("release/executor"));
    Cmd::new(&program.to_string_lossy(), [kind, &*executor.to_string_lossy(), argument]).run(shell)
}

fn spec(shell: &Shell) -> anyhow::Result<()> {
    let table = Cmd::cargo(["bench", "-p", "job-spec", "--bench", "spec"]).read(shell)?;
    shell::line(&table);
    let median =
        |name: &str| median(&table, name).with_context(|| format!("the table has no median of {name:?}"));
    let (whole, yardstick) = (median(WHOLE)?, median(YARDSTICK)?);
    let ratio = whole.as_secs_f64() / yardstick.as_secs_f64();
    let result = format!(
        "{WHOLE}: {whole:.1?}, {ratio:.1} times {YARDSTICK} ({yardstick:.1?}); \
         targets: under {MAX_DURATION:?}, under {MAX_RATIO} times"
    );
    if whole < MAX_DURATION && ratio < MAX_RATIO {
        shell::success(&result);
    } else {
        shell::warning(&result);
    }
    Ok(())
}

/// Returns the median of a benchmark, the third column of the table.
fn median(table: &str, name: &str) -> Option<Duration> {
    let row = table.lines().find(|line| line.split_whitespace().nth(1) == Some(name))?;
    let (number, unit) = row.split('│').nth(2)?.trim().split_once(' ')?;
    let seconds = match unit {
        "ns" => 1e-9,
        "µs" => 1e-6,
        "ms" => 1e-3,
        "s" => 1.0,
        _ => return None,
    };
    Duration::try_from_secs_f64(number.parse::<f64>().ok()? * seconds).ok()
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
    fn parses_the_median_in_any_unit() {
        assert_eq!(median(TABLE, WHOLE), Some(Duration::from_nanos(30_540)));
        assert_eq!(median(TABLE, YARDSTICK), Some(Duration::from_nanos(975)));
        assert_eq!(median(TABLE, "whole"), None);
    }
}
