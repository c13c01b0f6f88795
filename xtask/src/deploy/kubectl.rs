//! `kubectl` for one context. Prints the commands that change something, but never their input.

use anyhow::bail;

use crate::shell::{self, Cmd, CmdOutput, Shell};

/// `undeploy` deletes the objects with this field manager.
pub(crate) const FIELD_MANAGER: &str = "--field-manager=ephemeral-agents";

/// `kubectl` for one cluster.
#[derive(Debug)]
pub(crate) struct Kubectl<'a> {
    pub(crate) shell: &'a Shell,
    /// Options of every command.
    pub(crate) options: Vec<String>,
}

impl Kubectl<'_> {
    fn command(&self, arguments: &[&str]) -> Cmd {
        let options = self.options.iter().map(String::as_str);
        Cmd::new("kubectl", options.chain(arguments.iter().copied()))
    }

    /// Returns the context.
    pub(crate) fn context(&self) -> &str {
        self.options.last().map_or("", String::as_str)
    }

    /// Returns a command as text.
    pub(crate) fn command_line(&self, arguments: &[&str]) -> String {
        self.command(arguments).to_string()
    }

    /// Runs a command silently and returns its output, whatever its exit code is.
    pub(crate) fn output(&self, arguments: &[&str]) -> anyhow::Result<CmdOutput> {
        self.command(arguments).output(self.shell)
    }

    /// Prints a command, runs it, and returns its output, whatever its exit code is.
    pub(crate) fn output_logged(
        &self,
        arguments: &[&str],
        input: Option<String>,
    ) -> anyhow::Result<CmdOutput> {
        let command = self.command(arguments);
        shell::line(&format!("$ {command}"));
        match input {
            Some(text) => command.input(text).output(self.shell),
            None => command.output(self.shell),
        }
    }

    /// Prints a command and runs it.
    pub(crate) fn run(&self, arguments: &[&str], input: Option<String>) -> anyhow::Result<String> {
        let answer = self.output_logged(arguments, input)?;
        if !answer.status.success() {
            bail!("`{}` failed: {}", self.command_line(arguments), answer.stderr.trim());
        }
        Ok(answer.stdout)
    }

    /// Reads an object; `None` if it does not exist.
    pub(crate) fn get(
        &self,
        reference: &str,
        namespace: Option<&str>,
    ) -> anyhow::Result<Option<serde_json::Value>> {
        let mut arguments =
            vec!["get", reference, "--ignore-not-found", "--show-managed-fields", "-o", "json"];
        arguments.extend(namespace.iter().flat_map(|name| ["--namespace", name]));
        let answer = self.output(&arguments)?;
        if !answer.status.success() {
            bail!("`{}` failed: {}", self.command_line(&arguments), answer.stderr.trim());
        }
        if answer.stdout.trim().is_empty() { Ok(None) } else { super::json(&answer.stdout).map(Some) }
    }
}
