//! Starts the process of a Job and sends signals to all of it.
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

/// Starts a process as leader of its own group, with the locked output of its Job.
///
/// It is not killed when the handle is dropped: it outlives this program, like a pod.
///
/// # Errors
/// Why it could not be started, for people.
pub(crate) fn spawn(
    line: CommandLine,
    folder: &Folder,
    notes: &[String],
) -> Result<(Child, Process), String> {
    let output = output::open_locked(&folder.output())
        .map_err(|error| format!("its output cannot be opened: {error}"))?;
    let copy = output.try_clone().map_err(|error| format!("its output cannot be shared: {error}"))?;
    for text in notes {
        if let Err(error) = output::note(&output, text) {
            tracing::debug!(%error, "a note could not be written");
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
    // The command, and with it our own copies of the output, is gone here: from now on only the child holds the lock.
    let child = spawned.map_err(|error| format!("program {program:?} cannot be started: {error}"))?;
    let pid = child.id().and_then(|pid| i32::try_from(pid).ok()).ok_or("the system gave it no id")?;
    Ok((child, Process { pid, start_ticks: start_ticks(pid) }))
}

/// Everything that runs for one Job, as far as signals can reach it.
///
/// Only to be used while the output is held: then the group has a member, or its leader is still to be reaped, and the id
/// cannot belong to somebody else.
#[derive(Debug)]
pub(crate) struct ProcessTree {
    leader: Option<Process>,
    output: PathBuf,
}

impl ProcessTree {
    pub(crate) fn new(leader: Option<Process>, output: PathBuf) -> Self {
        Self { leader, output }
    }

    /// Asks the process group to end.
    pub(crate) fn terminate(&self) {
        if !self.signal_group(Signal::TERM) {
            self.signal_holders(Signal::TERM);
        }
    }

    /// Ends the process group, and every process that holds the output outside of it.
    pub(crate) fn kill(&self) {
        self.signal_group(Signal::KILL);
        self.signal_holders(Signal::KILL);
    }

    /// Returns whether there was a group to signal.
    fn signal_group(&self, signal: Signal) -> bool {
        let Some(leader) = self.leader else { return false };
        let Some(group) = Pid::from_raw(leader.pid) else { return false };
        // The group may have emptied while somebody outside of it holds the output. If its id then went to a stranger,
        // that stranger started at another time.
        if let (Some(then), Some(now)) = (leader.start_ticks, start_ticks(leader.pid))
            && then != now
        {
            return false;
        }
        kill_process_group(group, signal).is_ok()
    }

    fn signal_holders(&self, signal: Signal) {
        for pid in holders(&self.output).unwrap_or_default() {
            // It may have ended by itself since it was found.
            let _ended = kill_process(pid, signal);
        }
    }
}

/// Finds the processes that hold the locked output, wherever they stand. Only Linux can say; elsewhere there are none.
fn holders(output: &Path) -> io::Result<Vec<Pid>> {
    let wanted = fs::metadata(output)?;
    let mut found = Vec::new();
    for process in fs::read_dir("/proc")?.flatten() {
        let Some(pid) =
            process.file_name().to_str().and_then(|name| name.parse().ok()).and_then(Pid::from_raw)
        else {
            continue;
        };
        // Processes of other users, and those that end meanwhile, cannot be looked into.
        let Ok(files) = fs::read_dir(process.path().join("fd")) else { continue };
        let holds = files.flatten().any(|file| {
            let is_output = fs::metadata(file.path())
                .is_ok_and(|meta| (meta.dev(), meta.ino()) == (wanted.dev(), wanted.ino()));
            // Somebody may read the output with `tail -f`; only the file that came from us carries the lock.
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

/// Reads when a process started, in ticks since boot. Only Linux can say.
fn start_ticks(pid: i32) -> Option<u64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name of the program stands in brackets and may hold anything; the fields after the last bracket are plain.
    // The start is field 22 of the line, counted from one, and the third field follows the bracket.
    stat.rsplit_once(')')?.1.split_ascii_whitespace().nth(22 - 3)?.parse().ok()
}
