//! Starts the process of a Job and sends signals to all its processes.
//!
//! When to do either is decided in [`supervise`](super::supervise).

use std::{
    fs, io,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
    process::Stdio,
};

use rustix::process::{Pid, Signal, kill_process, kill_process_group};
use tokio::process::{Child, Command};

use super::{
    environment::CommandLine,
    output,
    record::{Folder, Process},
};

/// Starts a process as leader of its own process group, with the locked output of its Job.
///
/// It is not killed when the handle is dropped: it outlives this program, like a pod.
///
/// # Errors
/// Why it could not be started.
pub(crate) fn spawn(
    line: CommandLine,
    folder: &Folder,
    notes: &[String],
) -> Result<(Child, Process), String> {
    let output = output::open_locked(&folder.output())
        .map_err(|error| format!("the output file cannot be opened: {error}"))?;
    let copy =
        output.try_clone().map_err(|error| format!("the output file cannot be duplicated: {error}"))?;
    for text in notes {
        if let Err(error) = output::note(&output, text) {
            tracing::debug!(%error, "could not write a note");
        }
    }
    let program = line.program.to_string_lossy().into_owned();
    let spawned = Command::new(&line.program)
        .args(line.arguments)
        .env_clear()
        .envs(line.environment)
        .current_dir(folder.work())
        .stdin(Stdio::null())
        .stdout(copy)
        .stderr(output)
        .process_group(0)
        .spawn();
    // The command was dropped, and with it our copies of the output: from now on only the child has the lock.
    let child = spawned.map_err(|error| format!("program {program:?} cannot be started: {error}"))?;
    let pid = child.id().and_then(|pid| i32::try_from(pid).ok()).ok_or("the process has no ID")?;
    Ok((child, Process { pid, start_ticks: start_ticks(pid) }))
}

/// All processes of one Job, as far as signals reach them.
///
/// Only valid while the output is locked: then the process group has a member, or its leader was not reaped,
/// and its ID cannot belong to another one.
#[derive(Debug)]
pub(crate) struct ProcessTree {
    leader: Option<Process>,
    output: PathBuf,
}

impl ProcessTree {
    pub(crate) fn new(leader: Option<Process>, output: PathBuf) -> Self {
        Self { leader, output }
    }

    /// Sends TERM to the process group.
    pub(crate) fn terminate(&self) {
        if !self.signal_group(Signal::TERM) {
            self.signal_holders(Signal::TERM);
        }
    }

    /// Sends KILL to the process group, and to every process outside of it that has the output open.
    pub(crate) fn kill(&self) {
        self.signal_group(Signal::KILL);
        self.signal_holders(Signal::KILL);
    }

    /// Returns whether the group existed.
    fn signal_group(&self, signal: Signal) -> bool {
        let Some(leader) = self.leader else { return false };
        let Some(group) = Pid::from_raw(leader.pid) else { return false };
        // The group may be empty while another process has the output open. If its ID was reused, the start
        // time differs.
        if let (Some(then), Some(now)) = (leader.start_ticks, start_ticks(leader.pid))
            && then != now
        {
            return false;
        }
        kill_process_group(group, signal).is_ok()
    }

    fn signal_holders(&self, signal: Signal) {
        for pid in holders(&self.output).unwrap_or_default() {
            // The process may have ended since it was found.
            let _ended = kill_process(pid, signal);
        }
    }
}

/// Finds all processes that have the locked output open. Works only on Linux; elsewhere there are none.
fn holders(output: &Path) -> io::Result<Vec<Pid>> {
    let wanted = fs::metadata(output)?;
    let mut found = Vec::new();
    for process in fs::read_dir("/proc")?.flatten() {
        let Some(pid) =
            process.file_name().to_str().and_then(|name| name.parse().ok()).and_then(Pid::from_raw)
        else {
            continue;
        };
        // Processes of other users, and those that end meanwhile, cannot be read.
        let Ok(files) = fs::read_dir(process.path().join("fd")) else { continue };
        let holds = files.flatten().any(|file| {
            let is_output = fs::metadata(file.path())
                .is_ok_and(|meta| (meta.dev(), meta.ino()) == (wanted.dev(), wanted.ino()));
            // A user may read the output with `tail -f`; only the inherited file has the lock.
            is_output
                && fs::read_to_string(process.path().join("fdinfo").join(file.file_name()))
                    .is_ok_and(|info| info.contains("FLOCK"))
        });
        if holds && pid != rustix::process::getpid() {
            found.push(pid);
        }
    }
    Ok(found)
}

/// Returns when a process started, in ticks since boot. Works only on Linux.
fn start_ticks(pid: i32) -> Option<u64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name of the program is in brackets and may contain anything; the third field follows the last
    // bracket. The start is field 22, counted from one.
    stat.rsplit_once(')')?.1.split_ascii_whitespace().nth(22 - 3)?.parse().ok()
}
