//! The request to end the step early, its reason, and the time that is left for it.
//!
//! Only flags that can be awaited; `child::process` decides how a child process is interrupted.

use std::{
    io,
    sync::{Arc, OnceLock},
    time::Duration,
};

use tokio::{
    signal::unix::{SignalKind, signal},
    task::JoinHandle,
    time::{Instant, sleep_until},
};
use tokio_util::sync::CancellationToken;

/// A signal that follows the first one within this time is taken for the same one: a container runtime may
/// repeat it.
const SAME_SIGNAL: Duration = Duration::from_secs(2);

/// How long a program has at most that is to end at once. Terraform closes its plugins and exits.
const MAX_FORCED: Duration = Duration::from_secs(2);

/// Requests the end of the step. Clones share the same flags.
#[derive(Debug, Clone, Default)]
pub(crate) struct Stop {
    grace: Option<GracePeriod>,
    requested: CancellationToken,
    /// When the first signal came. Only a signal comes from a sender that kills after the grace period.
    signalled_at: Arc<OnceLock<Instant>>,
    signalled: CancellationToken,
    forced: CancellationToken,
    fenced: CancellationToken,
    shortage: Arc<OnceLock<MemoryShortage>>,
}

/// How much memory was in use when the step was stopped for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct MemoryShortage {
    pub(crate) used_bytes: u64,
    pub(crate) limit_bytes: u64,
}

/// The time between the first signal and KILL, and how it is divided.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct GracePeriod {
    /// For terraform, to end what it has begun and to save its state.
    pub(crate) terraform: Duration,
    /// Between the order to end at once and KILL.
    pub(crate) forced: Duration,
    /// Until then what terraform has left is stored.
    pub(crate) store: Duration,
    /// Until then the log is uploaded.
    pub(crate) log: Duration,
    /// Until then the result is reported. The rest is for the end of the process.
    pub(crate) report: Duration,
}

impl GracePeriod {
    /// The share for everything after terraform, within these bounds.
    const MIN_REST: Duration = Duration::from_secs(4);
    const MAX_REST: Duration = Duration::from_mins(1);

    /// Divides a grace period. Terraform gets three quarters, and more of a long one.
    pub(crate) fn divide(total: Duration) -> Self {
        let rest = (total / 4).clamp(Self::MIN_REST, Self::MAX_REST).min(total / 2);
        let terraform = total.saturating_sub(rest);
        Self {
            terraform,
            forced: (rest / 4).min(MAX_FORCED),
            store: terraform + rest / 2,
            log: terraform + rest * 3 / 4,
            report: terraform + rest * 19 / 20,
        }
    }
}

impl Stop {
    /// Returns a request that is not made yet, for a sender that kills after this time.
    pub(crate) fn with_grace_period(total: Option<Duration>) -> Self {
        Self { grace: total.map(GracePeriod::divide), ..Self::default() }
    }

    /// Requests the end of the step on behalf of a signal.
    pub(crate) fn request(&self) {
        // Only the first request counts.
        let _ = self.signalled_at.set(Instant::now());
        self.signalled.cancel();
        self.requested.cancel();
    }

    /// Requests the end of the step because the api-server has closed the attempt.
    pub(crate) fn fence(&self) {
        self.fenced.cancel();
        self.requested.cancel();
    }

    /// Requests the end of the step because the kernel would kill a process soon.
    pub(crate) fn short_of_memory(&self, shortage: MemoryShortage) {
        if !self.requested.is_cancelled() && self.shortage.set(shortage).is_ok() {
            tracing::error!(?shortage, "memory is short, stopping the step");
        }
        self.requested.cancel();
    }

    /// Requests the end of terraform at once, although it may not have saved its state.
    pub(crate) fn force(&self) {
        self.forced.cancel();
    }

    /// Returns whether the end of the step was requested.
    pub(crate) fn is_requested(&self) -> bool {
        self.requested.is_cancelled()
    }

    /// Returns whether terraform had to end at once.
    pub(crate) fn is_forced(&self) -> bool {
        self.forced.is_cancelled()
    }

    /// Returns whether the api-server has closed the attempt.
    pub(crate) fn is_fenced(&self) -> bool {
        self.fenced.is_cancelled()
    }

    /// Returns the shortage of memory that was the first reason to stop.
    pub(crate) fn shortage(&self) -> Option<MemoryShortage> {
        self.shortage.get().copied()
    }

    /// Waits until the end of the step is requested.
    ///
    /// # Cancel safety
    /// Nothing is lost when the future is dropped, here and below.
    pub(crate) async fn requested(&self) {
        self.requested.cancelled().await;
    }

    /// Waits until terraform has to end at once: after a second signal, or when its share of the grace period
    /// is over.
    pub(crate) async fn forced(&self) {
        tokio::select! {
            () = self.forced.cancelled() => {}
            () = self.after(|grace| grace.terraform) => self.force(),
        }
    }

    /// Returns the time between the order to end at once and KILL.
    pub(crate) fn forced_timeout(&self) -> Duration {
        self.grace.map_or(MAX_FORCED, |grace| grace.forced)
    }

    /// Waits until the api-server has closed the attempt.
    pub(crate) async fn fenced(&self) {
        self.fenced.cancelled().await;
    }

    /// Waits for the end of a share of the grace period after a signal; for ever if its length is not known.
    pub(crate) async fn after(&self, share: impl Fn(&GracePeriod) -> Duration) {
        match &self.grace {
            Some(grace) => self.after_signal(share(grace)).await,
            None => std::future::pending().await,
        }
    }

    /// Waits until the api-server has closed the attempt, or this share of the grace period is over.
    pub(crate) async fn fenced_or_after(&self, share: impl Fn(&GracePeriod) -> Duration) {
        tokio::select! {
            () = self.fenced() => {}
            () = self.after(share) => {}
        }
    }

    /// Waits until the api-server has closed the attempt, or this time has passed since the first signal, or
    /// half of the time that terraform has after it.
    pub(crate) async fn fenced_or_late(&self, after: Duration) {
        let after = self.grace.map_or(after, |grace| after.min(grace.terraform / 2));
        tokio::select! {
            () = self.fenced() => {}
            () = self.after_signal(after) => {}
        }
    }

    async fn after_signal(&self, time: Duration) {
        self.signalled.cancelled().await;
        if let Some(at) = self.signalled_at.get() {
            sleep_until(*at + time).await;
        }
    }

    /// Requests the end of the step at the first TERM or INT. A later one ends terraform at once: who sends
    /// it wants no more than that.
    pub(crate) fn on_signals(&self) -> io::Result<JoinHandle<()>> {
        let mut term = signal(SignalKind::terminate())?;
        let mut int = signal(SignalKind::interrupt())?;
        let stop = self.clone();
        Ok(tokio::spawn(async move {
            loop {
                let name = tokio::select! {
                    _ = term.recv() => "TERM",
                    _ = int.recv() => "INT",
                };
                match stop.signalled_at.get() {
                    None => tracing::info!("received signal {name}, stopping the step"),
                    Some(at) if at.elapsed() < SAME_SIGNAL => continue,
                    Some(_) => {
                        tracing::warn!("received another signal {name}, ending terraform at once");
                        stop.force();
                    }
                }
                stop.request();
            }
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn divides_grace_periods_of_any_length() {
        let shares = |seconds| {
            let grace = GracePeriod::divide(Duration::from_secs(seconds));
            [grace.terraform, grace.forced, grace.store, grace.log, grace.report]
                .map(|share| share.as_millis())
        };
        assert_eq!(shares(300), [240_000, 2000, 270_000, 285_000, 297_000]);
        assert_eq!(shares(30), [22_500, 1875, 26_250, 28_125, 29_625]);
        assert_eq!(shares(4), [2000, 500, 3000, 3500, 3900]);
        assert_eq!(shares(0), [0; 5]);
    }

    #[tokio::test(start_paused = true)]
    async fn share_of_terraform_ends_in_force() {
        let stop = Stop::with_grace_period(Some(Duration::from_secs(100)));
        let start = Instant::now();
        stop.request();
        stop.forced().await;
        assert!(stop.is_forced());
        assert_eq!(start.elapsed().as_secs(), 75);
        stop.after(|grace| grace.report).await;
        assert_eq!(start.elapsed().as_secs(), 98);
    }

    #[tokio::test(start_paused = true)]
    async fn only_a_signal_starts_the_grace_period() {
        let shortage = MemoryShortage { used_bytes: 9, limit_bytes: 10 };
        let stop = Stop::with_grace_period(Some(Duration::from_secs(1)));
        stop.short_of_memory(shortage);
        stop.requested().await;
        let forced = tokio::time::timeout(Duration::from_hours(1), stop.forced()).await;
        assert!(forced.is_err());
        assert_eq!(stop.shortage(), Some(shortage));
        stop.request();
        stop.forced().await;

        let stop = Stop::default();
        stop.request();
        assert!(tokio::time::timeout(Duration::from_hours(1), stop.forced()).await.is_err());
        // A shortage after a signal is not the reason.
        stop.short_of_memory(shortage);
        assert_eq!(stop.shortage(), None);
    }
}
