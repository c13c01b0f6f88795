//! When waiting has lasted too long.
//!
//! Pure: the clock and the memory of when a waiting began are the caller's.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use super::{
    cause::Cause,
    waiting::{ImageProblem, Waiting},
};

/// How long a Job may wait for one and the same thing, unless an operator says otherwise.
pub const DEFAULT_PATIENCE: Duration = Duration::from_mins(10);

/// How long one may wait whose trouble cannot pass without another Job. Not at once, so that it is seen first.
const HOPELESS: Duration = Duration::from_secs(30);

/// What to do about a Job that waits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// It may wait as long as it takes.
    Unlimited,
    /// It may wait until then.
    Until(Timestamp),
    /// It has waited too long, for this.
    GiveUp(Cause),
}

/// Judges a Job that waits, and has waited for a thing of this [kind](Waiting::is_same_kind) since then.
///
/// A suspended Job and one that is being ended wait on purpose. A trouble that others can mend (a missing Secret, a full quota, a
/// registry that is away, an image that somebody may still load) gets the whole patience: the fixtures `config-error-recovers` and
/// `quota-forbids-pod` show such Jobs run later. The name of an image cannot be mended: it is part of the pod.
#[must_use]
pub fn judge(waiting: &Waiting, since: Timestamp, now: Timestamp, patience: Duration) -> Verdict {
    let allowed = match waiting {
        Waiting::Suspended | Waiting::BeingEnded | Waiting::Gated { .. } => return Verdict::Unlimited,
        Waiting::ImagePull { problem: ImageProblem::InvalidName, .. } => patience.min(HOPELESS),
        _ => patience,
    };
    let until = SignedDuration::try_from(allowed).ok().and_then(|allowed| since.checked_add(allowed).ok());
    match until {
        // Longer than any clock can say.
        None => Verdict::Unlimited,
        Some(until) if until > now => Verdict::Until(until),
        Some(_) => Verdict::GiveUp(Cause::CannotStart { waiting: waiting.clone() }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SINCE: Timestamp = Timestamp::UNIX_EPOCH;

    fn judged(waiting: &Waiting, seconds: i64) -> Verdict {
        judge(waiting, SINCE, SINCE + SignedDuration::from_secs(seconds), DEFAULT_PATIENCE)
    }

    fn until(seconds: i64) -> Verdict {
        Verdict::Until(SINCE + SignedDuration::from_secs(seconds))
    }

    fn image(problem: ImageProblem) -> Waiting {
        Waiting::ImagePull { problem, message: "x".to_owned() }
    }

    #[test]
    fn patience_ends_when_it_says() {
        let waiting = image(ImageProblem::Unreachable);
        assert_eq!(judged(&waiting, 0), until(600));
        assert_eq!(judged(&waiting, 599), until(600));
        assert_eq!(judged(&waiting, 600), Verdict::GiveUp(Cause::CannotStart { waiting }));
    }

    #[test]
    fn only_what_cannot_be_mended_is_judged_sooner() {
        assert_eq!(judged(&image(ImageProblem::InvalidName), 0), until(30));
        assert!(matches!(judged(&image(ImageProblem::InvalidName), 30), Verdict::GiveUp(_)));
        for waiting in [
            image(ImageProblem::NeverPull),
            Waiting::NoPod,
            Waiting::Starting,
            Waiting::for_config("secret \"x\" not found"),
        ] {
            assert_eq!(judged(&waiting, 30), until(600), "{waiting}");
        }
        let short = judge(&image(ImageProblem::InvalidName), SINCE, SINCE, Duration::from_secs(5));
        assert_eq!(short, until(5), "never longer than the patience");
    }

    #[test]
    fn what_waits_on_purpose_is_not_judged() {
        for waiting in [Waiting::Suspended, Waiting::BeingEnded, Waiting::Gated { message: String::new() }] {
            assert_eq!(judged(&waiting, i64::from(u32::MAX)), Verdict::Unlimited, "{waiting}");
        }
        assert_eq!(judge(&Waiting::NoPod, SINCE, SINCE, Duration::MAX), Verdict::Unlimited);
    }
}
