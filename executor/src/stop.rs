//! The wish that the step ends early, and who wishes it.
//!
//! Only a flag that everybody can wait for; what is stopped, and how, is decided where the children run.

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

/// Tells everybody that the step shall end. Clones are the same flag.
#[derive(Debug, Clone, Default)]
pub(crate) struct Stop {
    raised: CancellationToken,
    fenced: Arc<AtomicBool>,
}

impl Stop {
    /// Raises the flag because somebody told the executor to stop.
    pub(crate) fn tell(&self) {
        self.raised.cancel();
    }

    /// Raises the flag because the api-server no longer wants anything from this attempt.
    pub(crate) fn fence(&self) {
        self.fenced.store(true, Ordering::SeqCst);
        self.raised.cancel();
    }

    /// Tells whether the flag is up.
    pub(crate) fn is_raised(&self) -> bool {
        self.raised.is_cancelled()
    }

    /// Tells whether the api-server has closed the attempt.
    pub(crate) fn is_fenced(&self) -> bool {
        self.fenced.load(Ordering::SeqCst)
    }

    /// Waits until the flag is up.
    ///
    /// # Cancel safety
    /// Nothing is lost when the future is dropped.
    pub(crate) async fn raised(&self) {
        self.raised.cancelled().await;
    }

    /// Raises the flag at the first TERM or INT, and ignores later ones: a second signal would make terraform abort
    /// without saving its state.
    pub(crate) fn on_signals(&self) -> io::Result<JoinHandle<()>> {
        let mut term = signal(SignalKind::terminate())?;
        let mut int = signal(SignalKind::interrupt())?;
        let stop = self.clone();
        Ok(tokio::spawn(async move {
            loop {
                tokio::select! {
                    _ = term.recv() => {}
                    _ = int.recv() => {}
                }
                if !stop.is_raised() {
                    tracing::info!("told to stop");
                }
                stop.tell();
            }
        }))
    }
}
