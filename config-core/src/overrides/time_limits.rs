//! How long things may take.

use super::reader::Reader;
use crate::{Problem, keys, value::Seconds};

/// How long things may take; `Default` changes nothing.
///
/// A deadline and a grace period are at least one second.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct TimeLimits {
    deadline: Option<Seconds>,
    grace_period: Option<Seconds>,
    ttl: Option<Seconds>,
}

impl TimeLimits {
    /// The deadline where none is set: 6 hours, after which the system that existing workspaces come from gave up too.
    pub const DEFAULT_DEADLINE: Seconds = Seconds::from_hours(6);
    /// The grace period where none is set: 5 minutes, in which terraform finishes what it has begun with the provider and
    /// saves its state. An apply that is killed before that leaves an unknown state.
    pub const DEFAULT_GRACE_PERIOD: Seconds = Seconds::from_minutes(5);
    /// The time to live where none is set: one hour, long enough for a server that was away to see the end, short enough for
    /// payloads not to stay in the cluster.
    pub const DEFAULT_TTL: Seconds = Seconds::from_hours(1);

    /// Returns the time from the start of the Kubernetes Job to the signal to stop, waiting for a node and an image included.
    #[must_use]
    pub const fn deadline(&self) -> Option<Seconds> {
        self.deadline
    }

    pub(crate) const fn set_deadline(&mut self, deadline: Seconds) {
        self.deadline = Some(deadline);
    }

    /// Returns the time from the signal to stop to the kill.
    #[must_use]
    pub const fn grace_period(&self) -> Option<Seconds> {
        self.grace_period
    }

    /// Returns the time from the end to the removal of the Kubernetes Job.
    #[must_use]
    pub const fn ttl(&self) -> Option<Seconds> {
        self.ttl
    }
}

impl Reader<'_> {
    pub(super) fn time_limits(&mut self) -> TimeLimits {
        TimeLimits {
            deadline: self.positive(keys::CONFIG_DEADLINE, "with 0 the step would be over before it starts"),
            grace_period: self.positive(
                keys::CONFIG_GRACE_PERIOD,
                "with 0 the executor would be killed before it can save the state",
            ),
            // 0 is a choice: the Kubernetes Job goes away at once.
            ttl: self.entry(keys::CONFIG_TTL),
        }
    }

    fn positive(&mut self, key: &str, why: &str) -> Option<Seconds> {
        let span: Seconds = self.entry(key)?;
        if span.get() == 0 {
            self.push(
                Problem::new(self.origin(key), "at least 1 second")
                    .with_found(self.get(key).unwrap_or_default().trim())
                    .with_hint(why),
            );
            return None;
        }
        Some(span)
    }
}
