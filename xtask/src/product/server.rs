//! Starts the built api-server, learns its address, and ends it for certain.

use std::{
    ffi::OsString,
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

/// How a server is started, beside its data folder.
#[derive(Debug, Clone)]
pub(crate) struct Options {
    /// Arguments of `serve`: where it listens, and the like.
    pub(crate) arguments: Vec<String>,
    pub(crate) variables: Vec<(&'static str, OsString)>,
}

impl Options {
    /// Executors are processes of this machine, and so is whoever wants to reach the server.
    pub(crate) fn local(programs: &Programs) -> Self {
        let program = programs.executor.display().to_string();
        let arguments =
            ["--listen", "127.0.0.1:0", "--backend", "local", "--executor-program", program.as_str()];
        Self { arguments: arguments.map(str::to_owned).into(), variables: Vec::new() }
    }
}

/// A running api-server; it ends at the latest when this value does.
#[derive(Debug)]
pub(crate) struct Server {
    child: Child,
    address: String,
    log: PathBuf,
}

impl Server {
    /// Starts the server and waits until it is ready.
    ///
    /// # Errors
    /// It ends early or is not ready in time; the text holds the last lines of its log.
    pub(crate) fn start(
        environment: &Environment,
        programs: &Programs,
        folder: &Path,
        options: &Options,
    ) -> anyhow::Result<Self> {
        let log = log_file(folder);
        let output = File::options().create(true).append(true).open(&log);
        let output = output.with_context(|| format!("could not write {}", log.display()))?;
        let mut command = Command::new(&programs.api_server);
        command.args(["serve", "--data-dir"]).arg(folder).args(&options.arguments);
        environment.ui.command(&show(&command));
        // Executors work in the folder for temporary files; here that is a part of the folder, and goes with it.
        let scratch = folder.join("tmp");
        fs::create_dir_all(&scratch).with_context(|| format!("could not make {}", scratch.display()))?;
        command.env("TMPDIR", scratch).envs(options.variables.iter().map(|(name, value)| (name, value)));
        // A group of its own: Ctrl-C must reach this program alone, which first ends what runs and then the server.
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(output).process_group(0);
        let child =
            command.spawn().with_context(|| format!("could not start {}", programs.api_server.display()))?;
        let mut server = Self { child, address: String::new(), log };
        server.address = server.wait_until_ready(environment)?;
        Ok(server)
    }

    /// Returns the address under which it answers.
    pub(crate) fn address(&self) -> &str {
        &self.address
    }

    /// Tells whether it still runs.
    pub(crate) fn is_running(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// Adds to an error that the server has died, if it has: that explains the error better than its own text.
    pub(crate) fn explain(&mut self, error: anyhow::Error) -> anyhow::Error {
        match self.child.try_wait() {
            Ok(Some(status)) => error.context(format!("the api-server ended early with {status}")),
            _ => error,
        }
    }

    /// Returns the last lines of its log.
    pub(crate) fn last_lines(&self) -> Vec<String> {
        let text = fs::read(&self.log).unwrap_or_default();
        let text = String::from_utf8_lossy(&text);
        let lines: Vec<_> = text.lines().collect();
        lines[lines.len().saturating_sub(LAST_LINES)..].iter().map(|line| (*line).to_owned()).collect()
    }

    /// Ends it without a warning, as a lack of memory or of power would.
    pub(crate) fn kill(&mut self) {
        // One that has just ended by itself is as dead.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// Ends it: politely, then not. Stopping it twice is fine.
    pub(crate) fn stop(&mut self) {
        if !self.is_running() {
            return;
        }
        // A process that has just ended is not there for a signal, and that is what is wanted.
        let _ = kill_process(Pid::from_child(&self.child), Signal::TERM);
        let ended = poll::until(STOPPED_WITHIN, || (!self.is_running()).then_some(()));
        if ended.is_none() {
            self.kill();
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

/// Reads the administrator's token, which the server makes at its first start.
pub(crate) fn admin_token(folder: &Path) -> anyhow::Result<String> {
    let path = folder.join("admin-token");
    let token = fs::read_to_string(&path).with_context(|| format!("could not read {}", path.display()))?;
    Ok(token.trim().to_owned())
}

/// Returns where the server's own log is.
pub(crate) fn log_file(folder: &Path) -> PathBuf {
    folder.join("api-server.log")
}

fn show(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    words.map(|word| word.display().to_string()).collect::<Vec<_>>().join(" ")
}
