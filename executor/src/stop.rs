//! The request to end the step early, and its reason.
//!
//! Only a flag that can be awaited; `child::process` decides how a child process is interrupted.

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use tokio::{
    signal::unix::{SignalKind, signal},
    task::JoinHandle,
};
use tokio_util::sync::CancellationToken;

/// Requests the end of the step. Clones share the same flag.
#[derive(Debug, Clone, Default)]
pub(crate) struct Stop {
    requested: CancellationToken,
    fenced: Arc<AtomicBool>,
}

impl Stop {
    /// Requests the end of the step on behalf of a signal.
    pub(crate) fn request(&self) {
        self.requested.cancel();
    }

    /// Requests the end of the step because the api-server has closed the attempt.
    pub(crate) fn fence(&self) {
        self.fenced.store(true, Ordering::SeqCst);
        self.requested.cancel();
    }

    /// Returns whether the end of the step was requested.
    pub(crate) fn is_requested(&self) -> bool {
        self.requested.is_cancelled()
    }

    /// Returns whether the api-server has closed the attempt.
    pub(crate) fn is_fenced(&self) -> bool {
        self.fenced.load(Ordering::SeqCst)
    }

    /// Waits until the end of the step is requested.
    ///
    /// # Cancel safety
    /// Nothing is lost when the future is dropped.
    pub(crate) async fn requested(&self) {
        self.requested.cancelled().await;
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
