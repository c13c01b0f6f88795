//! Masks a sequence of lines: a secret may begin in one and end in a later one.
//!
//! A line whose end may be the beginning of a secret is held until the next line of the same output shows
//! whether it is one, but no longer than [`MAX_HOLD`]: a user follows the log. Then what may be a beginning
//! is masked, if it is long enough. Lines leave in the order in which they came.

use std::{
    collections::{HashMap, VecDeque},
    ops::Range,
    time::{Duration, Instant},
};

use aho_corasick::automaton::StateID;

use super::{
    Found, Masker,
    normalize::{compared, split_provisioner},
    replace,
};

/// How long a line waits for the next one. Terraform prints output of a provisioner that does not end with a
/// line after 0.1 seconds.
const MAX_HOLD: Duration = Duration::from_millis(500);

/// How many bytes wait.
const MAX_HELD_BYTES: usize = 4 * 1024 * 1024;

/// Length in bytes from which what may be the beginning of a secret is masked when its rest does not come.
const MIN_BEGINNING: usize = 4;

/// What follows the kept part of a line.
const CUT: &str = " (line cut)";

/// Masks lines as they come.
#[derive(Debug)]
pub(crate) struct MaskedLines {
    masker: Masker,
    /// Outputs of which the last line may end with the beginning of a secret, by what stands in front of
    /// their lines: provisioners of several resources print at once.
    outputs: HashMap<String, Output>,
    held: VecDeque<Line>,
    held_bytes: usize,
    next_id: u64,
}

/// The lines of one source.
#[derive(Debug, Clone, Copy)]
struct Output {
    id: u64,
    state: StateID,
    /// Number of compared bytes.
    end: usize,
    /// How many of them may be the beginning of a secret.
    open: usize,
}

/// A line that is not written yet.
#[derive(Debug)]
struct Line {
    text: String,
    keep: usize,
    output: u64,
    /// The positions of its compared bytes, and the number of those before it in its output.
    positions: Vec<usize>,
    base: usize,
    masked: Vec<Range<usize>>,
    since: Instant,
}

impl MaskedLines {
    pub(crate) fn new(masker: Masker) -> Self {
        Self { masker, outputs: HashMap::new(), held: VecDeque::new(), held_bytes: 0, next_id: 0 }
    }

    /// Adds a line, of which the first `keep` bytes are kept. `keep` must be a character boundary.
    pub(crate) fn push(&mut self, text: &str, keep: usize) {
        let (prefix, rest) = split_provisioner(text).unwrap_or(("", text));
        let mut line = Line::new(text.to_owned(), keep);
        if !prefix.is_empty() {
            // What stands in front of the output is a text of its own.
            let mut output = self.new_output();
            line.output = output.id;
            self.scan(&mut output, &mut line, compared(prefix, true));
            line.positions.clear();
        }
        let mut output = match self.outputs.remove(prefix) {
            Some(output) => output,
            None => self.new_output(),
        };
        (line.output, line.base) = (output.id, output.end);
        let bytes = compared(rest, true).map(|(position, byte)| (prefix.len() + position, byte));
        self.scan(&mut output, &mut line, bytes);
        output.open = self.masker.depth(output.state);
        if output.open > 0 {
            self.outputs.insert(prefix.to_owned(), output);
        }
        self.held_bytes += line.text.len();
        self.held.push_back(line);
    }

    /// Returns the lines that need not wait any longer.
    pub(crate) fn ready(&mut self, now: Instant) -> Vec<String> {
        let mut ready = Vec::new();
        while let Some(first) = self.held.front() {
            let open = self.open_end(first);
            let overdue = now.duration_since(first.since) >= MAX_HOLD || self.held_bytes > MAX_HELD_BYTES;
            if open.is_some() && !overdue {
                break;
            }
            let Some(mut line) = self.held.pop_front() else { break };
            self.held_bytes -= line.text.len();
            if let Some((begin, _)) = open.filter(|(_, length)| *length >= MIN_BEGINNING) {
                line.mask(begin..line.base + line.positions.len());
            }
            ready.push(line.masked());
        }
        ready
    }

    /// Returns when the first line has waited long enough.
    pub(crate) fn due(&self) -> Option<Instant> {
        self.held.front().map(|line| line.since + MAX_HOLD)
    }

    /// Returns all lines; nothing continues the last one of any output.
    pub(crate) fn finish(&mut self) -> Vec<String> {
        self.outputs.clear();
        self.held_bytes = 0;
        self.held.drain(..).map(Line::masked).collect()
    }

    /// Returns where the beginning of a secret begins that reaches the end of a line, and its length so far.
    fn open_end(&self, line: &Line) -> Option<(usize, usize)> {
        let output = self.outputs.values().find(|output| output.id == line.output)?;
        let begin = output.end - output.open;
        (begin < line.base + line.positions.len()).then_some((begin.max(line.base), output.open))
    }

    fn new_output(&mut self) -> Output {
        self.next_id += 1;
        Output { id: self.next_id, state: self.masker.0.start, end: 0, open: 0 }
    }

    /// Finds the secrets that end in these bytes of a line.
    fn scan(&mut self, output: &mut Output, line: &mut Line, bytes: impl Iterator<Item = (usize, u8)>) {
        for (position, byte) in bytes {
            line.positions.push(position);
            output.end += 1;
            output.state = self.masker.next(output.state, byte);
            let found = self.masker.found(output.state);
            let Some(found) = found.into_iter().find(|found| found.may_have_gaps() || line.is_whole(*found))
            else {
                continue;
            };
            let range = output.end.saturating_sub(found.length)..output.end;
            for earlier in self.held.iter_mut().rev().take_while(|_| range.start < line.base) {
                if earlier.output == output.id {
                    earlier.mask_with_edges(range.clone(), found);
                }
            }
            line.mask_with_edges(range, found);
        }
    }
}

impl Line {
    fn new(text: String, keep: usize) -> Self {
        let (positions, masked, since) = (Vec::new(), Vec::new(), Instant::now());
        Self { text, keep, output: 0, positions, base: 0, masked, since }
    }

    /// Returns whether the bytes of an occurrence that ends at the last position stand side by side.
    fn is_whole(&self, found: Found) -> bool {
        let Some(first) = self.positions.len().checked_sub(found.length) else { return false };
        self.positions.last().is_some_and(|last| last - self.positions[first] + 1 == found.length)
    }

    /// Masks the part of a range of compared bytes that is in this line, and returns its place.
    fn mask(&mut self, range: Range<usize>) -> Option<Range<usize>> {
        let begin = range.start.saturating_sub(self.base);
        let end = range.end.checked_sub(self.base)?.min(self.positions.len());
        let place = *self.positions.get(begin)?..*self.positions.get(end.checked_sub(1)?)? + 1;
        if place.is_empty() {
            return None;
        }
        self.masked.push(place.clone());
        Some(place)
    }

    /// Masks an occurrence and the characters beside it that depend on it.
    fn mask_with_edges(&mut self, range: Range<usize>, found: Found) {
        let Some(place) = self.mask(range.clone()) else { return };
        let is_base64 = |at: usize| {
            self.text.as_bytes().get(at).is_some_and(|c| c.is_ascii_alphanumeric() || b"+/-_".contains(c))
        };
        let (begins, ends) = (range.start >= self.base, range.end <= self.base + self.positions.len());
        let before = place.start.checked_sub(1).filter(|at| begins && found.edges.before && is_base64(*at));
        let after = Some(place.end).filter(|at| ends && found.edges.after && is_base64(*at));
        self.masked.extend(before.map(|at| at..place.end));
        self.masked.extend(after.map(|at| place.start..at + 1));
    }

    fn masked(self) -> String {
        let mut masked = replace(&self.text, self.keep, self.masked);
        if self.keep < self.text.len() {
            masked.push_str(CUT);
        }
        masked
    }
}

#[cfg(test)]
mod tests;
