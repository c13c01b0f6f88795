//! Messages: lines, a progress line, questions, errors.
//!
//! Colors and movement only on a terminal; the text is the same without.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "these are programs for the command line")]

use std::{cell::RefCell, io::IsTerminal as _, io::Write as _, thread, time::Duration};

use indicatif::{ProgressBar, ProgressStyle};
use owo_colors::{OwoColorize as _, Style};
use tokio::sync::oneshot;

use crate::environment::variable;

/// Where messages go.
#[derive(Debug)]
pub(crate) struct Ui {
    terminal: bool,
    pub(crate) colors: bool,
    progress: RefCell<Option<ProgressBar>>,
}

impl Ui {
    /// Uses colors and a progress line if the output is a terminal.
    pub(crate) fn for_terminal() -> Self {
        let terminal = std::io::stdout().is_terminal() && std::io::stderr().is_terminal();
        let colors = terminal && variable("NO_COLOR").is_empty();
        Self { terminal, colors, progress: RefCell::new(None) }
    }

    /// Prints a line.
    pub(crate) fn line(&self, text: &str) {
        match &*self.progress.borrow() {
            Some(progress) => progress.suspend(|| println!("{text}")),
            None => println!("{text}"),
        }
    }

    /// Prints a heading.
    pub(crate) fn title(&self, text: &str) {
        self.line("");
        self.line(&self.paint(text, Style::new().bold()));
    }

    /// Prints a command that is about to run.
    pub(crate) fn command(&self, text: &str) {
        self.line(&format!("{} {text}", self.paint("$", Style::new().dimmed())));
    }

    /// Prints a success.
    pub(crate) fn success(&self, text: &str) {
        self.line(&format!("{} {text}", self.paint("✔", Style::new().green())));
    }

    /// Prints a note.
    pub(crate) fn note(&self, text: &str) {
        self.line(&format!("{} {text}", self.paint("•", Style::new().cyan())));
    }

    /// Prints a warning.
    pub(crate) fn warning(&self, text: &str) {
        self.line(&format!("{} {text}", self.paint("warning:", Style::new().yellow())));
    }

    /// Prints a line of a log.
    pub(crate) fn log(&self, text: &str) {
        self.line(&format!("{} {text}", self.paint("  │", Style::new().dimmed())));
    }

    /// Prints an error with its sources.
    pub(crate) fn error(&self, error: &anyhow::Error) {
        self.clear_progress();
        eprintln!("{} {error:#}", self.paint("error:", Style::new().red().bold()));
    }

    /// Shows a progress line below everything that is printed, on a terminal only.
    pub(crate) fn progress(&self, text: &str) {
        if self.terminal {
            let mut progress = self.progress.borrow_mut();
            progress.get_or_insert_with(|| self.progress_line()).set_message(text.to_owned());
        }
    }

    /// Removes the progress line.
    pub(crate) fn clear_progress(&self) {
        if let Some(progress) = self.progress.take() {
            progress.finish_and_clear();
        }
    }

    fn progress_line(&self) -> ProgressBar {
        let template =
            if self.colors { "{spinner:.cyan} {msg} {elapsed:.dim}" } else { "{spinner} {msg} {elapsed}" };
        let style = ProgressStyle::with_template(template);
        let style = style.unwrap_or_else(|_| ProgressStyle::default_spinner());
        let progress = ProgressBar::no_length().with_style(style);
        progress.enable_steady_tick(Duration::from_millis(100));
        progress
    }

    /// Asks a question at the terminal; only `y` and `yes` are yes. Waits as long as the answer takes.
    pub(crate) async fn confirm(&self, question: &str) -> bool {
        self.clear_progress();
        print!("{} ", self.paint(&format!("{question} [y/N]"), Style::new().bold()));
        // The answer can be given to a question that is not shown.
        let _ = std::io::stdout().flush();
        let (sender, receiver) = oneshot::channel();
        thread::spawn(move || {
            let mut answer = String::new();
            let read = std::io::stdin().read_line(&mut answer);
            sender.send(read.is_ok() && is_yes(&answer))
        });
        receiver.await.unwrap_or(false)
    }

    fn paint(&self, text: &str, style: Style) -> String {
        if self.colors { text.style(style).to_string() } else { text.to_owned() }
    }
}

/// Returns whether a question can be answered.
pub(crate) fn can_ask() -> bool {
    std::io::stdin().is_terminal()
}

fn is_yes(answer: &str) -> bool {
    matches!(answer.trim().to_ascii_lowercase().as_str(), "y" | "yes")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accepts_only_y_and_yes() {
        for (answer, expected) in
            [("y\n", true), ("YES\n", true), ("\n", false), ("", false), ("yeah\n", false)]
        {
            assert_eq!(is_yes(answer), expected, "{answer:?}");
        }
    }

    #[test]
    fn text_without_a_terminal_has_no_escape_sequences() {
        let ui = Ui { terminal: false, colors: false, progress: RefCell::new(None) };
        assert_eq!(ui.paint("plan", Style::new().red()), "plan");
    }
}
