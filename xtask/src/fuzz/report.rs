//! What the engine has to say, read out of its log.

use std::fmt;

/// The result of a search that found nothing wrong.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Report {
    /// How often the target ran, and for how many seconds.
    executions: u64,
    seconds: u64,
    /// Edges of the code that were reached: by the inputs at hand, and at the end.
    edges_before: u64,
    edges_after: u64,
    /// How many inputs are kept because each reaches something that the others do not.
    inputs: u64,
}

impl Report {
    /// Reads a whole log; `None` if the engine did not come to its end.
    pub(super) fn read(log: &str) -> Option<Self> {
        let line = |word: &str| log.lines().find(|line| line.contains(word));
        let before = line("INITED")?;
        // The last line of progress: what was learned after the inputs at hand were tried.
        let last = line("DONE").unwrap_or(before);
        let done = line("Done ")?;
        Some(Self {
            executions: after(done, "Done ")?,
            seconds: after(done, "runs in ")?,
            edges_before: after(before, "cov: ")?,
            edges_after: after(last, "cov: ")?,
            inputs: after(last, "corp: ")?,
        })
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { executions, seconds, edges_before, edges_after, inputs } = self;
        write!(
            f,
            "{executions} executions in {seconds} s, {edges_before} edges reached before and {edges_after} after, \
             {inputs} inputs kept"
        )
    }
}

/// Reads the number that follows a word.
fn after(line: &str, word: &str) -> Option<u64> {
    let (_, rest) = line.split_once(word)?;
    let end = rest.find(|character: char| !character.is_ascii_digit()).unwrap_or(rest.len());
    rest[..end].parse().ok()
}

/// The lines of a log that tell what was found: the message of the panic, the input, and where it was written.
pub(super) fn of_a_find(log: &str) -> impl Iterator<Item = &str> {
    let progress = |line: &str| line.starts_with('#') || line.starts_with("INFO:");
    let stack = |line: &str| line.trim_start().starts_with('#') || line.starts_with("NOTE:");
    log.lines().filter(move |line| !progress(line) && !stack(line) && !line.trim().is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOG: &str = "\
INFO: Loaded 1 modules   (75799 inline 8-bit counters)
#9\tINITED cov: 312 ft: 700 corp: 8/160b exec/s: 0 rss: 31Mb
#12\tNEW    cov: 315 ft: 720 corp: 9/170b lim: 32 exec/s: 0 rss: 31Mb L: 10/32 MS: 1 ChangeBit-
#5021\tDONE   cov: 441 ft: 1204 corp: 393/3495b lim: 32 exec/s: 1004 rss: 39Mb
Done 5021 runs in 5 second(s)
";

    #[test]
    fn a_log_is_read_to_its_figures() {
        assert_eq!(
            Report::read(LOG).unwrap().to_string(),
            "5021 executions in 5 s, 312 edges reached before and 441 after, 393 inputs kept"
        );
    }

    #[test]
    fn a_log_without_an_end_has_no_figures() {
        assert_eq!(Report::read(LOG.split_once("Done").unwrap().0), None);
        assert_eq!(Report::read(""), None);
    }

    #[test]
    fn a_find_is_told_without_progress_and_stack() {
        let log = "INFO: seed\n#5\tNEW    cov: 1\n\nthread '<unnamed>' panicked at a.rs:1:2:\nno\n    #0 0x5 in x\n\
                   Test unit written to target/fuzz/finds/quantity-crash-1\n";
        let expected = [
            "thread '<unnamed>' panicked at a.rs:1:2:",
            "no",
            "Test unit written to target/fuzz/finds/quantity-crash-1",
        ];
        assert_eq!(of_a_find(log).collect::<Vec<_>>(), expected);
    }
}
