//! The retries of the orchestrator: when a call of the backend that failed is repeated.
//!
//! This is the only retry above the client of the backend. It is driven by the store, so that it goes on
//! after a restart: an attempt counts its failures, and the delay follows from that number alone.

use std::time::Duration;

use backon::{BackoffBuilder as _, ExponentialBuilder};
use jiff::SignedDuration;

/// Delay after the first failure; it doubles with each further one.
const MIN_DELAY: Duration = Duration::from_millis(500);
const MAX_DELAY: Duration = Duration::from_secs(30);

/// Returns the delay before the next call after this many failures before the last one.
pub(super) fn delay(earlier_failures: u32) -> SignedDuration {
    let mut delays = ExponentialBuilder::default()
        .with_min_delay(MIN_DELAY)
        .with_max_delay(MAX_DELAY)
        .without_max_times()
        .build();
    // Every delay from the seventh failure on is the longest one.
    let delay = delays.nth(usize::try_from(earlier_failures.min(10)).unwrap_or_default());
    SignedDuration::try_from(delay.unwrap_or(MAX_DELAY)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delay_doubles_up_to_its_maximum() {
        let milliseconds: Vec<_> = (0..8).map(|failures| delay(failures).as_millis()).collect();
        assert_eq!(milliseconds, [500, 1000, 2000, 4000, 8000, 16_000, 30_000, 30_000]);
        assert_eq!(delay(u32::MAX), SignedDuration::from_secs(30));
    }
}
