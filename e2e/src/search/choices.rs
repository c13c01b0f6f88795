//! The choices of one history: drawn at random, recorded, played again, and shrunk.
//!
//! A history is nothing but its choices, so a shorter list of smaller choices is a simpler history. 0 is
//! always the calmest alternative: a history that has run out of choices goes on without accidents.
//!
//! Each random history has odds of its own: some kinds of events are left out, others are frequent. So
//! histories differ more than if all of them had the same mixture.

/// How many kinds of events have odds of their own.
const KINDS: usize = 32;

/// A source of choices.
#[derive(Debug, Clone)]
pub(super) struct Choices {
    tape: Vec<u8>,
    next: usize,
    random: Option<Random>,
}

#[derive(Debug, Clone)]
struct Random {
    generator: SplitMix,
    /// How many choices are left.
    left: usize,
    /// By which factor each kind of event is more frequent.
    factors: [u32; KINDS],
    /// The same for accidents.
    accidents: u32,
}

impl Choices {
    /// Draws at most `limit` choices at random; afterwards every choice is 0.
    pub(super) fn random(seed: u64, limit: usize) -> Self {
        let mut generator = SplitMix { state: seed };
        let factors = std::array::from_fn(|_| [0, 1, 4, 4, 4, 16][generator.below(6) as usize]);
        let accidents = [1, 4, 4, 12][generator.below(4) as usize];
        Self {
            tape: Vec::with_capacity(limit),
            next: 0,
            random: Some(Random { generator, left: limit, factors, accidents }),
        }
    }

    /// Plays recorded choices; afterwards every choice is 0.
    pub(super) fn recorded(tape: &[u8]) -> Self {
        Self { tape: tape.to_vec(), next: 0, random: None }
    }

    /// Returns whether only 0 follows.
    pub(super) fn is_exhausted(&self) -> bool {
        self.next >= self.tape.len() && self.random.as_ref().is_none_or(|random| random.left == 0)
    }

    /// Returns what was chosen so far.
    pub(super) fn into_tape(self) -> Vec<u8> {
        self.tape
    }

    /// Chooses one of `count` alternatives, each as likely.
    pub(super) fn pick(&mut self, count: usize) -> usize {
        self.choose(count, |_, _| 1)
    }

    /// Returns `true` once in `odds` times, where accidents are as frequent as in the average history.
    pub(super) fn rarely(&mut self, odds: u32) -> bool {
        self.accident(&[odds - 1, 1]) == 1
    }

    /// Chooses an alternative by weight; all but the first are accidents.
    pub(super) fn accident(&mut self, weights: &[u32]) -> usize {
        self.choose(weights.len(), |random, choice| {
            weights[choice] * if choice == 0 { 4 } else { random.accidents }
        })
    }

    /// Chooses a kind of event by weight.
    pub(super) fn event(&mut self, weights: &[u32]) -> usize {
        self.choose(weights.len(), |random, choice| weights[choice] * random.factors[choice % KINDS])
    }

    fn choose(&mut self, count: usize, weight: impl Fn(&Random, usize) -> u32) -> usize {
        if count <= 1 {
            return 0;
        }
        if let Some(choice) = self.tape.get(self.next) {
            self.next += 1;
            return usize::from(*choice) % count;
        }
        let Some(random) = self.random.as_mut().filter(|random| random.left > 0) else { return 0 };
        random.left -= 1;
        let total: u32 = (0..count).map(|choice| weight(random, choice)).sum();
        let mut left = random.generator.below(total.max(1));
        let choice = (0..count).find(|choice| match left.checked_sub(weight(random, *choice)) {
            Some(rest) => {
                left = rest;
                false
            }
            None => true,
        });
        let choice = choice.unwrap_or_default();
        self.tape.push(u8::try_from(choice).unwrap_or_default());
        self.next += 1;
        choice
    }
}

/// A small generator of random numbers: the same seed gives the same history on every machine.
#[derive(Debug, Clone)]
struct SplitMix {
    state: u64,
}

impl SplitMix {
    fn below(&mut self, limit: u32) -> u32 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        u32::try_from((z ^ (z >> 31)) % u64::from(limit)).unwrap_or_default()
    }
}

/// How often a shrunk history may be played: a long one is short enough before it is the shortest.
const MAX_PLAYS: u32 = 60_000;

/// Returns a simpler tape that still fails: parts are removed, then choices become smaller.
pub(super) fn shrink(tape: Vec<u8>, fails: impl Fn(&[u8]) -> bool) -> Vec<u8> {
    let mut best = tape;
    let mut plays = 0;
    let mut fails = |tape: &[u8]| {
        plays += 1;
        plays <= MAX_PLAYS && fails(tape)
    };
    loop {
        let before = best.clone();
        let mut size = best.len().div_ceil(2).max(1);
        loop {
            let mut start = 0;
            while start < best.len() {
                let end = (start + size).min(best.len());
                let without = [&best[..start], &best[end..]].concat();
                if fails(&without) { best = without } else { start = end }
            }
            if size == 1 {
                break;
            }
            size /= 2;
        }
        for at in 0..best.len() {
            for smaller in 0..best[at] {
                let mut changed = best.clone();
                changed[at] = smaller;
                if fails(&changed) {
                    best = changed;
                    break;
                }
            }
        }
        if best == before {
            return best;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn recorded_choices_are_those_of_the_random_history() {
        let draw =
            |choices: &mut Choices| (0..40).map(|count| choices.pick(count % 5 + 1)).collect::<Vec<_>>();
        let mut random = Choices::random(7, 20);
        let drawn = draw(&mut random);
        assert!(random.is_exhausted() && drawn.iter().any(|choice| *choice > 0));
        assert_eq!(draw(&mut Choices::recorded(&random.into_tape())), drawn);
        assert_ne!(draw(&mut Choices::random(8, 20)), drawn);
    }

    #[test]
    fn shrinks_to_the_choices_that_matter() {
        let fails = |tape: &[u8]| tape.iter().filter(|choice| **choice >= 3).count() >= 2;
        assert_eq!(shrink(vec![1, 9, 0, 2, 7, 7, 1, 0], fails), [3, 3]);
    }
}
