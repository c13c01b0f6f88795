//! Starts the built api-server, learns its address, and ends it for certain.

use std::{
    fs::{self, File},
    io::{BufRead as _, BufReader},
    os::unix::process::CommandExt as _,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::mpsc,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, bail};
use rustix::process::{Pid, Signal, kill_process};

use crate::{environment::Environment, poll, test::Programs};

const READY_WITHIN: Duration = Duration::from_secs(30);
const STOPPED_WITHIN: Duration = Duration::from_secs(15);
const READY_LINE: &str = "listening on ";
/// How much of the server's log is shown when something went wrong.
const LAST_LINES: usize = 20;

/// A running api-server; it ends at the latest when this value does.
#[derive(Debug)]
pub(super) struct Server {
    child: Child,
    address: String,
    log: PathBuf,
}

impl Server {
    /// Starts the server on a free port and waits until it is ready.
    ///
    /// # Errors
    /// It ends early or is not ready in time; the text holds the last lines of its log.
    pub(super) fn start(
        environment: &Environment,
        programs: &Programs,
        folder: &Path,
    ) -> anyhow::Result<Self> {
        let log = log_file(folder);
        let output = File::options().create(true).append(true).open(&log);
        let output = output.with_context(|| format!("could not write {}", log.display()))?;
        let mut command = Command::new(&programs.api_server);
        command.args(["serve", "--listen", "127.0.0.1:0", "--backend", "local", "--data-dir"]).arg(folder);
        command.arg("--executor-program").arg(&programs.executor);
        environment.ui.command(&show(&command));
        // Executors work in the folder for temporary files; here that is a part of what the demo leaves behind and removes.
        let scratch = folder.join("tmp");
        fs::create_dir_all(&scratch).with_context(|| format!("could not make {}", scratch.display()))?;
        command.env("TMPDIR", scratch);
        // A group of its own: Ctrl-C must reach this program alone, which first ends what runs and then the server.
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(output).process_group(0);
        let child =
            command.spawn().with_context(|| format!("could not start {}", programs.api_server.display()))?;
        let mut server = Self { child, address: String::new(), log };
        server.address = server.wait_until_ready(environment)?;
        Ok(server)
    }

    /// Returns the address under which it answers.
    pub(super) fn address(&self) -> &str {
        &self.address
    }

    /// Tells whether it still runs.
    pub(super) fn is_running(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// Adds to an error that the server has died, if it has: that explains the error better than its own text.
    pub(super) fn explain(&mut self, error: anyhow::Error) -> anyhow::Error {
        match self.child.try_wait() {
            Ok(Some(status)) => error.context(format!("the api-server ended early with {status}")),
            _ => error,
        }
    }

    /// Returns the last lines of its log.
    pub(super) fn last_lines(&self) -> Vec<String> {
        let text = fs::read(&self.log).unwrap_or_default();
        let text = String::from_utf8_lossy(&text);
        let lines: Vec<_> = text.lines().collect();
        lines[lines.len().saturating_sub(LAST_LINES)..].iter().map(|line| (*line).to_owned()).collect()
    }

    /// Ends it: politely, then not. Stopping it twice is fine.
    pub(super) fn stop(&mut self) {
        if !self.is_running() {
            return;
        }
        // A process that has just ended is not there for a signal, and that is what is wanted.
        let _ = kill_process(Pid::from_child(&self.child), Signal::TERM);
        let ended = poll::until(STOPPED_WITHIN, || (!self.is_running()).then_some(()));
        if ended.is_none() {
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }

    fn wait_until_ready(&mut self, environment: &Environment) -> anyhow::Result<String> {
        let output = self.child.stdout.take().context("a piped output is there")?;
        let (sender, receiver) = mpsc::channel();
        // Reads on to the end, so that the server is never stopped by a full pipe.
        thread::spawn(move || {
            BufReader::new(output).lines().map_while(Result::ok).for_each(|line| drop(sender.send(line)));
        });
        let end = Instant::now() + READY_WITHIN;
        while Instant::now() < end {
            environment.interrupt.check()?;
            match receiver.recv_timeout(Duration::from_millis(100)) {
                Ok(line) => match line.strip_prefix(READY_LINE) {
                    Some(address) => return Ok(address.trim().trim_end_matches('/').to_owned()),
                    None => bail!("the api-server said {line:?}, expected its address"),
                },
                Err(mpsc::RecvTimeoutError::Timeout) => {}
                Err(mpsc::RecvTimeoutError::Disconnected) => break,
            }
        }
        let lines = self.last_lines().join("\n");
        let ended = poll::until(Duration::from_secs(1), || self.child.try_wait().ok().flatten());
        match ended {
            Some(status) => {
                bail!("the api-server ended at once with {status}; the last lines of its log:\n{lines}")
            }
            None => {
                bail!("the api-server was not ready in {READY_WITHIN:?}; the last lines of its log:\n{lines}")
            }
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop();
    }
}

/// Returns where the server's own log is.
pub(super) fn log_file(folder: &Path) -> PathBuf {
    folder.join("api-server.log")
}

fn show(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    words.map(|word| word.display().to_string()).collect::<Vec<_>>().join(" ")
}
