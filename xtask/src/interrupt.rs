//! Ctrl-C, SIGTERM and SIGHUP: remembered here, acted upon by whoever waits for something.
//!
//! A signal ends nothing by itself, so that every command can clean up first.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use anyhow::Context as _;

/// How often this process was asked to stop.
#[derive(Debug, Clone)]
pub(crate) struct Interrupt(Arc<AtomicUsize>);

/// Somebody asked this process to stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Interrupted;

impl std::fmt::Display for Interrupted {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("interrupted")
    }
}

impl std::error::Error for Interrupted {}

impl Interrupt {
    /// Counts the signals of this process from now on.
    pub(crate) fn install() -> anyhow::Result<Self> {
        let interrupt = Self::never();
        let counter = Arc::clone(&interrupt.0);
        ctrlc::set_handler(move || {
            counter.fetch_add(1, Ordering::SeqCst);
        })
        .context("could not listen to signals")?;
        Ok(interrupt)
    }

    /// Makes one that no signal reaches.
    pub(crate) fn never() -> Self {
        Self(Arc::new(AtomicUsize::new(0)))
    }

    /// Returns how often this process was asked to stop.
    pub(crate) fn count(&self) -> usize {
        self.0.load(Ordering::SeqCst)
    }

    /// Fails if this process was asked to stop.
    pub(crate) fn check(&self) -> Result<(), Interrupted> {
        if self.count() == 0 { Ok(()) } else { Err(Interrupted) }
    }
}
