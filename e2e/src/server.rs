//! Starts the built api-server, reads its address, and stops it.

use std::{
    ffi::OsString,
    fs::{self, File},
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use anyhow::{Context as _, bail};
use rustix::process::{Pid, Signal, kill_process};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncRead, BufReader, Lines},
    process::{Child, Command},
    time::timeout,
};

use crate::session::Session;

const START_TIMEOUT: Duration = Duration::from_secs(30);
const STOP_TIMEOUT: Duration = Duration::from_secs(15);
/// Lines of the log in an error message.
const LAST_LINES: usize = 20;

/// Options of a server besides its data folder.
#[derive(Debug, Clone)]
pub(crate) struct Options {
    /// Arguments of `serve`.
    pub(crate) arguments: Vec<String>,
    pub(crate) environment: Vec<(&'static str, OsString)>,
}

impl Options {
    /// Executors are processes of this machine.
    pub(crate) fn local(session: &Session) -> anyhow::Result<Self> {
        let executor = session.program("executor")?.display().to_string();
        let arguments = ["--listen", "127.0.0.1:0", "--backend", "local", "--executor-program", &executor];
        Ok(Self { arguments: arguments.map(str::to_owned).into(), environment: Vec::new() })
    }

    /// Lets the next server listen at the address of an earlier one, which its executors know.
    pub(crate) fn listen_at(&mut self, url: &str) {
        let address = url.trim_start_matches("http://").to_owned();
        for pair in 1..self.arguments.len() {
            if self.arguments[pair - 1] == "--listen" {
                self.arguments[pair].clone_from(&address);
            }
        }
    }
}

/// A running api-server; it is killed when this value is dropped.
#[derive(Debug)]
pub(crate) struct Server {
    child: Child,
    address: String,
    log: PathBuf,
}

impl Server {
    /// Starts a server and waits until it is ready.
    ///
    /// # Errors
    /// It ends early or is not ready in time; the message holds the last lines of its log.
    pub(crate) async fn start(session: &Session, folder: &Path, options: &Options) -> anyhow::Result<Self> {
        let log = log_file(folder);
        let output = File::options().create(true).append(true).open(&log);
        let output = output.with_context(|| format!("cannot write {}", log.display()))?;
        let program = session.program("api-server")?;
        let mut command = Command::new(&program);
        command.args(["serve", "--data-dir"]).arg(folder).args(&options.arguments);
        session.ui.command(&command_line(command.as_std()));
        // The working folders of executors are removed with the data folder.
        let scratch = folder.join("tmp");
        fs::create_dir_all(&scratch).with_context(|| format!("cannot create {}", scratch.display()))?;
        command.env("TMPDIR", scratch).envs(options.environment.iter().map(|(name, value)| (name, value)));
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(output);
        // Ctrl-C reaches only this program, which cancels the jobs before it stops the server.
        command.process_group(0).kill_on_drop(true);
        let child = command.spawn().with_context(|| format!("cannot start {}", program.display()))?;
        let mut server = Self { child, address: String::new(), log };
        server.address = server.wait_until_ready().await?;
        Ok(server)
    }

    /// Returns the URL of the server.
    pub(crate) fn address(&self) -> &str {
        &self.address
    }

    /// Returns the most memory that the process ever had, in bytes.
    ///
    /// # Errors
    /// The process has ended, or the system is not Linux.
    pub(crate) fn peak_memory(&self) -> anyhow::Result<u64> {
        let id = self.child.id().context("the api-server has ended")?;
        let status = fs::read_to_string(format!("/proc/{id}/status")).context("cannot read the memory")?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let kibibytes = line.and_then(|line| line.trim().trim_end_matches(" kB").parse::<u64>().ok());
        Ok(kibibytes.context("the process has no VmHWM")? * 1024)
    }

    /// Returns whether the process is running.
    pub(crate) fn is_running(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// Adds to an error that the server has ended, if it has.
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

    /// Sends a signal to the process.
    pub(crate) fn signal(&self, signal: Signal) {
        if let Some(pid) = self.child.id().and_then(|id| Pid::from_raw(id.cast_signed())) {
            // Fails if the process has just ended by itself.
            let _ = kill_process(pid, signal);
        }
    }

    /// Kills the process, as a lack of memory or a power failure would.
    pub(crate) async fn kill(&mut self) {
        // Fails if the process has just ended by itself.
        let _ = self.child.kill().await;
    }

    /// Stops the process with SIGTERM, after a timeout with SIGKILL.
    pub(crate) async fn stop(&mut self) {
        self.signal(Signal::TERM);
        if timeout(STOP_TIMEOUT, self.child.wait()).await.is_err() {
            self.kill().await;
        }
    }

    async fn wait_until_ready(&mut self) -> anyhow::Result<String> {
        let output = self.child.stdout.take().context("the output is piped")?;
        let problem = match timeout(START_TIMEOUT, listening_address(output)).await {
            Ok(Some(address)) => return Ok(address),
            Err(_) => format!("was not ready within {START_TIMEOUT:?}"),
            Ok(None) => match timeout(Duration::from_secs(1), self.child.wait()).await {
                Ok(Ok(status)) => format!("ended with {status}"),
                _ => "did not print its address".to_owned(),
            },
        };
        bail!("the api-server {problem}; the last lines of its log:\n{}", self.last_lines().join("\n"))
    }
}

/// Reads `listening on URL`, the first line of our servers, and the rest of the output in the background.
pub(crate) async fn listening_address(output: impl AsyncRead + Unpin + Send + 'static) -> Option<String> {
    let mut lines = BufReader::new(output).lines();
    let line = lines.next_line().await.ok().flatten()?;
    let address = line.strip_prefix("listening on ")?.trim().trim_end_matches('/').to_owned();
    tokio::spawn(discard(lines));
    Some(address)
}

/// Reads to the end, so that a full pipe does not stop the process that writes to it.
pub(crate) async fn discard(mut lines: Lines<BufReader<impl AsyncRead + Unpin>>) {
    while let Ok(Some(_)) = lines.next_line().await {}
}

/// Reads the token of the administrator, which the server creates at its first start.
pub(crate) fn admin_token(folder: &Path) -> anyhow::Result<String> {
    let path = folder.join("admin-token");
    let token = fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
    Ok(token.trim().to_owned())
}

/// Returns the path of the server's log.
pub(crate) fn log_file(folder: &Path) -> PathBuf {
    folder.join("api-server.log")
}

fn command_line(command: &std::process::Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    words.map(|word| word.display().to_string()).collect::<Vec<_>>().join(" ")
}
