//! The program that acts the scenarios: built from `k8s-backend/examples/e2e`, started, read line by line, ended for certain.

use std::{
    io::{BufRead as _, BufReader},
    os::unix::process::CommandExt as _,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::mpsc,
    thread,
    time::Duration,
};

use anyhow::{Context as _, bail};
use rustix::process::{Pid, Signal, kill_process_group};

use super::report::Outcome;
use crate::{cmd::Cmd, environment::Environment, test};

const NAME: &str = "e2e";

/// Builds the player.
pub(super) fn build(environment: &Environment) -> anyhow::Result<PathBuf> {
    let messages = Cmd::cargo([
        "build",
        "--message-format=json-render-diagnostics",
        "-p",
        "k8s-backend",
        "--example",
        NAME,
    ])
    .read(environment)?;
    test::find_target(&messages, NAME, "example").context("cargo built no player")
}

/// Lets it play to its end, or until somebody wants this process to stop.
pub(super) fn play(
    environment: &Environment,
    program: &Path,
    kubeconfig: &Path,
    arguments: &[&str],
    mut tell: impl FnMut(Outcome),
) -> anyhow::Result<()> {
    let mut command = Command::new(program);
    command.arg("--kubeconfig").arg(kubeconfig).args(arguments);
    // A group of its own, so that its `kubectl` ends with it, and only in our order.
    command.stdin(Stdio::null()).stdout(Stdio::piped()).process_group(0);
    let mut child = command.spawn().with_context(|| format!("could not start {}", program.display()))?;
    let group = Pid::from_child(&child);
    let output = child.stdout.take().context("a piped output is there")?;
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        BufReader::new(output).lines().map_while(Result::ok).for_each(|line| drop(sender.send(line)));
    });
    loop {
        match receiver.recv_timeout(Duration::from_millis(100)) {
            Ok(line) => tell(Outcome::read(&line)?),
            Err(mpsc::RecvTimeoutError::Disconnected) => break,
            Err(mpsc::RecvTimeoutError::Timeout) => {
                if let Err(interrupted) = environment.interrupt.check() {
                    // It has nothing to save: the namespace is removed with all that it has made there.
                    let _ = kill_process_group(group, Signal::KILL);
                    let _ = child.wait();
                    return Err(interrupted.into());
                }
            }
        }
    }
    let status = child.wait().context("could not wait for the player")?;
    environment.interrupt.check()?;
    match status.code() {
        // The second: some scenario has failed, which its lines have told.
        Some(0 | 1) => Ok(()),
        _ => bail!("the player gave up with {status}"),
    }
}
