//! Finds and kills processes that belong to this run: executors by the records of the local backend,
//! terraform as a child of an executor.

use std::{fmt, fs, path::Path};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use super::workspace::APPLY_STEP;

/// A kind of process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Victim {
    Server,
    /// One of several servers, which is stopped and resumed.
    Replica,
    Executor,
    Terraform,
}

/// Which steps are disturbed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Steps {
    All,
    Applies,
}

impl fmt::Display for Victim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Server => "server",
            Self::Replica => "replica stopped",
            Self::Executor => "executor",
            Self::Terraform => "terraform",
        })
    }
}

impl Victim {
    /// Chooses a kind at random.
    pub(super) fn choose(random: &mut fastrand::Rng, has_replicas: bool) -> Self {
        match random.u8(..10) {
            1..3 if has_replicas => Self::Replica,
            0..3 => Self::Server,
            3..6 => Self::Executor,
            _ => Self::Terraform,
        }
    }

    /// Kills one executor or terraform whose records are in a folder, of any step or of applies alone.
    /// Returns whether there was one.
    pub(super) fn kill_one(self, records: &Path, of: Steps, random: &mut fastrand::Rng) -> bool {
        let mut processes = executors(records, of);
        if self == Self::Terraform {
            processes = processes
                .into_iter()
                .flat_map(|executor| children(executor, &["terraform", "tofu"]))
                .collect();
        }
        let chosen = random.choice(processes).and_then(Pid::from_raw);
        chosen.is_some_and(|process| kill_process(process, Signal::KILL).is_ok())
    }
}

/// Returns the executors that run.
fn executors(records: &Path, of: Steps) -> Vec<i32> {
    let jobs = fs::read_dir(records).into_iter().flatten().flatten();
    let is_apply = |name: &str| name.contains(&format!("-{APPLY_STEP}-"));
    let jobs = jobs.filter(|job| of == Steps::All || job.file_name().to_str().is_some_and(is_apply));
    let records = jobs.filter_map(|job| fs::read(job.path().join("record.json")).ok());
    let records = records.filter_map(|record| serde_json::from_slice::<Value>(&record).ok());
    let processes = records.filter_map(|record| i32::try_from(record["process"]["pid"].as_i64()?).ok());
    // The process of an ended Job may have left its number to another program.
    processes.filter(|process| stat(*process).is_some_and(|(name, _)| name == "executor")).collect()
}

fn children(parent: i32, names: &[&str]) -> Vec<i32> {
    let processes = fs::read_dir("/proc").into_iter().flatten().flatten();
    let numbers = processes.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    numbers
        .filter(|process| stat(*process).is_some_and(|(name, of)| names.contains(&&*name) && of == parent))
        .collect()
}

/// Reads the name and the parent of a process.
fn stat(process: i32) -> Option<(String, i32)> {
    let text = fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
    let (begin, rest) = text.rsplit_once(") ")?;
    let name = begin.split_once(" (")?.1.to_owned();
    let parent = rest.split(' ').nth(1)?.parse().ok()?;
    Some((name, parent))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_name_and_parent_of_a_process() {
        let own = i32::try_from(std::process::id()).unwrap();
        let (name, parent) = stat(own).unwrap();
        assert!(!name.is_empty() && parent > 0, "{name} {parent}");
        assert_eq!(stat(0), None);
    }

    #[test]
    fn finds_no_process_in_an_empty_folder() {
        let folder = tempfile::tempdir().unwrap();
        assert!(executors(folder.path(), Steps::All).is_empty());
        assert!(!Victim::Executor.kill_one(folder.path(), Steps::All, &mut fastrand::Rng::with_seed(1)));
    }
}
