//! Waits for the end of a main process, and of everything that holds the output of its Job.

use std::{process::ExitStatus, time::Duration};

use tokio::{process::Child, time::sleep};

use super::{blocking::blocking, output, record::Folder};

/// How often a lock is tried at first, and at last. There is no way to be told that a lock is free without blocking a thread,
/// and such a thread would hold up the end of the program.
const LOCK_POLL: (Duration, Duration) = (Duration::from_millis(5), Duration::from_millis(200));
/// The main process: ours to reap, or found running.
#[derive(Debug)]
pub(super) enum Leader {
    /// A child of this program.
    Own(Box<Child>),
    /// A process that an earlier program has started.
    Found,
}

impl Leader {
    /// Returns when the main process has ended, with its status where it can be known. May be dropped and called again.
    pub(super) async fn ended(&mut self, folder: &Folder) -> Option<ExitStatus> {
        match self {
            Self::Own(child) => match child.wait().await {
                Ok(status) => Some(status),
                Err(error) => {
                    tracing::warn!(%error, "a process could not be awaited");
                    until_free(folder).await;
                    None
                }
            },
            Self::Found => {
                until_free(folder).await;
                None
            }
        }
    }
}

/// Tells whether nothing holds the output. Where that cannot be found out, something may.
pub(super) async fn is_free(folder: &Folder) -> bool {
    let path = folder.output();
    match blocking(move || output::is_free(&path)).await {
        Ok(free) => free,
        Err(error) => {
            tracing::warn!(output = %folder.output().display(), %error, "a lock could not be tried");
            false
        }
    }
}

pub(super) async fn until_free(folder: &Folder) {
    let (mut pause, longest) = LOCK_POLL;
    while !is_free(folder).await {
        sleep(pause).await;
        pause = (pause * 2).min(longest);
    }
}
