//! Runs one child process to its end.
//!
//! Its output goes to the [`Log`], the request to stop comes from [`Stop`]. Each child has its own process
//! group. On a stop request the group gets INT once, as from Ctrl-C in a terminal: terraform then stops
//! gracefully, and its plugins, which die of TERM in the middle of their work, ignore it. Where that takes
//! longer than its share of the grace period, or another signal comes, the group gets INT again, which ends
//! terraform at once, and then KILL: the executor still has to report. When the executor itself dies first,
//! the child is interrupted, too ([`launcher`](super::launcher)).

use std::{
    collections::BTreeMap,
    ffi::OsString,
    fmt,
    io::{self, PipeReader},
    os::fd::AsFd,
    path::{Path, PathBuf},
    process::{ExitStatus, Stdio},
    time::Duration,
};

use rustix::{
    io::{FdFlags, fcntl_setfd},
    process::{Pid, Signal, WaitId, WaitIdOptions, kill_process_group, waitid},
};
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    net::unix::pipe,
    process::{Child, Command},
    signal::unix::{SignalKind, signal},
    time::{Instant, sleep_until, timeout},
};

use super::launcher;
use crate::{log::Log, stop::Stop};

/// How long the output may stay open after the end of the child and its group.
const OUTPUT_CLOSE_TIMEOUT: Duration = Duration::from_secs(2);

/// Output that a child can write when nothing reads it any more. Then it waits.
#[cfg(target_os = "linux")]
const OUTPUT_PIPE_BYTES: usize = 1024 * 1024;

/// Added to the score by which the kernel chooses what to kill when memory is short: without the executor,
/// nothing is reported, and its end ends the pod. The largest of its children, a provider, comes first.
#[cfg(target_os = "linux")]
const OOM_SCORE_OF_CHILDREN: i32 = 200;

/// A program to run.
#[derive(Debug)]
pub(crate) struct Invocation<'a> {
    pub(crate) program: &'a Path,
    pub(crate) args: Vec<OsString>,
    pub(crate) dir: &'a Path,
    /// The whole environment.
    pub(crate) env: &'a BTreeMap<String, String>,
}

/// How a child process ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Exit {
    /// It exited with this code.
    Code(i32),
    /// A signal ended it.
    Signal(i32),
    /// The kernel did not report how.
    NotSeen,
}

impl Exit {
    /// Returns the exit code, if there is one.
    pub(crate) const fn code(self) -> Option<i32> {
        if let Self::Code(code) = self { Some(code) } else { None }
    }

    /// Returns the signal that ended the process, if one did.
    pub(crate) const fn signal(self) -> Option<i32> {
        if let Self::Signal(signal) = self { Some(signal) } else { None }
    }
}

impl fmt::Display for Exit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Code(code) => write!(f, "exit code {code}"),
            Self::Signal(signal) => write!(f, "signal {signal}"),
            Self::NotSeen => f.write_str("an unknown status"),
        }
    }
}

impl From<ExitStatus> for Exit {
    fn from(status: ExitStatus) -> Self {
        use std::os::unix::process::ExitStatusExt as _;
        match (status.code(), status.signal()) {
            (Some(code), _) => Self::Code(code),
            (None, signal) => Self::Signal(signal.unwrap_or_default()),
        }
    }
}

/// A child process could not be run.
#[derive(Debug, thiserror::Error)]
#[error("could not run {program:?}")]
pub(crate) struct ProcessError {
    program: PathBuf,
    #[source]
    source: io::Error,
}

/// Runs a program. The output of it and its children goes to the log, in the order in which they write it.
pub(crate) async fn run(call: &Invocation<'_>, log: &Log, stop: &Stop) -> Result<Exit, ProcessError> {
    run_inner(call, log, stop).await.map_err(|source| process_error(call, source))
}

async fn run_inner(call: &Invocation<'_>, log: &Log, stop: &Stop) -> io::Result<Exit> {
    // A shell starts its background jobs with INT ignored, and children inherit that. A signal that has a
    // handler gets its default behavior back when a program starts.
    let _handler = signal(SignalKind::interrupt())?;
    let (mut child, reader) = start(call)?;
    let group = child.id().and_then(|id| Pid::from_raw(i32::try_from(id).ok()?));
    let group = group.ok_or_else(|| io::Error::other("a fresh child has no process id"))?;
    raise_oom_score(group);
    let mut output = std::pin::pin!(copy_lines(reader, log));
    let mut exit = std::pin::pin!(exited(group));
    let (mut output_open, mut interrupted, mut kill_at) = (true, false, None);
    loop {
        tokio::select! {
            // From here on no error may end this function: that would kill terraform in the middle of its
            // work. A signal fails if the group has ended already.
            result = &mut output, if output_open => {
                if let Err(error) = result {
                    log.note(&format!("(the output could not be read any further: {error})"));
                }
                output_open = false;
            }
            () = stop.requested(), if !interrupted => {
                interrupted = true;
                let _ = kill_process_group(group, Signal::INT);
            }
            () = stop.forced(), if interrupted && kill_at.is_none() => {
                kill_at = Some(Instant::now() + stop.forced_timeout());
                log.note("(the time to stop is over, or another signal came; ending the program at once)");
                let _ = kill_process_group(group, Signal::INT);
            }
            () = sleep_until(kill_at.unwrap_or_else(Instant::now)), if kill_at.is_some() => {
                kill_at = Some(Instant::now() + stop.forced_timeout());
                let _ = kill_process_group(group, Signal::KILL);
            }
            result = &mut exit => {
                if let Err(error) = result {
                    tracing::error!(%error, "could not wait for a child process");
                }
                break;
            }
        }
    }
    // The child is dead but not reaped, so the number of its group is not reused yet. The rest of the group
    // would end with the pod; it must not outlive the attempt anywhere else.
    let _ = kill_process_group(group, Signal::KILL);
    let status = child.wait().await.map_or(Exit::NotSeen, Exit::from);
    if output_open && timeout(OUTPUT_CLOSE_TIMEOUT, output).await.is_err() {
        log.note("(a background process keeps the output open; its further output is not shown)");
    }
    log.flush();
    Ok(status)
}

/// Starts a child and returns the reading end of its output.
fn start(call: &Invocation<'_>) -> io::Result<(Child, PipeReader)> {
    // One pipe for both streams, so that a warning stands where it was printed.
    let (reader, writer) = io::pipe()?;
    let mut command = prepare(launcher::command(call.program)?, call);
    command.stdout(writer.try_clone()?).stderr(writer);
    // Nothing is read from here. It keeps our own output open as long as the child runs: a backend that waits
    // for the end of that output, to know that nothing of the attempt runs any more, also waits for a child
    // that outlives us.
    command.stdin(io::stdout().as_fd().try_clone_to_owned().map_or_else(|_| Stdio::null(), Stdio::from));
    // When this process is killed, terraform must not die of its next line of output, before it has saved its
    // state: with this copy in the child, the pipe still has a reader.
    let reader_of_child = reader.try_clone()?;
    fcntl_setfd(&reader_of_child, FdFlags::empty())?;
    #[cfg(target_os = "linux")]
    let _ = rustix::pipe::fcntl_setpipe_size(&reader_of_child, OUTPUT_PIPE_BYTES);
    let child = command.spawn()?;
    // The command is dropped here: it holds the writing ends of the pipe, and with them the output would
    // never end.
    Ok((child, reader))
}

/// Runs a program and returns its trimmed output; `None` if it fails or is stopped. Its standard error goes
/// to the log if it fails.
pub(crate) async fn output(
    call: &Invocation<'_>,
    log: &Log,
    stop: &Stop,
) -> Result<Option<String>, ProcessError> {
    let mut command = command(call);
    command.stdin(Stdio::null());
    let output = tokio::select! {
        output = command.output() => output.map_err(|source| process_error(call, source))?,
        // Such a program changes nothing: `kill_on_drop` ends it.
        () = stop.requested() => return Ok(None),
    };
    if !output.status.success() {
        log.note(&String::from_utf8_lossy(&output.stderr));
        return Ok(None);
    }
    Ok(Some(String::from_utf8_lossy(&output.stdout).trim().to_owned()))
}

/// Returns the command of a call, without a guard.
pub(super) fn command(call: &Invocation<'_>) -> Command {
    prepare(Command::new(call.program), call)
}

fn prepare(mut command: Command, call: &Invocation<'_>) -> Command {
    command.args(&call.args).current_dir(call.dir).env_clear().envs(call.env);
    command.process_group(0).kill_on_drop(true);
    command
}

pub(super) fn process_error(call: &Invocation<'_>, source: io::Error) -> ProcessError {
    ProcessError { program: call.program.to_owned(), source }
}

/// Lets the kernel kill a child before this process when memory is short.
fn raise_oom_score(child: Pid) {
    #[cfg(target_os = "linux")]
    {
        let own = std::fs::read_to_string("/proc/self/oom_score_adj").unwrap_or_default();
        let score = own.trim().parse().unwrap_or(0i32).saturating_add(OOM_SCORE_OF_CHILDREN).min(1000);
        // The child may have ended already.
        let _ = std::fs::write(format!("/proc/{}/oom_score_adj", child.as_raw_nonzero()), score.to_string());
    }
    #[cfg(not(target_os = "linux"))]
    let _ = child;
}

/// Waits for the end of a child process without reaping it.
async fn exited(child: Pid) -> io::Result<()> {
    tokio::task::spawn_blocking(move || {
        loop {
            match waitid(WaitId::Pid(child), WaitIdOptions::EXITED | WaitIdOptions::NOWAIT) {
                Ok(_) => return Ok(()),
                Err(rustix::io::Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
    })
    .await?
}

/// Copies output to the log, line by line, to its end.
async fn copy_lines(reader: PipeReader, log: &Log) -> io::Result<()> {
    let mut reader = BufReader::with_capacity(64 * 1024, pipe::Receiver::from_owned_fd(reader.into())?);
    let mut line = Vec::new();
    loop {
        let due = log.due();
        let waiting = async {
            match due {
                Some(due) => sleep_until(due.into()).await,
                None => std::future::pending().await,
            }
        };
        let available = tokio::select! {
            available = reader.fill_buf() => available?,
            () = waiting => {
                log.release();
                continue;
            }
        };
        if available.is_empty() {
            break;
        }
        let used = available.len();
        let mut pieces = available.split(|byte| *byte == b'\n');
        let add = |line: &mut Vec<u8>, text: &[u8]| {
            line.extend_from_slice(&text[..text.len().min(log.line_capacity() - line.len())]);
        };
        add(&mut line, pieces.next().unwrap_or_default());
        // What follows the last newline is the beginning of a line.
        if let Some(rest) = pieces.next_back() {
            log.lines(std::iter::once(line.as_slice()).chain(pieces));
            line.clear();
            add(&mut line, rest);
        }
        reader.consume(used);
    }
    if !line.is_empty() {
        log.line(&line);
    }
    Ok(())
}

#[cfg(test)]
mod tests;
