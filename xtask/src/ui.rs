//! Everything that this program says: lines, a moving phase line, questions, errors.
//!
//! Colours and movement only where a terminal shows them; the text is the same without.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "this is a program for the command line")]

use std::{
    cell::RefCell,
    io::{BufRead as _, IsTerminal as _, Write as _},
    process::ExitCode,
    sync::mpsc,
    thread,
    time::Duration,
};

use indicatif::{ProgressBar, ProgressStyle};
use owo_colors::{OwoColorize as _, Style};

use crate::interrupt::{Interrupt, Interrupted};

/// Where messages go.
#[derive(Debug)]
pub(crate) struct Ui {
    terminal: bool,
    colours: bool,
    /// What moves at the bottom, while something goes on.
    spinner: RefCell<Option<ProgressBar>>,
}

impl Ui {
    /// Makes one that prints plain lines.
    pub(crate) fn plain() -> Self {
        Self { terminal: false, colours: false, spinner: RefCell::new(None) }
    }

    /// Makes one that uses what the terminal can do, if there is one.
    pub(crate) fn for_terminal(no_color: bool) -> Self {
        let terminal = std::io::stdout().is_terminal() && std::io::stderr().is_terminal();
        Self { terminal, colours: terminal && !no_color, spinner: RefCell::new(None) }
    }

    /// Prints a line as it is.
    pub(crate) fn line(&self, text: &str) {
        match &*self.spinner.borrow() {
            Some(spinner) => spinner.suspend(|| println!("{text}")),
            None => println!("{text}"),
        }
    }

    /// Prints the title of a part.
    pub(crate) fn title(&self, text: &str) {
        self.line("");
        self.line(&self.paint(text, Style::new().bold()));
    }

    /// Prints a command that is about to run.
    pub(crate) fn command(&self, text: &str) {
        self.line(&format!("{} {text}", self.paint("$", Style::new().dimmed())));
    }

    /// Prints something that is good.
    pub(crate) fn good(&self, text: &str) {
        self.line(&format!("{} {text}", self.paint("✔", Style::new().green())));
    }

    /// Prints something to know.
    pub(crate) fn note(&self, text: &str) {
        self.line(&format!("{} {text}", self.paint("•", Style::new().cyan())));
    }

    /// Prints something that somebody may need to look at.
    pub(crate) fn warning(&self, text: &str) {
        self.line(&format!("{} {text}", self.paint("warning:", Style::new().yellow())));
    }

    /// Prints a line of a log.
    pub(crate) fn log(&self, text: &str) {
        self.line(&format!("{} {text}", self.paint("  │", Style::new().dimmed())));
    }

    /// Prints an error with all its causes, and returns the exit code for it.
    pub(crate) fn failure(&self, error: &anyhow::Error) -> ExitCode {
        self.quiet();
        eprintln!("{} {error:#}", self.paint("error:", Style::new().red().bold()));
        ExitCode::FAILURE
    }

    /// Shows what is going on, below everything that is printed; only where there is a terminal.
    pub(crate) fn phase(&self, text: &str) {
        if self.terminal {
            let mut spinner = self.spinner.borrow_mut();
            spinner.get_or_insert_with(|| self.spinner()).set_message(text.to_owned());
        }
    }

    /// Ends the showing of what is going on.
    pub(crate) fn quiet(&self) {
        if let Some(spinner) = self.spinner.take() {
            spinner.finish_and_clear();
        }
    }

    fn spinner(&self) -> ProgressBar {
        let template =
            if self.colours { "{spinner:.cyan} {msg} {elapsed:.dim}" } else { "{spinner} {msg} {elapsed}" };
        let style =
            ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_spinner());
        let spinner = ProgressBar::no_length().with_style(style);
        spinner.enable_steady_tick(Duration::from_millis(100));
        spinner
    }

    /// Tells whether somebody sits there who can answer.
    pub(crate) fn can_ask() -> bool {
        std::io::stdin().is_terminal()
    }

    /// Asks a question; only `y` and `yes` are yes. Waits for as long as the answer takes.
    ///
    /// # Errors
    /// [`Interrupted`] when this process is asked to stop meanwhile.
    pub(crate) fn confirm(&self, question: &str, interrupt: &Interrupt) -> Result<bool, Interrupted> {
        self.quiet();
        print!("{} ", self.paint(&format!("{question} [y/N]"), Style::new().bold()));
        // A prompt that does not show is no reason not to wait for the answer.
        let _ = std::io::stdout().flush();
        let (sender, receiver) = mpsc::channel();
        thread::spawn(move || {
            let mut answer = String::new();
            let read = std::io::stdin().lock().read_line(&mut answer);
            sender.send(read.map(|_| answer))
        });
        loop {
            interrupt.check()?;
            match receiver.recv_timeout(Duration::from_millis(100)) {
                Ok(answer) => return Ok(answer.is_ok_and(|text| is_yes(&text))),
                Err(mpsc::RecvTimeoutError::Timeout) => {}
                Err(mpsc::RecvTimeoutError::Disconnected) => return Ok(false),
            }
        }
    }

    /// Dresses a text, where colours are shown.
    pub(crate) fn paint(&self, text: &str, style: Style) -> String {
        if self.colours { text.style(style).to_string() } else { text.to_owned() }
    }
}

fn is_yes(answer: &str) -> bool {
    matches!(answer.trim().to_ascii_lowercase().as_str(), "y" | "yes")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_clear_yes_is_a_yes() {
        for (answer, expected) in
            [("y\n", true), ("YES\n", true), ("\n", false), ("", false), ("yeah\n", false)]
        {
            assert_eq!(is_yes(answer), expected, "{answer:?}");
        }
    }

    #[test]
    fn without_a_terminal_a_text_stays_as_it_is() {
        assert_eq!(Ui::plain().paint("plan", Style::new().red()), "plan");
    }
}
