//! Runs another program: says first what it runs, and says it again when that fails.
//!
//! The program gets a process group of its own, so that a signal to this process ends all of it and only in our order.

use std::{
    ffi::OsString,
    fmt,
    io::{self, Read, Write as _},
    os::unix::process::CommandExt as _,
    path::Path,
    process::{Child, Command, ExitStatus, Stdio},
    sync::mpsc,
    thread::{self, JoinHandle},
    time::Duration,
};

use anyhow::{Context as _, bail};
use rustix::process::{Pid, Signal, kill_process_group};

use crate::environment::Environment;

/// A program with its arguments, as it would be typed.
#[derive(Debug)]
pub(crate) struct Cmd {
    program: String,
    arguments: Vec<String>,
    variables: Vec<(String, OsString)>,
    /// What it reads from its standard input; may be a secret, so it is never shown.
    input: Option<String>,
}

/// What a program that was asked something has answered.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: ExitStatus,
    pub(crate) output: String,
    pub(crate) errors: String,
}

impl Cmd {
    /// Names a program and its arguments.
    pub(crate) fn new<'a>(program: &str, arguments: impl IntoIterator<Item = &'a str>) -> Self {
        Self {
            program: program.to_owned(),
            arguments: arguments.into_iter().map(str::to_owned).collect(),
            variables: Vec::new(),
            input: None,
        }
    }

    /// Names a `cargo` command.
    pub(crate) fn cargo<'a>(arguments: impl IntoIterator<Item = &'a str>) -> Self {
        Self::new("cargo", arguments)
    }

    /// Appends arguments.
    pub(crate) fn args<'a>(mut self, arguments: impl IntoIterator<Item = &'a str>) -> Self {
        self.arguments.extend(arguments.into_iter().map(str::to_owned));
        self
    }

    /// Sets an environment variable.
    pub(crate) fn env(mut self, name: &str, value: impl Into<OsString>) -> Self {
        self.variables.push((name.to_owned(), value.into()));
        self
    }

    /// Gives it something to read.
    pub(crate) fn input(mut self, text: String) -> Self {
        self.input = Some(text);
        self
    }

    /// Runs it at the root of the repository, with this process's input and output.
    pub(crate) fn run(&self, environment: &Environment) -> anyhow::Result<()> {
        environment.ui.command(&self.to_string());
        let child = self.spawn(&environment.root, Stdio::inherit(), Stdio::inherit())?;
        self.expect_success(wait(child, environment)?)
    }

    /// Runs it at the root of the repository and returns what it prints to its standard output.
    pub(crate) fn read(&self, environment: &Environment) -> anyhow::Result<String> {
        environment.ui.command(&self.to_string());
        let mut child = self.spawn(&environment.root, Stdio::piped(), Stdio::inherit())?;
        let output = collect(child.stdout.take());
        self.expect_success(wait(child, environment)?)?;
        self.collected(output)
    }

    /// Runs it without a word, and returns what it prints, whatever its exit code says.
    pub(crate) fn ask(&self, environment: &Environment) -> anyhow::Result<Answer> {
        let mut child = self.spawn(&environment.root, Stdio::piped(), Stdio::piped())?;
        if let (Some(mut pipe), Some(text)) = (child.stdin.take(), self.input.clone()) {
            // A program that does not read to the end says more by its answer than the broken pipe does.
            thread::spawn(move || pipe.write_all(text.as_bytes()));
        }
        let (output, errors) = (collect(child.stdout.take()), collect(child.stderr.take()));
        let status = wait(child, environment)?;
        Ok(Answer { status, output: self.collected(output)?, errors: self.collected(errors)? })
    }

    fn collected(&self, reader: JoinHandle<io::Result<String>>) -> anyhow::Result<String> {
        let text = reader.join().map_err(|_| anyhow::anyhow!("the reader of `{self}` died"))?;
        text.with_context(|| format!("could not read the output of `{self}`"))
    }

    fn spawn(&self, folder: &Path, output: Stdio, errors: Stdio) -> anyhow::Result<Child> {
        let input = if self.input.is_some() { Stdio::piped() } else { Stdio::null() };
        Command::new(&self.program)
            .args(&self.arguments)
            .envs(self.variables.iter().map(|(name, value)| (name, value)))
            .current_dir(folder)
            .stdin(input)
            .stdout(output)
            .stderr(errors)
            .process_group(0)
            .spawn()
            .with_context(|| format!("could not start `{self}`"))
    }

    fn expect_success(&self, status: ExitStatus) -> anyhow::Result<()> {
        if !status.success() {
            bail!("`{self}` ended with {status}");
        }
        Ok(())
    }
}

impl fmt::Display for Cmd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (name, value) in &self.variables {
            write!(f, "{name}={} ", value.display())?;
        }
        write!(f, "{}", self.program)?;
        self.arguments.iter().try_for_each(|argument| write!(f, " {argument}"))
    }
}

/// Reads what a child prints while it runs, so that it never waits for a full pipe.
fn collect(pipe: Option<impl Read + Send + 'static>) -> JoinHandle<io::Result<String>> {
    thread::spawn(move || {
        let mut bytes = Vec::new();
        pipe.map_or(Ok(0), |mut pipe| pipe.read_to_end(&mut bytes))?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    })
}

/// Waits for the end of a child; when this process is asked to stop, its group is.
fn wait(mut child: Child, environment: &Environment) -> anyhow::Result<ExitStatus> {
    let group = Pid::from_child(&child);
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || sender.send(child.wait()));
    let mut told = 0;
    loop {
        match receiver.recv_timeout(Duration::from_millis(100)) {
            Ok(status) => {
                environment.interrupt.check()?;
                return status.context("could not wait for a child");
            }
            Err(mpsc::RecvTimeoutError::Timeout) => {
                let asked = environment.interrupt.count();
                if asked > told {
                    // The first time it may clean up, the second time it may not. A group that is gone needs no signal.
                    let signal = if told == 0 { Signal::TERM } else { Signal::KILL };
                    let _ = kill_process_group(group, signal);
                    told = asked;
                }
            }
            Err(mpsc::RecvTimeoutError::Disconnected) => bail!("nobody waits for the child any more"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_is_shown_as_it_would_be_typed() {
        let command =
            Cmd::cargo(["doc", "--no-deps"]).args(["--workspace"]).env("RUSTDOCFLAGS", "-Dwarnings");
        assert_eq!(command.to_string(), "RUSTDOCFLAGS=-Dwarnings cargo doc --no-deps --workspace");
    }

    #[test]
    fn an_asked_program_reads_its_input_and_its_answer_comes_in_parts() {
        let script = "read -r line; echo \"out $line\"; echo \"err $line\" >&2; exit 3";
        let command = Cmd::new("sh", ["-c", script]).input("secret\n".to_owned());
        let answer = command.ask(&Environment::of_a_test()).unwrap();
        assert_eq!(
            (answer.status.code(), answer.output.trim(), answer.errors.trim()),
            (Some(3), "out secret", "err secret")
        );
        assert!(!command.to_string().contains("secret"));
    }
}
