//! Starts children through a short second life of this program, so that they are interrupted when the
//! executor dies first.
//!
//! Without unsafe code nothing runs between `fork` and `exec`. So this program starts itself: [`launch`]
//! starts a *guard*, then replaces itself by the wanted program. The guard waits for the end of a pipe that
//! only the executor holds open, and sends one interrupt: terraform then saves its state. (The kernel can
//! send a signal at the death of a parent, too, but sends it once for each thread of the parent, and
//! terraform takes a second interrupt for an order to give up its state.)
//!
//! The guard is a child of the program, in a session of its own; the kernel ends it with the program.

use std::{
    ffi::{OsStr, OsString},
    fs::File,
    io::{self, PipeReader, PipeWriter},
    os::{fd::AsRawFd as _, unix::process::CommandExt as _},
    path::Path,
    process::{ExitCode, Stdio},
    sync::OnceLock,
};

use tokio::process::Command;

/// First argument of the second life.
const LAUNCH: &str = "launch-child";

/// First argument of the guard.
const GUARD: &str = "guard-parent";

/// This program, also when its file was replaced.
const OWN_PROGRAM: &str = "/proc/self/exe";

/// The exit code of shells for a program that cannot be started.
const NOT_STARTED: u8 = 126;

/// The pipe whose writing end closes when this process dies; set if children are started in this way.
static LIFELINE: OnceLock<(PipeReader, PipeWriter)> = OnceLock::new();

/// Makes this process the parent of every process that loses its parent below it, and starts children so that
/// they get an interrupt when this process dies.
///
/// Must be called by the program of this package, whose `main` calls [`launch`] first. Only Linux can do
/// either.
pub fn own_children() {
    #[cfg(target_os = "linux")]
    {
        use rustix::process::{getpid, set_child_subreaper};
        if let Err(error) = set_child_subreaper(Some(getpid())) {
            tracing::warn!(%error, "processes that leave their group cannot be found at the end of a step");
        }
        match lifeline() {
            Ok(pipe) => {
                let _ = LIFELINE.set(pipe);
            }
            Err(error) => tracing::warn!(%error, "terraform will not notice the death of the executor"),
        }
    }
}

/// Creates the pipe. Its reading end is inherited; it is good for nothing but to notice the end.
#[cfg(target_os = "linux")]
fn lifeline() -> io::Result<(PipeReader, PipeWriter)> {
    let (reader, writer) = io::pipe()?;
    rustix::io::fcntl_setfd(&reader, rustix::io::FdFlags::empty())?;
    Ok((reader, writer))
}

/// Returns whether [`own_children`] was called.
pub(super) fn owns_children() -> bool {
    LIFELINE.get().is_some()
}

/// Returns the command that starts a program with a guard.
///
/// # Errors
/// There is no such program. The second life could only print that.
pub(super) fn command(program: &Path) -> io::Result<Command> {
    let Some((reader, _)) = LIFELINE.get() else { return Ok(Command::new(program)) };
    // A program without a folder is searched when it starts.
    if program.is_absolute() {
        rustix::fs::access(program, rustix::fs::Access::EXEC_OK)?;
    }
    let mut command = Command::new(OWN_PROGRAM);
    command.arg0("executor").arg(LAUNCH).arg(reader.as_raw_fd().to_string()).arg(program);
    Ok(command)
}

/// Becomes the program in the arguments, or its guard, if they are those of a child. Returns `None` for any
/// other arguments, and an exit code when there is nothing more to do.
pub fn launch(mut args: impl Iterator<Item = OsString>) -> Option<ExitCode> {
    let (role, first) = (args.nth(1)?, args.next()?);
    if role == GUARD {
        guard(&first);
        return Some(ExitCode::SUCCESS);
    }
    if role != LAUNCH {
        return None;
    }
    let program = args.next()?;
    let started = start_guard(&first)
        .and_then(|()| Err::<(), _>(std::process::Command::new(&program).args(args).exec()));
    if let Err(error) = started {
        #[expect(clippy::print_stderr, reason = "this is the output of the child, which the log shows")]
        {
            eprintln!("could not run {program:?}: {error}");
        }
    }
    Some(ExitCode::from(NOT_STARTED))
}

fn start_guard(lifeline: &OsStr) -> io::Result<()> {
    let lifeline = File::open(Path::new("/proc/self/fd").join(lifeline))?;
    // Its end is not awaited: it lives as long as the program that this process becomes.
    std::process::Command::new(OWN_PROGRAM)
        .arg0("executor")
        .args([GUARD, &std::process::id().to_string()])
        .stdin(lifeline)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .env_clear()
        .current_dir("/")
        .spawn()
        .map(drop)
}

/// Waits for the death of the executor and interrupts the parent. The kernel ends this process with its
/// parent.
#[cfg(target_os = "linux")]
fn guard(parent: &OsStr) {
    use rustix::process::{Pid, Signal, getppid, kill_process, set_parent_process_death_signal, setsid};
    // In a session of its own it gets no signal of the group.
    let prepared = setsid().is_ok() && set_parent_process_death_signal(Some(Signal::KILL)).is_ok();
    let own_parent = || getppid().filter(|id| parent == OsStr::new(&Pid::as_raw(Some(*id)).to_string()));
    if !prepared || own_parent().is_none() {
        return;
    }
    let _end = io::copy(&mut io::stdin(), &mut io::sink());
    if let Some(parent) = own_parent() {
        let _ended = kill_process(parent, Signal::INT);
    }
}

#[cfg(not(target_os = "linux"))]
fn guard(_parent: &OsStr) {}
