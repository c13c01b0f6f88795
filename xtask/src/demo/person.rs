//! Who decides about the plans of a demo: the person at the terminal, or what was said beforehand.

use crate::{environment::Environment, product::follow::Watcher, ui::Ui};

/// Whoever started the demo.
#[derive(Debug)]
pub(super) struct Person<'a> {
    pub(super) environment: &'a Environment,
    /// Yes was said beforehand.
    pub(super) yes: bool,
}

impl Watcher for Person<'_> {
    fn decides(&mut self) -> anyhow::Result<Option<&'static str>> {
        let ui = &self.environment.ui;
        if self.yes {
            ui.note("Apply these changes? yes (--yes)");
            return Ok(None);
        }
        if !Ui::can_ask() {
            return Ok(Some(
                "the plan was rejected: there is no terminal to ask at, `--yes` answers beforehand",
            ));
        }
        let agreed = ui.confirm("Apply these changes?", &self.environment.interrupt)?;
        Ok((!agreed).then_some("the plan was rejected: you did not say yes"))
    }
}
