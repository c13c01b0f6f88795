//! `cargo xtask fuzz`: lets an engine search for inputs that break what must hold for every input of a parser.
//!
//! The targets are in the crate `fuzz`, which this program only runs. The engine, libFuzzer, is led by coverage: the
//! compiler is told to count which edges of the code an input reaches. All of it works with a stable compiler, and its
//! build is apart from the usual one, because crates are compiled in another way.

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
    /// What to search in; without it, all targets are listed
    target: Option<String>,
    /// How long to search
    #[arg(long, value_name = "N", default_value_t = 60)]
    seconds: u32,
    /// Ends after so many executions, if that is sooner
    #[arg(long, value_name = "N")]
    runs: Option<u64>,
}

/// Says to the compiler which crates shall tell the engine where they have been.
const COMPILER: &str = "fuzz/engine/rustc.sh";

/// Where everything about fuzzing lies, relative to the root.
const FOLDER: &str = "target/fuzz";

/// A line of the list of targets.
#[derive(Debug, PartialEq, Eq)]
struct Target<'a> {
    name: &'a str,
    longest: &'a str,
    about: &'a str,
}

/// Lists the targets, or searches in one of them.
pub(crate) fn run(shell: &Shell, args: &Args) -> anyhow::Result<()> {
    let list = Cmd::cargo(["run", "--quiet", "-p", "fuzz"]).read(shell)?;
    let targets: Vec<Target<'_>> = list.lines().filter_map(target).collect();
    let Some(wanted) = &args.target else {
        for Target { name, longest: _, about } in targets {
            shell::line(&format!("{name:<20} {about}"));
        }
        return Ok(());
    };
    let Some(target) = targets.iter().find(|target| target.name == wanted) else {
        let names: Vec<&str> = targets.iter().map(|target| target.name).collect();
        bail!("there is no target {wanted:?}; there are {}", names.join(", "));
    };
    let engine = build(shell)?;
    search(shell, args, target, &engine)
}

fn target(line: &str) -> Option<Target<'_>> {
    let mut columns = line.split('\t');
    Some(Target { name: columns.next()?, longest: columns.next()?, about: columns.next()? })
}

/// Builds the engine, apart from all other builds. The target is named, because only then are crates that macros use too
/// compiled twice, once without the flags.
fn build(shell: &Shell) -> anyhow::Result<PathBuf> {
    let messages = Cmd::cargo(["build", "-p", "fuzz", "--bin", "engine", "--features", "engine"])
        .args(["--profile", "fuzz", "--target", "host-tuple", "--target-dir", FOLDER])
        .args(["--message-format=json-render-diagnostics"])
        .env("RUSTC_WRAPPER", shell.root.join(COMPILER))
        .read(shell)?;
    find_program(&messages, "engine").context("cargo built no program \"engine\"")
}

fn search(shell: &Shell, args: &Args, target: &Target<'_>, engine: &std::path::Path) -> anyhow::Result<()> {
    let Target { name, longest, about } = *target;
    let [seeds, corpus] = ["seeds", "corpus"].map(|folder| format!("{FOLDER}/{folder}/{name}"));
    Cmd::cargo(["run", "--quiet", "-p", "fuzz", "--", name, &seeds]).run(shell)?;
    let finds = shell.root.join(FOLDER).join("finds");
    for folder in [&shell.root.join(&corpus), &finds] {
        std::fs::create_dir_all(folder).with_context(|| format!("could not make {}", folder.display()))?;
    }
    shell::note(&format!("{name}: {about}"));
    shell::note(&format!("searching for up to {} s", args.seconds));
    let runs = args.runs.map(|runs| format!("-runs={runs}"));
    let answer = Cmd::new(&engine.display().to_string(), [corpus.as_str(), &seeds])
        .args([format!("-max_len={longest}").as_str(), &format!("-max_total_time={}", args.seconds)])
        .args(runs.as_deref())
        .args(["-timeout=10", &format!("-artifact_prefix={}/{name}-", finds.display())])
        // What follows is for the target, not for the engine.
        .args(["-ignore_remaining_args=1", name])
        .output(shell);
    let answer = answer?;
    if !answer.status.success() {
        for line in report::of_a_find(&answer.stderr) {
            shell::line(line);
        }
        bail!("an input was found for which something does not hold; it lies in {}", finds.display());
    }
    let report = Report::read(&answer.stderr).context("the engine has printed no result")?;
    shell::success(&format!("{name}: {report}"));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_the_list_is_a_target() {
        let expected = Target { name: "quantity", longest: "32", about: "amounts are right" };
        assert_eq!(target("quantity\t32\tamounts are right"), Some(expected));
        assert_eq!(target("warning: something else"), None);
    }
}
