//! `kubectl` for one context: says what it runs, and never shows what it is given to read.

use anyhow::bail;

use crate::shell::{self, Cmd, CmdOutput, Shell};

/// The name under which the cluster notes what we wrote; `undeploy` removes what carries it.
pub(crate) const FIELD_MANAGER: &str = "--field-manager=ephemeral-agents";

/// A `kubectl` that speaks to one cluster.
#[derive(Debug)]
pub(crate) struct Kubectl<'a> {
    pub(crate) shell: &'a Shell,
    /// Stand before every argument.
    pub(crate) options: Vec<String>,
}

impl Kubectl<'_> {
    fn command(&self, arguments: &[&str]) -> Cmd {
        let options = self.options.iter().map(String::as_str);
        Cmd::new("kubectl", options.chain(arguments.iter().copied()))
    }

    /// The context that it speaks to.
    pub(crate) fn context(&self) -> &str {
        self.options.last().map_or("", String::as_str)
    }

    /// Returns a command as somebody would type it.
    pub(crate) fn command_line(&self, arguments: &[&str]) -> String {
        self.command(arguments).to_string()
    }

    /// Asks without a word; what the answer means is the caller's business.
    pub(crate) fn output(&self, arguments: &[&str]) -> anyhow::Result<CmdOutput> {
        self.command(arguments).output(self.shell)
    }

    /// Says what it runs, runs it, and returns the answer, whatever it is.
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

    /// Says what it runs, and fails if that fails.
    pub(crate) fn run(&self, arguments: &[&str], input: Option<String>) -> anyhow::Result<String> {
        let answer = self.output_logged(arguments, input)?;
        if !answer.status.success() {
            bail!("`{}` failed: {}", self.command_line(arguments), answer.stderr.trim());
        }
        Ok(answer.stdout)
    }

    /// Reads one object; `None` if it is not there.
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
