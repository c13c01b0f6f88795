//! When a Job has waited too long for its start.
//!
//! Pure: the clock, and the memory of when a wait began, are the caller's.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use super::{
    cause::Cause,
    waiting::{ImageProblem, Waiting},
};

/// How long a Job may wait for one and the same thing, unless an operator says otherwise.
pub const DEFAULT_START_TIMEOUT: Duration = Duration::from_mins(10);

/// How long a Job may wait for something that only another Job can correct. Not zero, so that the problem is
/// seen first.
const UNRECOVERABLE_TIMEOUT: Duration = Duration::from_secs(30);

/// What a start timeout says about a Job that waits.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum StartTimeout {
    /// This wait is not limited.
    Unlimited,
    /// The timeout expires at this time.
    ExpiresAt(Timestamp),
    /// The timeout has expired; the cause says what the Job waited for.
    Expired(Cause),
}

/// Checks the start timeout of a Job that has waited for a thing of this [kind](Waiting::is_same_kind) since
/// then.
///
/// The wait of a suspended Job is not limited, and neither is that for admission by a queue: how long it
/// lasts is the queue's decision. When the Job is admitted, it waits for something else, and the time starts
/// anew. Terminating and gated Jobs are not limited either.
///
/// Problems that others can correct (a missing Secret, an exceeded quota, an unreachable registry, an image
/// that is loaded later) get the whole timeout: the fixtures `config-error-recovers` and `quota-forbids-pod`
/// show such Jobs run later. An invalid image name cannot be corrected, because it is part of the pod.
#[must_use]
pub fn check_start_timeout(
    waiting: &Waiting,
    since: Timestamp,
    now: Timestamp,
    timeout: Duration,
) -> StartTimeout {
    let allowed = match waiting {
        Waiting::Suspended
        | Waiting::AwaitingAdmission { .. }
        | Waiting::Terminating
        | Waiting::Gated { .. } => return StartTimeout::Unlimited,
        Waiting::ImagePull { problem: ImageProblem::InvalidName, .. } => timeout.min(UNRECOVERABLE_TIMEOUT),
        _ => timeout,
    };
    let until = SignedDuration::try_from(allowed).ok().and_then(|allowed| since.checked_add(allowed).ok());
    match until {
        // Beyond the last timestamp.
        None => StartTimeout::Unlimited,
        Some(until) if until > now => StartTimeout::ExpiresAt(until),
        Some(_) => StartTimeout::Expired(Cause::CannotStart { waiting: waiting.clone() }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SINCE: Timestamp = Timestamp::UNIX_EPOCH;

    fn after(waiting: &Waiting, seconds: i64) -> StartTimeout {
        check_start_timeout(waiting, SINCE, SINCE + SignedDuration::from_secs(seconds), DEFAULT_START_TIMEOUT)
    }

    fn until(seconds: i64) -> StartTimeout {
        StartTimeout::ExpiresAt(SINCE + SignedDuration::from_secs(seconds))
    }

    fn image(problem: ImageProblem) -> Waiting {
        Waiting::ImagePull { problem, message: "x".to_owned() }
    }

    #[test]
    fn start_timeout_expires_at_its_end() {
        let waiting = image(ImageProblem::Unreachable);
        assert_eq!(after(&waiting, 0), until(600));
        assert_eq!(after(&waiting, 599), until(600));
        assert_eq!(after(&waiting, 600), StartTimeout::Expired(Cause::CannotStart { waiting }));
    }

    #[test]
    fn only_unrecoverable_problems_have_a_shorter_timeout() {
        assert_eq!(after(&image(ImageProblem::InvalidName), 0), until(30));
        assert!(matches!(after(&image(ImageProblem::InvalidName), 30), StartTimeout::Expired(_)));
        for waiting in [
            image(ImageProblem::NeverPull),
            Waiting::NoPod,
            Waiting::Starting,
            Waiting::for_config("secret \"x\" not found"),
        ] {
            assert_eq!(after(&waiting, 30), until(600), "{waiting}");
        }
        let short =
            check_start_timeout(&image(ImageProblem::InvalidName), SINCE, SINCE, Duration::from_secs(5));
        assert_eq!(short, until(5), "never longer than the timeout");
    }

    #[test]
    fn waits_on_purpose_are_not_limited() {
        for waiting in [
            Waiting::Suspended,
            Waiting::AwaitingAdmission { queue: "team-a".to_owned() },
            Waiting::Terminating,
            Waiting::Gated { message: String::new() },
        ] {
            assert_eq!(after(&waiting, i64::from(u32::MAX)), StartTimeout::Unlimited, "{waiting}");
        }
        assert_eq!(
            check_start_timeout(&Waiting::NoPod, SINCE, SINCE, Duration::MAX),
            StartTimeout::Unlimited
        );
    }
}
