//! Phase 8 of an apply or destroy: stores a state that terraform could not store.
//!
//! The last resorts, in this order: a new version of the state, a copy beside the attempt at the api-server,
//! a file of this machine.

use std::{fs, io, path::Path};

use axum::body::Bytes;
use job_spec::{
    attempt_api::RescuedState,
    executor_files::{ERRORED_STATE, with_lineage},
};

use super::context::Context;
use crate::{
    api::{error::ErrorKind, retry::retry},
    error_chain::chain,
    state_proxy::{LastPush, StateDigest},
    step_report::StateResult,
    work_paths::write_private,
};

/// Finds out whether the state of terraform is stored, and stores it otherwise. `folder` is where terraform
/// ran.
pub(crate) async fn rescue(context: &Context<'_>, folder: &Path, last: LastPush) -> StateResult {
    let state = match (errored_state(folder), last) {
        (Ok(Some(state)), LastPush::Stored(digest)) if StateDigest::new(&state) == digest => {
            return StateResult::Stored;
        }
        // Terraform writes the file when its last state is refused, so it is the newest one.
        (Ok(Some(state)), _) | (Ok(None), LastPush::NotStored(state)) => state,
        (Ok(None), LastPush::Stored(_)) => return StateResult::Stored,
        (Ok(None), LastPush::None) => return StateResult::NotSent,
        (Err(error), _) => {
            return StateResult::NotStored {
                reason: format!("could not read {ERRORED_STATE}: {error}"),
                rescued: RescuedState::None,
            };
        }
    };
    let state = with_lineage(&state, &context.claim.attempt_id).map_or(state, Bytes::from);
    store(context, state).await
}

/// Reads the state that terraform has left in a file. The folder had no such file before terraform started.
fn errored_state(folder: &Path) -> io::Result<Option<Bytes>> {
    let file = folder.join(ERRORED_STATE);
    match fs::symlink_metadata(&file) {
        Ok(found) if found.is_file() => Ok(Some(fs::read(file)?.into())),
        // Terraform writes a file; anything else is of a script.
        Ok(_) => Ok(None),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Stores the state; a file of an earlier one is removed when this one is stored.
async fn store(context: &Context<'_>, state: Bytes) -> StateResult {
    let Context { api, stop, timeouts, log, paths, .. } = *context;
    log.note("terraform could not store its state; the executor stores it itself");
    // The retries may outlast the grace period, or this process.
    let file = paths.kept_state();
    let kept = write_private(&file, &state);
    let late = stop.fenced_or_after(|grace| grace.store);
    let reason = match retry(timeouts.lost_contact, late, || api.push_state(state.clone())).await {
        Ok(()) => {
            remove(&file);
            log.note("the state is stored");
            return StateResult::StoredByExecutor;
        }
        Err(error) => {
            context.fence_if_closed(&error);
            chain(&error)
        }
    };
    let late = stop.fenced_or_after(|grace| grace.log);
    let handed_in = retry(timeouts.transfer, late, || api.hand_in_state(state.clone())).await;
    let rescued = match (handed_in, kept) {
        (Ok(()), _) => {
            remove(&file);
            RescuedState::Stored
        }
        (Err(error), Ok(())) => {
            context.fence_if_closed(&error);
            tracing::error!(file = %file.display(), "the state is kept in a file: {}", chain(&error));
            RescuedState::KeptIn(file.to_string_lossy().into_owned())
        }
        (Err(error), Err(not_kept)) => {
            if error.kind == ErrorKind::Closed {
                stop.fence();
            }
            tracing::error!("the state is lost: {}; {not_kept}", chain(&error));
            RescuedState::None
        }
    };
    StateResult::NotStored { reason, rescued }
}

fn remove(file: &Path) {
    match fs::remove_file(file) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            tracing::warn!(file = %file.display(), %error, "could not remove the file of a stored state");
        }
        _ => {}
    }
}
