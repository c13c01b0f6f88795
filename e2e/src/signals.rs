//! Ctrl-C, SIGTERM and SIGHUP: end what is running, so that the caller can clean up.

use std::future::Future;

use anyhow::Context as _;
use tokio::signal::unix::{SignalKind, signal};

/// This process was asked to stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Interrupted;

impl std::fmt::Display for Interrupted {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("interrupted")
    }
}

impl std::error::Error for Interrupted {}

/// Runs a program to its end. What it has left in other threads (a question at the terminal)
/// does not hold it up.
pub(crate) fn block_on<T>(program: impl Future<Output = anyhow::Result<T>>) -> anyhow::Result<T> {
    let runtime = tokio::runtime::Runtime::new().context("cannot start the runtime")?;
    let result = runtime.block_on(program);
    runtime.shutdown_background();
    result
}

/// Runs a future until it is ready or this process is asked to stop.
///
/// # Errors
/// That of the future, or [`Interrupted`].
pub(crate) async fn until_signal<T>(future: impl Future<Output = anyhow::Result<T>>) -> anyhow::Result<T> {
    tokio::select! {
        result = future => result,
        received = received() => {
            received.context("cannot wait for signals")?;
            Err(Interrupted.into())
        }
    }
}

/// Waits for a signal.
pub(crate) async fn received() -> std::io::Result<()> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let mut hangup = signal(SignalKind::hangup())?;
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
        _ = hangup.recv() => {}
    }
    Ok(())
}

/// Returns whether the error is that this process was asked to stop.
pub(crate) fn is_interrupted<T>(result: &anyhow::Result<T>) -> bool {
    result.as_ref().is_err_and(anyhow::Error::is::<Interrupted>)
}
