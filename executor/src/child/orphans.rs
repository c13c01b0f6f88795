//! Ends the processes that a step has left running: those that went into a session or group of their own.
//!
//! This process is the parent of each of them as soon as its own parent has ended, so none is missed. What
//! runs after terraform could change a plan or a state that is about to be read.

use std::{collections::HashMap, time::Duration};

use rustix::{
    io::Errno,
    process::{Pid, Signal, WaitId, WaitIdOptions, WaitOptions, kill_process, waitid, waitpid},
};
use tokio::time::{Instant, sleep};

use super::{launcher::owns_children, processes};
use crate::log::Log;

/// How long they have from TERM to KILL.
const TERM_TIMEOUT: Duration = Duration::from_secs(1);

/// How long they are waited for. A process that the kernel cannot end (in a hung file system) stays.
const END_TIMEOUT: Duration = Duration::from_secs(10);

/// How often their end is looked for.
const INTERVAL: Duration = Duration::from_millis(10);

/// Number of processes that a message names.
const MAX_NAMED: usize = 5;

/// Ends every descendant of this process, and writes to the log which there were.
///
/// Must be called when no child of this process runs that is still needed.
pub(crate) async fn end(log: &Log) {
    if !owns_children() || !has_children() {
        return;
    }
    let own = rustix::process::getpid();
    reap_guards(own).await;
    let start = Instant::now();
    let mut named = HashMap::new();
    loop {
        let kill = start.elapsed() >= TERM_TIMEOUT;
        let mut alive = 0;
        for process in processes::descendants(own) {
            if process.is_zombie {
                if process.parent == own {
                    // It may be of a program whose end was not awaited; then its exit code does not matter.
                    let _ = waitpid(Some(process.id), WaitOptions::NOHANG);
                }
                continue;
            }
            alive += 1;
            if named.insert(process.id, process.name).is_none() || kill {
                let _ended = kill_process(process.id, if kill { Signal::KILL } else { Signal::TERM });
            }
        }
        if alive == 0 && !has_children() {
            break;
        }
        if start.elapsed() > END_TIMEOUT {
            log.note(&format!("({alive} processes that the step has left running do not end)"));
            break;
        }
        sleep(INTERVAL).await;
    }
    if !named.is_empty() {
        log.note(&message(named));
    }
}

/// Gives the guard of the last child a moment to end: the kernel is just ending it.
async fn reap_guards(own: Pid) {
    for _ in 0..20 {
        let children = processes::descendants(own);
        for child in children.iter().filter(|child| child.is_zombie && child.parent == own) {
            let _ = waitpid(Some(child.id), WaitOptions::NOHANG);
        }
        if !has_children() {
            break;
        }
        sleep(Duration::from_millis(1)).await;
    }
}

fn message(ended: HashMap<Pid, String>) -> String {
    let count = ended.len();
    let mut names: Vec<_> =
        ended.into_iter().map(|(id, name)| format!("{name} ({})", id.as_raw_nonzero())).collect();
    names.sort();
    names.truncate(MAX_NAMED);
    let more = if count > names.len() { ", …" } else { "" };
    let noun = if count == 1 { "a process" } else { "processes" };
    format!("(ended {noun} that the step had left running: {}{more})", names.join(", "))
}

/// Returns whether this process has a child, running or not.
fn has_children() -> bool {
    let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
    !matches!(waitid(WaitId::All, options), Err(Errno::CHILD))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn message_names_some_processes() {
        let named =
            |count: i32| (1..=count).map(|id| (Pid::from_raw(id).unwrap(), format!("daemon{id}"))).collect();
        assert_eq!(message(named(1)), "(ended a process that the step had left running: daemon1 (1))");
        let many = message(named(7));
        assert!(many.ends_with("daemon4 (4), daemon5 (5), …)"), "{many}");
    }
}
