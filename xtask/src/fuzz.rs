//! `cargo xtask fuzz`: searches for inputs that violate the invariants of the parsers.
//!
//! The targets are in the crate `fuzz`. The engine, libFuzzer, is guided by coverage, which the compiler
//! instruments. It works with a stable compiler, and uses a target folder of its
//! own because the crates are compiled with other flags.

mod report;

use std::path::PathBuf;

use anyhow::{Context as _, bail};

use crate::{
    shell::{self, Cmd, Shell},
    test::find_program,
};
use report::Report;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The target [default: list all targets]
    target: Option<String>,
    /// Duration of the search
    #[arg(long, value_name = "N", default_value_t = 60)]
    seconds: u32,
    /// Maximum number of executions
    #[arg(long, value_name = "N")]
    runs: Option<u64>,
}

/// The compiler wrapper that instruments our crates.
const COMPILER: &str = "fuzz/engine/rustc.sh";

/// Seeds, corpus, findings and builds, relative to the root.
const FOLDER: &str = "target/fuzz";

/// A line of the list of targets.
#[derive(Debug, PartialEq, Eq)]
struct Target<'a> {
    name: &'a str,
    max_length: &'a str,
    about: &'a str,
}

/// Lists the targets, or runs one.
pub(crate) fn run(shell: &Shell, args: &Args) -> anyhow::Result<()> {
    let list = Cmd::cargo(["run", "--quiet", "-p", "fuzz"]).read(shell)?;
    let targets: Vec<Target<'_>> = list.lines().filter_map(target).collect();
    let Some(wanted) = &args.target else {
        for Target { name, max_length: _, about } in targets {
            shell::line(&format!("{name:<20} {about}"));
        }
        return Ok(());
    };
    let Some(target) = targets.iter().find(|target| target.name == wanted) else {
        let names: Vec<&str> = targets.iter().map(|target| target.name).collect();
        bail!("unknown target {wanted:?}, expected one of {}", names.join(", "));
    };
    let engine = build(shell)?;
    search(shell, args, target, &engine)
}

fn target(line: &str) -> Option<Target<'_>> {
    let mut columns = line.split('\t');
    Some(Target { name: columns.next()?, max_length: columns.next()?, about: columns.next()? })
}

/// Builds the engine in a target folder of its own. With an explicit target the
/// flags do not apply to procedural macros.
fn build(shell: &Shell) -> anyhow::Result<PathBuf> {
    let messages = Cmd::cargo(["build", "-p", "fuzz", "--bin", "engine", "--features", "engine"])
        .args(["--profile", "fuzz", "--target", "host-tuple", "--target-dir", FOLDER])
        .args(["--message-format=json-render-diagnostics"])
        .env("RUSTC_WRAPPER", shell.root.join(COMPILER))
        .read(shell)?;
    find_program(&messages, "engine").context("cargo built no program \"engine\"")
}

fn search(shell: &Shell, args: &Args, target: &Target<'_>, engine: &std::path::Path) -> anyhow::Result<()> {
    let Target { name, max_length, about } = *target;
    let [seeds, corpus] = ["seeds", "corpus"].map(|folder| format!("{FOLDER}/{folder}/{name}"));
    Cmd::cargo(["run", "--quiet", "-p", "fuzz", "--", name, &seeds]).run(shell)?;
    let findings = shell.root.join(FOLDER).join("findings");
    for folder in [&shell.root.join(&corpus), &findings] {
        std::fs::create_dir_all(folder).with_context(|| format!("cannot create {}", folder.display()))?;
    }
    shell::note(&format!("{name}: {about}"));
    shell::note(&format!("searching for up to {} s", args.seconds));
    let runs = args.runs.map(|runs| format!("-runs={runs}"));
    let answer = Cmd::new(&engine.display().to_string(), [corpus.as_str(), &seeds])
        .args([format!("-max_len={max_length}").as_str(), &format!("-max_total_time={}", args.seconds)])
        .args(runs.as_deref())
        .args(["-timeout=10", &format!("-artifact_prefix={}/{name}-", findings.display())])
        // The arguments after this one are for the target, not for the engine.
        .args(["-ignore_remaining_args=1", name])
        .output(shell);
    let answer = answer?;
    if !answer.status.success() {
        for line in report::finding(&answer.stderr) {
            shell::line(line);
        }
        bail!("an input violates an invariant; it is in {}", findings.display());
    }
    let report = Report::parse(&answer.stderr).context("the engine printed no result")?;
    shell::success(&format!("{name}: {report}"));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parses_a_line_of_the_list() {
        let expected = Target { name: "quantity", max_length: "32", about: "quantities" };
        assert_eq!(target("quantity\t32\tquantities"), Some(expected));
        assert_eq!(target("warning: something else"), None);
    }
}
