//! Masks secrets in log lines.
//!
//! Terraform hides what the configuration marks as sensitive. This is the second net, for provider messages,
//! `local-exec` output and trace logs; it knows values, not variables. The spellings of a value are in
//! [`spellings`].
//!
//! Masking works on complete lines, before a line is cut or uploaded, so that neither a read nor a chunk
//! splits a secret. Every occurrence is replaced, overlapping ones together, so that no rest of a secret
//! remains. Limits: a secret that terraform itself wraps over two lines of an error message is not found, and
//! texts shorter than [`MIN_BYTES`] are not masked: they occur everywhere, and a log full of stars would show
//! their length and place without hiding them.

mod spellings;

use std::{borrow::Cow, collections::BTreeSet, fmt, ops::Range};

use aho_corasick::{AhoCorasick, BuildError, MatchKind};

use self::spellings::add_spellings;

/// What a secret is replaced by.
const REPLACEMENT: &str = "***";

/// Length in bytes below which a text is not masked.
const MIN_BYTES: usize = 3;

/// Finds the secrets of one attempt in a text.
#[derive(Clone)]
pub(crate) struct Masker {
    automaton: AhoCorasick,
}

impl fmt::Debug for Masker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Masker").field("patterns", &self.automaton.patterns_len()).finish_non_exhaustive()
    }
}

impl Masker {
    /// Builds a masker for these secrets.
    ///
    /// # Errors
    /// When the secrets are too large for an automaton: together more than two gigabytes.
    pub(crate) fn new<'s>(secrets: impl IntoIterator<Item = &'s str>) -> Result<Self, BuildError> {
        let mut patterns = BTreeSet::new();
        for secret in secrets {
            add_spellings(secret, &mut patterns);
        }
        patterns.retain(|pattern| pattern.len() >= MIN_BYTES);
        // Only this kind of automaton finds overlapping occurrences.
        let automaton = AhoCorasick::builder().match_kind(MatchKind::Standard).build(patterns)?;
        Ok(Self { automaton })
    }

    /// Length in bytes of the longest text that is masked.
    pub(crate) fn longest(&self) -> usize {
        self.automaton.max_pattern_len()
    }

    /// Replaces every secret of a line.
    pub(crate) fn mask<'l>(&self, line: &'l str) -> Cow<'l, str> {
        self.mask_start(line, line.len())
    }

    /// Masks the whole line and returns the masked form of its first `keep` bytes. A secret that begins
    /// before and ends after them is replaced as a whole.
    ///
    /// `keep` must be a character boundary.
    pub(crate) fn mask_start<'l>(&self, line: &'l str, keep: usize) -> Cow<'l, str> {
        let mut found = self.find(line);
        found.retain(|range| range.start < keep);
        if found.is_empty() {
            return Cow::Borrowed(&line[..keep]);
        }
        let mut masked = String::with_capacity(keep);
        let mut from = 0;
        for Range { start, end } in found {
            masked.push_str(&line[from..start]);
            masked.push_str(REPLACEMENT);
            from = end;
        }
        masked.push_str(line.get(from..keep).unwrap_or_default());
        Cow::Owned(masked)
    }

    /// Finds the secrets of a line in their order; those that overlap are one range.
    fn find(&self, line: &str) -> Vec<Range<usize>> {
        let mut found: Vec<Range<usize>> = Vec::new();
        // The matches come in the order of their ends.
        for hit in self.automaton.find_overlapping_iter(line) {
            let mut range = hit.range();
            while let Some(last) = found.pop_if(|last| range.start < last.end) {
                range.start = range.start.min(last.start);
            }
            found.push(range);
        }
        found
    }
}

/// Returns whether a value, or at least one of its lines, is long enough to be masked.
pub(crate) fn is_maskable(value: &str) -> bool {
    let mut lines = value.lines().map(str::trim).filter(|line| !line.is_empty()).peekable();
    lines.peek().is_none() || lines.any(|line| line.len() >= MIN_BYTES)
}

#[cfg(test)]
mod tests;
