//! Masks secrets in log lines.
//!
//! Terraform hides what the configuration marks as sensitive. This is the second net, for provider messages,
//! `local-exec` output and trace logs; it knows values, not variables. The spellings of a value are in
//! [`spellings`], what is left out of a line before it is compared in [`normalize`].
//!
//! Values are found across the lines over which terraform and its tools distribute them ([`lines`]): an error
//! message that is wrapped at 78 columns, base64 text in lines of 76, and output that terraform prints as two
//! lines because it was written in two parts. Every occurrence is replaced, overlapping ones together, so
//! that no rest of a secret remains.
//!
//! Limits: texts shorter than [`MIN_BYTES`] are not masked: they occur everywhere, and a log full of stars
//! would show their length and place without hiding them. The api-server therefore refuses sensitive values
//! that are shorter than [`job_spec::MIN_SENSITIVE_CHARS`]. Code in a step that wants to reveal a value finds
//! a spelling that is not known here.

mod lines;
mod normalize;
mod spellings;

use std::{borrow::Cow, collections::BTreeMap, fmt, ops::Range, sync::Arc};

use aho_corasick::{
    Anchored, BuildError, MatchKind,
    automaton::{Automaton as _, StateID},
    nfa::contiguous::NFA,
};
use job_spec::MIN_SENSITIVE_CHARS;

use self::spellings::{Edges, spellings_of};
pub(crate) use lines::MaskedLines;

/// What a secret is replaced by.
const REPLACEMENT: &str = "***";

/// Length in bytes below which a text is not masked.
const MIN_BYTES: usize = 3;

/// Finds the secrets of one attempt in a text.
#[derive(Clone)]
pub(crate) struct Masker(Arc<Patterns>);

struct Patterns {
    automaton: NFA,
    start: StateID,
    /// By the id of the pattern.
    edges: Vec<Edges>,
    /// How many bytes before a state may continue to a secret, sorted by state.
    depths: Vec<(StateID, u32)>,
}

impl fmt::Debug for Masker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Masker").field("patterns", &self.0.edges.len()).finish_non_exhaustive()
    }
}

/// An occurrence that ends at the current byte.
#[derive(Debug, Clone, Copy)]
struct Found {
    /// Its length in bytes that are compared.
    length: usize,
    edges: Edges,
}

impl Masker {
    /// Builds a masker for these secrets.
    ///
    /// # Errors
    /// When the secrets are too large for an automaton: together more than two gigabytes.
    pub(crate) fn new<'s>(secrets: impl IntoIterator<Item = &'s str>) -> Result<Self, BuildError> {
        let mut patterns: BTreeMap<Vec<u8>, Edges> = BTreeMap::new();
        for secret in secrets {
            for (pattern, edges) in spellings_of(secret) {
                if pattern.len() >= MIN_BYTES {
                    // A text that is complete in itself has no neighbours.
                    patterns.entry(pattern).and_modify(|known| *known = edges.min(*known)).or_insert(edges);
                }
            }
        }
        // Only this kind of automaton finds overlapping occurrences.
        let automaton = NFA::builder().match_kind(MatchKind::Standard).build(patterns.keys())?;
        let start = automaton.start_state(Anchored::No).expect("an automaton of this kind is not anchored");
        let depths = depths(&automaton, start, patterns.keys());
        Ok(Self(Arc::new(Patterns { automaton, start, edges: patterns.into_values().collect(), depths })))
    }

    /// Length in bytes of the longest text that is masked.
    pub(crate) fn longest(&self) -> usize {
        self.0.automaton.max_pattern_len()
    }

    /// Replaces every secret of a text of one or more lines.
    pub(crate) fn mask<'l>(&self, text: &'l str) -> Cow<'l, str> {
        let mut lines = MaskedLines::new(self.clone());
        for line in text.split('\n') {
            lines.push(line, line.len());
        }
        let masked: Vec<String> = lines.finish();
        let masked = masked.join("\n");
        if masked == text { Cow::Borrowed(text) } else { Cow::Owned(masked) }
    }

    /// Returns the state after one more byte.
    fn next(&self, state: StateID, byte: u8) -> StateID {
        self.0.automaton.next_state(Anchored::No, state, byte)
    }

    /// Iterates over the occurrences that end in a state, the longest first.
    fn found(&self, state: StateID) -> impl Iterator<Item = Found> {
        let Patterns { automaton, edges, .. } = &*self.0;
        let count = if automaton.is_match(state) { automaton.match_len(state) } else { 0 };
        (0..count).map(move |index| {
            let pattern = automaton.match_pattern(state, index);
            Found { length: automaton.pattern_len(pattern), edges: edges[pattern.as_usize()] }
        })
    }

    /// Returns how many bytes before this state may be the beginning of a secret.
    fn depth(&self, state: StateID) -> usize {
        let depths = &self.0.depths;
        depths.binary_search_by_key(&state, |(state, _)| *state).map_or(0, |index| depths[index].1 as usize)
    }
}

impl Found {
    /// Returns whether spaces and line ends inside this occurrence are left out of the comparison.
    fn may_have_gaps(self) -> bool {
        self.length >= MIN_SENSITIVE_CHARS
    }
}

/// Returns how many bytes before each state are the beginning of a longer pattern.
fn depths<'p>(
    automaton: &NFA,
    start: StateID,
    patterns: impl Iterator<Item = &'p Vec<u8>> + Clone,
) -> Vec<(StateID, u32)> {
    let mut depths = Vec::new();
    let walk = |bytes: &[u8]| {
        bytes.iter().fold(start, |state, byte| automaton.next_state(Anchored::No, state, *byte))
    };
    for pattern in patterns.clone() {
        let mut state = start;
        for (depth, byte) in (1..).zip(&pattern[..pattern.len() - 1]) {
            state = automaton.next_state(Anchored::No, state, *byte);
            depths.push((state, depth));
        }
    }
    depths.sort_unstable();
    depths.dedup();
    let depth_of =
        |state| depths.binary_search_by_key(&state, |(state, _)| *state).map(|index| depths[index].1);
    // The end of a pattern that continues to no other one: a part of it may.
    let ends = patterns.filter(|pattern| depth_of(walk(pattern)).is_err()).filter_map(|pattern| {
        let depth = (1..pattern.len()).find_map(|from| depth_of(walk(&pattern[from..])).ok())?;
        Some((walk(pattern), depth))
    });
    let ends: Vec<_> = ends.collect();
    depths.extend(ends);
    depths.sort_unstable();
    depths
}

/// Replaces ranges of the first `keep` bytes of a line. A range that begins before and ends after them is
/// replaced as a whole.
fn replace(line: &str, keep: usize, mut ranges: Vec<Range<usize>>) -> String {
    ranges.retain(|range| range.start < keep);
    ranges.sort_unstable_by_key(|range| (range.start, range.end));
    let mut masked = String::with_capacity(keep);
    let mut from = 0;
    let mut ranges = ranges.into_iter().peekable();
    while let Some(Range { start, mut end }) = ranges.next() {
        while let Some(next) = ranges.next_if(|next| next.start < end) {
            end = end.max(next.end);
        }
        masked.push_str(&line[from..start]);
        masked.push_str(REPLACEMENT);
        from = end;
    }
    masked.push_str(line.get(from..keep).unwrap_or_default());
    masked
}

/// Returns whether a value, or at least one of its lines, is long enough to be masked.
pub(crate) fn is_maskable(value: &str) -> bool {
    let mut lines = value.lines().map(str::trim).filter(|line| !line.is_empty()).peekable();
    lines.peek().is_none() || lines.any(|line| line.len() >= MIN_BYTES)
}

#[cfg(test)]
mod tests;
