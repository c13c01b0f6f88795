//! The one way to wait for something that nobody announces: ask again and again, up to a bound.

use std::{
    thread,
    time::{Duration, Instant},
};

const PAUSE: Duration = Duration::from_millis(50);

/// Asks until there is an answer, or until `bound` has passed.
pub(crate) fn until<T>(bound: Duration, mut ask: impl FnMut() -> Option<T>) -> Option<T> {
    let end = Instant::now() + bound;
    loop {
        if let Some(answer) = ask() {
            return Some(answer);
        }
        if Instant::now() >= end {
            return None;
        }
        thread::park_timeout(PAUSE);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_answer_ends_the_waiting() {
        let mut asked = 0;
        let answer = until(Duration::from_mins(1), || {
            asked += 1;
            (asked == 2).then_some("yes")
        });
        assert_eq!((answer, asked), (Some("yes"), 2));
    }

    #[test]
    fn a_bound_of_nothing_asks_once() {
        let mut asked = 0;
        let answer: Option<()> = until(Duration::ZERO, || {
            asked += 1;
            None
        });
        assert_eq!((answer, asked), (None, 1));
    }
}
