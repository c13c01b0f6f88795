//! Waits for the end of a main process, and of every process that has the output of its Job open.

use std::{process::ExitStatus, time::Duration};

use tokio::{process::Child, time::sleep};

use super::{blocking::blocking, output, record::Folder};

/// First and longest interval between two checks of a lock. Waiting for a lock would block a thread, which
/// would delay the end of the program.
const LOCK_POLL: (Duration, Duration) = (Duration::from_millis(5), Duration::from_millis(200));
/// The main process: a child of this program, or of an earlier one.
#[derive(Debug)]
pub(super) enum Leader {
    /// A child of this program.
    Own(Box<Child>),
    /// A process that an earlier program has started.
    Found,
}

impl Leader {
    /// Returns when the main process has ended, with its status where it can be known. May be dropped and
    /// called again.
    pub(super) async fn ended(&mut self, folder: &Folder) -> Option<ExitStatus> {
        match self {
            Self::Own(child) => match child.wait().await {
                Ok(status) => Some(status),
                Err(error) => {
                    tracing::warn!(%error, "could not wait for a process");
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

/// Returns whether no process has the output open; `false` where that is unknown.
pub(super) async fn is_free(folder: &Folder) -> bool {
    let path = folder.output();
    match blocking(move || output::is_free(&path)).await {
        Ok(free) => free,
        Err(error) => {
            tracing::warn!(output = %folder.output().display(), %error, "could not check a lock");
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
