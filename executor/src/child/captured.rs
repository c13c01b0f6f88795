//! Runs a helper program, such as git, whose output the executor reads itself.
//!
//! The output is bounded: a server that the helper talks to decides how much it prints. The helper changes
//! nothing but files of this attempt, so a stop request or the timeout kills it.

use std::{io, process::Stdio, time::Duration};

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::{
    io::{AsyncRead, AsyncReadExt as _},
    time::{sleep, timeout},
};

use super::process::{Exit, Invocation, ProcessError, command, process_error};
use crate::{log::Log, stop::Stop};

/// Standard output that is kept.
const MAX_OUTPUT_BYTES: usize = 8 * 1024 * 1024;

/// The end of the error output that is kept for messages.
const MAX_ERROR_BYTES: usize = 16 * 1024;

/// Error output that goes to the log.
const MAX_LOGGED_BYTES: usize = 256 * 1024;

/// How long the output may stay open after the end of the program.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(2);

/// How a helper program ended, and what it printed.
#[derive(Debug, Default)]
pub(crate) struct Captured {
    /// How it ended; `None` after a stop request or a timeout.
    pub(crate) exit: Option<Exit>,
    /// The beginning of its standard output.
    pub(crate) output: String,
    /// The end of its error output.
    pub(crate) errors: String,
}

impl Captured {
    /// Returns whether the program exited with code 0.
    pub(crate) fn succeeded(&self) -> bool {
        self.exit == Some(Exit::Code(0))
    }
}

/// Runs a helper program. Its error output goes to `log`, if there is one, when it ends.
pub(crate) async fn run_captured(
    call: &Invocation<'_>,
    log: Option<&Log>,
    stop: &Stop,
    limit: Duration,
) -> Result<Captured, ProcessError> {
    let captured = capture(call, stop, limit).await.map_err(|source| process_error(call, source))?;
    if let Some(log) = log {
        for line in captured.errors_to_log.lines().filter(|line| !line.trim().is_empty()) {
            log.line(line.as_bytes());
        }
        log.flush();
    }
    Ok(captured.result)
}

struct Everything {
    result: Captured,
    errors_to_log: String,
}

async fn capture(call: &Invocation<'_>, stop: &Stop, limit: Duration) -> io::Result<Everything> {
    let mut command = command(call);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn()?;
    let group = child.id().and_then(|id| Pid::from_raw(i32::try_from(id).ok()?));
    let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
    let (mut output, mut errors) = (Vec::new(), Vec::new());
    let mut logged = Vec::new();
    let exit = {
        let reading = async {
            tokio::join!(
                read(stdout, |bytes| push_bounded(&mut output, bytes, MAX_OUTPUT_BYTES)),
                read(stderr, |bytes| {
                    push_bounded(&mut logged, bytes, MAX_LOGGED_BYTES);
                    errors.extend_from_slice(bytes);
                    let surplus = errors.len().saturating_sub(MAX_ERROR_BYTES);
                    errors.drain(..surplus);
                })
            )
        };
        let mut reading = std::pin::pin!(reading);
        let ended = async {
            tokio::select! {
                status = child.wait() => status.map(|status| Some(Exit::from(status))),
                () = stop.requested() => Ok(None),
                () = sleep(limit) => Ok(None),
            }
        };
        let mut ended = std::pin::pin!(ended);
        let mut open = true;
        let exit = loop {
            tokio::select! {
                _ = &mut reading, if open => open = false,
                result = &mut ended => break result?,
            }
        };
        // What the program has started ends with it; that also closes the output.
        if let Some(group) = group {
            let _ = kill_process_group(group, Signal::KILL);
        }
        if open {
            let _ = timeout(CLOSE_TIMEOUT, reading).await;
        }
        exit
    };
    if exit.is_none() {
        let _ = child.wait().await;
    }
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let result = Captured { exit, output: text(&output), errors: text(&errors) };
    Ok(Everything { result, errors_to_log: text(&logged) })
}

async fn read(stream: Option<impl AsyncRead + Unpin>, mut take: impl FnMut(&[u8])) {
    let Some(mut stream) = stream else { return };
    let mut piece = vec![0; 16 * 1024];
    while let Ok(length @ 1..) = stream.read(&mut piece).await {
        take(&piece[..length]);
    }
}

fn push_bounded(kept: &mut Vec<u8>, bytes: &[u8], limit: usize) {
    let room = limit - kept.len();
    kept.extend_from_slice(&bytes[..bytes.len().min(room)]);
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeMap, path::Path};

    use super::*;

    async fn shell(script: &str, stop: &Stop, limit: Duration) -> Captured {
        let env = BTreeMap::from([("PATH".to_owned(), "/usr/bin:/bin".to_owned())]);
        let args = vec!["-c".into(), script.into()];
        let call = Invocation { program: Path::new("/bin/sh"), args, dir: Path::new("/"), env: &env };
        run_captured(&call, None, stop, limit).await.unwrap()
    }

    #[tokio::test]
    async fn keeps_beginning_of_output_and_end_of_errors() {
        let script =
            "echo out; i=0; while [ $i -lt 3000 ]; do echo \"line $i\" >&2; i=$((i+1)); done; exit 3";
        let captured = shell(script, &Stop::default(), Duration::from_mins(1)).await;
        assert_eq!(captured.exit, Some(Exit::Code(3)));
        assert_eq!(captured.output, "out\n");
        assert!(captured.errors.ends_with("line 2999\n") && captured.errors.len() <= MAX_ERROR_BYTES);
    }

    #[tokio::test]
    async fn timeout_kills_program_and_its_children() {
        let captured = shell("sleep 600 & sleep 600", &Stop::default(), Duration::from_millis(50)).await;
        assert!(captured.exit.is_none() && !captured.succeeded());
    }

    #[tokio::test]
    async fn stop_request_ends_program() {
        let stop = Stop::default();
        stop.request();
        assert!(shell("sleep 600", &stop, Duration::from_mins(1)).await.exit.is_none());
    }

    #[tokio::test]
    async fn background_process_does_not_keep_the_caller_waiting() {
        let captured = shell("sleep 600 & echo done", &Stop::default(), Duration::from_mins(1)).await;
        assert!(captured.succeeded());
        assert_eq!(captured.output, "done\n");
    }
}
