//! The states that terraform sends: one after the other, and none is forgotten before it is stored.

use std::{
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
};

use axum::body::Bytes;
use sha2::{Digest as _, Sha256};
use tokio_util::sync::CancellationToken;

use super::Shared;
use crate::{
    api::{StateAnswer, StateRequest, error::ApiError},
    work_paths::write_private,
};

/// What became of the last state that terraform has sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum LastPush {
    /// It has sent none.
    None,
    /// The api-server has stored it.
    Stored(StateDigest),
    /// The api-server has not stored it.
    NotStored(Bytes),
}

/// SHA-256 of a state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct StateDigest([u8; 32]);

impl StateDigest {
    pub(crate) fn new(state: &[u8]) -> Self {
        Self(Sha256::digest(state).into())
    }
}

/// The states of one step.
#[derive(Debug, Clone)]
pub(crate) struct Pushes {
    last: Arc<Mutex<LastPush>>,
    /// Held during a request.
    one_at_a_time: Arc<tokio::sync::Mutex<()>>,
    closed: CancellationToken,
    /// Where a state is kept until it is stored, so that it outlives the executor.
    file: Arc<PathBuf>,
}

impl Pushes {
    pub(crate) fn new(file: PathBuf) -> Self {
        Self {
            last: Arc::new(Mutex::new(LastPush::None)),
            one_at_a_time: Arc::default(),
            closed: CancellationToken::new(),
            file: Arc::new(file),
        }
    }

    /// Forwards a state. The request goes on when terraform ends meanwhile.
    pub(super) async fn push(&self, shared: Shared, request: StateRequest) -> Result<StateAnswer, ApiError> {
        let pushes = self.clone();
        let task = tokio::spawn(async move { pushes.push_to_end(&shared, request).await });
        match task.await {
            Ok(answered) => answered,
            Err(error) => std::panic::resume_unwind(error.into_panic()),
        }
    }

    async fn push_to_end(&self, shared: &Shared, request: StateRequest) -> Result<StateAnswer, ApiError> {
        let _one = self.one_at_a_time.lock().await;
        let body = request.body.clone();
        self.set(LastPush::NotStored(body.clone()));
        // The answer may take long, and this process may be killed meanwhile.
        if let Err(error) = write_private(&self.file, &body) {
            tracing::error!(%error, file = %self.file.display(), "could not keep the state in a file");
        }
        let answer = shared.forward(request).await?;
        if answer.status.is_success() {
            self.set(LastPush::Stored(StateDigest::new(&body)));
            if let Err(error) = std::fs::remove_file(&*self.file) {
                let file = self.file.display();
                tracing::warn!(%error, %file, "could not remove the file of a stored state");
            }
        }
        Ok(answer)
    }

    fn set(&self, last: LastPush) {
        *self.last.lock().unwrap_or_else(PoisonError::into_inner) = last;
    }

    /// Waits until no further request is sent for a state of terraform.
    pub(super) async fn closed(&self) {
        self.closed.cancelled().await;
    }

    /// Ends the retries, waits for a request that is under way, and returns what became of the last state.
    pub(super) async fn close(&self) -> LastPush {
        self.closed.cancel();
        let _one = self.one_at_a_time.lock().await;
        self.last.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
