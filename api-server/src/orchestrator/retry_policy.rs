//! Whether a step is attempted again after an attempt that ended without a usable report.
//!
//! The claim decides. Without one no executor has done anything, so an attempt may be repeated whatever the
//! step does; how often depends on the cause. A claimed plan may be repeated when the cluster took its pod
//! away. A claimed apply, destroy or script is never repeated.

use std::time::Duration;

use backon::{BackoffBuilder as _, ExponentialBuilder};
use jiff::SignedDuration;
use k8s_backend::{Cause, Retry};

use crate::model::{Attempt, AttemptStatus, Step};

/// Budget and delays for one kind of cause.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Budget {
    /// How many attempts there are in all.
    attempts: u32,
    /// Delay before the second attempt; it doubles with each further one.
    min_delay: Duration,
    max_delay: Duration,
}

/// How many attempts a step gets while none of them was ever claimed by an executor, for causes without a
/// budget of their own.
pub const MAX_UNCLAIMED_ATTEMPTS: u32 = 3;

/// The container could not start, or ended before it claimed the attempt: more attempts rarely help.
const FAILED_START: Budget = Budget {
    attempts: MAX_UNCLAIMED_ATTEMPTS,
    min_delay: Duration::from_millis(500),
    max_delay: Duration::from_secs(30),
};

/// The cluster took the pod away: nothing is wrong with the step, and the cluster needs time.
const DISRUPTION: Budget =
    Budget { attempts: 6, min_delay: Duration::from_secs(2), max_delay: Duration::from_mins(2) };

/// Returns whether a step is attempted again after its last attempt, and after which delay. `plan_retries` is
/// how often a claimed plan is repeated.
pub(super) fn next_attempt(step: &Step, last: &Attempt, plan_retries: u32) -> Option<SignedDuration> {
    let budget = if last.claimed_at.is_none() {
        if last.status != AttemptStatus::Lost {
            return None;
        }
        budget_of_unclaimed(last.cause.as_ref())?
    } else {
        let was_disrupted =
            |attempt: &&Attempt| attempt.claimed_at.is_some() && is_disruption(attempt.cause.as_ref());
        let ended_early = matches!(last.status, AttemptStatus::Lost | AttemptStatus::Failed);
        if !step.step_type.is_plan() || !ended_early || !was_disrupted(&last) {
            return None;
        }
        let repeated = step.attempts.iter().filter(was_disrupted).count();
        if u32::try_from(repeated).is_ok_and(|repeated| repeated > plan_retries) {
            return None;
        }
        DISRUPTION
    };
    (last.number < budget.attempts).then(|| budget.delay_after(last.number))
}

fn budget_of_unclaimed(cause: Option<&Cause>) -> Option<Budget> {
    match cause {
        // A container that completed without a claim was not one of our executors: what it did is unknown,
        // and it would do it again.
        Some(cause) if cause.retry() == Retry::NotNeeded => None,
        // The next attempt would wait for the same.
        Some(Cause::CannotStart { .. } | Cause::GivenUp { .. } | Cause::DeadlineBeforeStart { .. }) => None,
        cause if is_disruption(cause) => Some(DISRUPTION),
        _ => Some(FAILED_START),
    }
}

/// Returns whether the cluster took the pod away, without a fault of what ran in it.
pub(super) const fn is_disruption(cause: Option<&Cause>) -> bool {
    matches!(
        cause,
        Some(
            Cause::Evicted { resource: None, .. }
                | Cause::Preempted { .. }
                | Cause::NodeLost { .. }
                | Cause::Disrupted { .. }
        )
    )
}

impl Budget {
    fn delay_after(self, attempts: u32) -> SignedDuration {
        let mut delays = ExponentialBuilder::default()
            .with_min_delay(self.min_delay)
            .with_max_delay(self.max_delay)
            .without_max_times()
            .build();
        let delay = delays.nth(usize::try_from(attempts.saturating_sub(1).min(10)).unwrap_or_default());
        SignedDuration::try_from(delay.unwrap_or(self.max_delay)).unwrap_or_default()
    }
}
