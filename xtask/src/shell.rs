//! The repository, the terminal, and the programs that the commands run.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "this is a program for the command line")]

use std::{
    ffi::OsString,
    fmt,
    io::{IsTerminal as _, Write as _},
    path::{Path, PathBuf},
    process::{Command, ExitStatus, Output, Stdio},
    thread,
};

use anyhow::{Context as _, bail};

/// The surroundings of a command.
#[derive(Debug)]
pub(crate) struct Shell {
    /// The root of the repository.
    pub(crate) root: PathBuf,
    /// Whether this is a pipeline, where no check may be skipped.
    pub(crate) is_ci: bool,
    search_path: OsString,
}

impl Shell {
    /// Reads the environment of this process.
    #[expect(clippy::disallowed_methods, reason = "the one place where xtask reads the environment")]
    pub(crate) fn new() -> anyhow::Result<Self> {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().context("xtask is in no repository")?;
        let variable = |name| std::env::var_os(name).unwrap_or_default();
        let is_ci = !variable("CI").is_empty();
        Ok(Self { root: root.to_path_buf(), is_ci, search_path: variable("PATH") })
    }

    /// Returns the target folder of cargo, wherever `CARGO_TARGET_DIR` or a configuration file puts it.
    pub(crate) fn target_folder(&self) -> anyhow::Result<PathBuf> {
        let metadata = Cmd::cargo(["metadata", "--no-deps", "--format-version=1"]).output(self)?;
        let metadata: serde_json::Value = serde_json::from_str(&metadata.stdout)?;
        let folder = metadata["target_directory"].as_str().context("cargo names no target folder")?;
        Ok(PathBuf::from(folder))
    }

    /// Finds a program on the `PATH`.
    pub(crate) fn find_program(&self, name: &str) -> Option<PathBuf> {
        let mut folders = std::env::split_paths(&self.search_path);
        folders.find_map(|folder| Some(folder.join(name)).filter(|path| path.is_file()))
    }

    /// Asks a question at the terminal; only `y` and `yes` are yes.
    pub(crate) fn confirm(question: &str) -> bool {
        print!("{question} [y/N] ");
        // The answer can be given to a question that is not shown.
        let _ = std::io::stdout().flush();
        let mut answer = String::new();
        let read = std::io::stdin().read_line(&mut answer);
        read.is_ok() && matches!(answer.trim().to_ascii_lowercase().as_str(), "y" | "yes")
    }

    /// Returns whether a question can be answered.
    pub(crate) fn can_ask() -> bool {
        std::io::stdin().is_terminal()
    }
}

/// Prints a line. Nothing reads it any more after `| head`, which is no error.
pub(crate) fn line(text: &str) {
    use std::io::Write as _;
    let _ = writeln!(std::io::stdout(), "{text}");
}

/// Prints a heading.
pub(crate) fn title(text: &str) {
    println!("\n== {text}");
}

/// Prints a success.
pub(crate) fn success(text: &str) {
    println!("✔ {text}");
}

/// Prints a note.
pub(crate) fn note(text: &str) {
    println!("• {text}");
}

/// Prints a warning.
pub(crate) fn warning(text: &str) {
    println!("warning: {text}");
}

/// Prints an error with its sources.
pub(crate) fn error(error: &anyhow::Error) {
    eprintln!("error: {error:#}");
}

/// A program with its arguments; runs at the root of the repository.
#[derive(Debug)]
pub(crate) struct Cmd {
    command: Command,
    /// What it reads from its standard input; may be a secret, so it is never printed.
    input: Option<String>,
}

/// What a program printed, and how it ended.
#[derive(Debug)]
pub(crate) struct CmdOutput {
    pub(crate) status: ExitStatus,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Cmd {
    /// Creates a command.
    pub(crate) fn new<'a>(program: &str, arguments: impl IntoIterator<Item = &'a str>) -> Self {
        let mut command = Command::new(program);
        command.args(arguments);
        Self { command, input: None }
    }

    /// Creates a `cargo` command.
    pub(crate) fn cargo<'a>(arguments: impl IntoIterator<Item = &'a str>) -> Self {
        Self::new("cargo", arguments)
    }

    /// Adds arguments.
    pub(crate) fn args<'a>(mut self, arguments: impl IntoIterator<Item = &'a str>) -> Self {
        self.command.args(arguments);
        self
    }

    /// Sets an environment variable.
    pub(crate) fn env(mut self, name: &str, value: impl Into<OsString>) -> Self {
        self.command.env(name, value.into());
        self
    }

    /// Runs it in a folder relative to the root.
    pub(crate) fn folder(mut self, folder: &Path) -> Self {
        self.command.current_dir(folder);
        self
    }

    /// Sets the standard input.
    pub(crate) fn input(mut self, text: String) -> Self {
        self.input = Some(text);
        self
    }

    /// Prints the command and runs it; its output goes to the terminal.
    pub(crate) fn run(mut self, shell: &Shell) -> anyhow::Result<()> {
        line(&format!("$ {self}"));
        let status = self.at_root(shell).stdin(Stdio::null()).status();
        self.check(status.with_context(|| format!("cannot start `{self}`"))?)
    }

    /// Prints the command, runs it, and returns its standard output.
    pub(crate) fn read(mut self, shell: &Shell) -> anyhow::Result<String> {
        line(&format!("$ {self}"));
        let output = self.at_root(shell).stdin(Stdio::null()).stderr(Stdio::inherit()).output();
        let output = output.with_context(|| format!("cannot start `{self}`"))?;
        self.check(output.status)?;
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }

    /// Runs it silently and returns what it printed, whatever its exit code is.
    pub(crate) fn output(mut self, shell: &Shell) -> anyhow::Result<CmdOutput> {
        let input = self.input.take();
        let stdin = if input.is_some() { Stdio::piped() } else { Stdio::null() };
        let command = self.at_root(shell).stdin(stdin).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().with_context(|| format!("cannot start `{self}`"))?;
        if let (Some(mut pipe), Some(text)) = (child.stdin.take(), input) {
            // Fails if the program does not read to the end; its error message says more.
            thread::spawn(move || pipe.write_all(text.as_bytes()));
        }
        let Output { status, stdout, stderr } = child.wait_with_output().context("cannot read the output")?;
        let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
        Ok(CmdOutput { status, stdout: text(stdout), stderr: text(stderr) })
    }

    fn at_root(&mut self, shell: &Shell) -> &mut Command {
        if self.command.get_current_dir().is_none() {
            self.command.current_dir(&shell.root);
        }
        &mut self.command
    }

    fn check(&self, status: ExitStatus) -> anyhow::Result<()> {
        if !status.success() {
            bail!("`{self}` ended with {status}");
        }
        Ok(())
    }
}

impl fmt::Display for Cmd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (name, value) in self.command.get_envs() {
            write!(f, "{}={} ", name.display(), value.unwrap_or_default().display())?;
        }
        write!(f, "{}", self.command.get_program().display())?;
        self.command.get_args().try_for_each(|argument| write!(f, " {}", argument.display()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn command_reads_its_input_and_hides_it() {
        let shell = Shell::new().unwrap();
        let command = Cmd::new("sh", ["-c", "cat; echo $NAME >&2; exit 3"]).env("NAME", "value");
        assert_eq!(command.to_string(), "NAME=value sh -c cat; echo $NAME >&2; exit 3");
        let output = command.input("secret".to_owned()).output(&shell).unwrap();
        assert_eq!((output.stdout.as_str(), output.stderr.trim()), ("secret", "value"));
        assert_eq!(output.status.code(), Some(3));
    }

    #[test]
    fn failed_command_is_named_in_the_error() {
        let shell = Shell::new().unwrap();
        let error = Cmd::new("sh", ["-c", "exit 4"]).run(&shell).unwrap_err().to_string();
        assert!(error.contains("`sh -c exit 4`") && error.contains("exit status: 4"), "{error}");
        assert!(Cmd::new("/nonexistent/program", []).run(&shell).is_err());
    }
}
