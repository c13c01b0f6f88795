//! Parses the log of the engine.

use std::fmt;

/// The result of a search without a finding.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Report {
    /// Number of executions, and duration in seconds.
    executions: u64,
    seconds: u64,
    /// Edges of the code that were reached: by the initial inputs, and at the end.
    edges_before: u64,
    edges_after: u64,
    /// Inputs that are kept because each reaches an edge that the others do not.
    inputs: u64,
}

impl Report {
    /// Parses a complete log; `None` if the engine did not finish.
    pub(super) fn parse(log: &str) -> Option<Self> {
        let line = |word: &str| log.lines().find(|line| line.contains(word));
        let before = line("INITED")?;
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
            "{executions} executions in {seconds} s, {edges_before} edges reached before and {edges_after} \
             after, {inputs} inputs kept"
        )
    }
}

/// Parses the number after a text.
fn after(line: &str, word: &str) -> Option<u64> {
    let (_, rest) = line.split_once(word)?;
    let end = rest.find(|character: char| !character.is_ascii_digit()).unwrap_or(rest.len());
    rest[..end].parse().ok()
}

/// Returns the lines about a finding: the message of the panic, the input, and its file.
pub(super) fn finding(log: &str) -> impl Iterator<Item = &str> {
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
    fn parses_a_complete_log() {
        assert_eq!(
            Report::parse(LOG).unwrap().to_string(),
            "5021 executions in 5 s, 312 edges reached before and 441 after, 393 inputs kept"
        );
    }

    #[test]
    fn incomplete_log_has_no_report() {
        assert_eq!(Report::parse(LOG.split_once("Done").unwrap().0), None);
        assert_eq!(Report::parse(""), None);
    }

    #[test]
    fn finding_has_no_progress_and_no_stack() {
        let log = "INFO: seed\n#5\tNEW    cov: 1\n\nthread '<unnamed>' panicked at \
            a.rs:1:2:\nno\n    #0 0x5 in x\n\
                   Test unit written to target/fuzz/finds/quantity-crash-1\n";
        let expected = [
            "thread '<unnamed>' panicked at a.rs:1:2:",
            "no",
            "Test unit written to target/fuzz/finds/quantity-crash-1",
        ];
        assert_eq!(finding(log).collect::<Vec<_>>(), expected);
    }
}
