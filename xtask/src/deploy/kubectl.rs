//! `kubectl` for one context: says what it runs, and never shows what it is given to read.

use anyhow::bail;

use crate::{
    cmd::{Answer, Cmd},
    environment::Environment,
};

/// The name under which the cluster notes what we wrote; `undeploy` removes what carries it.
pub(super) const FIELD_MANAGER: &str = "--field-manager=ephemeral-agents";

/// A `kubectl` that speaks to one cluster.
#[derive(Debug)]
pub(super) struct Kubectl<'a> {
    pub(super) environment: &'a Environment,
    /// Stand before every argument.
    pub(super) options: Vec<String>,
}

impl Kubectl<'_> {
    fn command(&self, arguments: &[&str]) -> Cmd {
        let options = self.options.iter().map(String::as_str);
        Cmd::new("kubectl", options.chain(arguments.iter().copied()))
    }

    /// Returns a command as somebody would type it.
    pub(super) fn typed(&self, arguments: &[&str]) -> String {
        self.command(arguments).to_string()
    }

    /// Asks without a word; what the answer means is the caller's business.
    pub(super) fn ask(&self, arguments: &[&str]) -> anyhow::Result<Answer> {
        self.command(arguments).ask(self.environment)
    }

    /// Says what it runs, runs it, and returns the answer, whatever it is.
    pub(super) fn said(&self, arguments: &[&str], input: Option<String>) -> anyhow::Result<Answer> {
        let command = self.command(arguments);
        self.environment.ui.command(&command.to_string());
        match input {
            Some(text) => command.input(text).ask(self.environment),
            None => command.ask(self.environment),
        }
    }

    /// Says what it runs, and fails if that fails.
    pub(super) fn tell(&self, arguments: &[&str], input: Option<String>) -> anyhow::Result<String> {
        let answer = self.said(arguments, input)?;
        if !answer.status.success() {
            bail!("`{}` failed: {}", self.typed(arguments), answer.errors.trim());
        }
        Ok(answer.output)
    }

    /// Reads one object; `None` if it is not there.
    pub(super) fn get(
        &self,
        reference: &str,
        namespace: Option<&str>,
    ) -> anyhow::Result<Option<serde_json::Value>> {
        let mut arguments =
            vec!["get", reference, "--ignore-not-found", "--show-managed-fields", "-o", "json"];
        arguments.extend(namespace.iter().flat_map(|name| ["--namespace", name]));
        let answer = self.ask(&arguments)?;
        if !answer.status.success() {
            bail!("`{}` failed: {}", self.typed(&arguments), answer.errors.trim());
        }
        if answer.output.trim().is_empty() { Ok(None) } else { super::json(&answer.output).map(Some) }
    }
}
