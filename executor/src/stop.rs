//! The request to end the step early, and its reason.
//!
//! Only a flag that can be awaited; `child::process` decides how a child process is interrupted.

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

/// Requests the end of the step. Clones share the same flag.
#[derive(Debug, Clone, Default)]
pub(crate) struct Stop {
    requested: CancellationToken,
    requested_at: Arc<OnceLock<Instant>>,
    fenced: CancellationToken,
}

impl Stop {
    /// Requests the end of the step on behalf of a signal.
    pub(crate) fn request(&self) {
        // Only the first request counts.
        let _ = self.requested_at.set(Instant::now());
        self.requested.cancel();
    }

    /// Requests the end of the step because the api-server has closed the attempt.
    pub(crate) fn fence(&self) {
        self.fenced.cancel();
        self.request();
    }

    /// Returns whether the end of the step was requested.
    pub(crate) fn is_requested(&self) -> bool {
        self.requested.is_cancelled()
    }

    /// Returns whether the api-server has closed the attempt.
    pub(crate) fn is_fenced(&self) -> bool {
        self.fenced.is_cancelled()
    }

    /// Waits until the end of the step is requested.
    ///
    /// # Cancel safety
    /// Nothing is lost when the future is dropped.
    pub(crate) async fn requested(&self) {
        self.requested.cancelled().await;
    }

    /// Waits until the api-server has closed the attempt.
    ///
    /// # Cancel safety
    /// Nothing is lost when the future is dropped.
    pub(crate) async fn fenced(&self) {
        self.fenced.cancelled().await;
    }

    /// Waits until the api-server has closed the attempt, or this time has passed since the end of the step
    /// was requested.
    pub(crate) async fn fenced_or_late(&self, after: Duration) {
        let late = async {
            self.requested().await;
            if let Some(at) = self.requested_at.get() {
                sleep_until(*at + after).await;
            }
        };
        tokio::select! {
            () = self.fenced() => {}
            () = late => {}
        }
    }

    /// Requests the end of the step at the first TERM or INT and ignores later ones: a second signal would
    /// make terraform abort without saving its state.
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
                if !stop.is_requested() {
                    tracing::info!("received signal {name}, stopping the step");
                }
                stop.request();
            }
        }))
    }
}
