//! Everything that this program says: lines, a moving phase line, questions, errors.
//!
//! Colours and movement only where a terminal shows them; the text is the same without.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "this is a program for the command line")]

use std::{
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
    colours: bool,
    spinner: Option<ProgressBar>,
}

impl Ui {
    /// Makes one that prints plain lines.
    pub(crate) fn plain() -> Self {
        Self { colours: false, spinner: None }
    }

    /// Makes one that uses what the terminal can do, if there is one.
    pub(crate) fn for_terminal(no_color: bool) -> Self {
        let terminal = std::io::stdout().is_terminal() && std::io::stderr().is_terminal();
        let colours = terminal && !no_color;
        let template = if colours { "{spinner:.cyan} {msg}" } else { "{spinner} {msg}" };
        let spinner = terminal.then(|| {
            let style =
                ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_spinner());
            ProgressBar::no_length().with_style(style)
        });
        Self { colours, spinner }
    }

    /// Tells whether colours are shown.
    pub(crate) fn colours(&self) -> bool {
        self.colours
    }

    /// Prints a line as it is.
    pub(crate) fn line(&self, text: &str) {
        match &self.spinner {
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
        if let Some(spinner) = &self.spinner {
            spinner.enable_steady_tick(Duration::from_millis(100));
            spinner.set_message(text.to_owned());
        }
    }

    /// Ends the showing of what is going on.
    pub(crate) fn quiet(&self) {
        if let Some(spinner) = &self.spinner {
            spinner.disable_steady_tick();
            spinner.set_message("");
            spinner.finish_and_clear();
            spinner.reset();
        }
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
