//! Shows the api-server that this executor runs, and learns from it that the attempt is closed.
//!
//! Nothing depends on a single heartbeat: when the server is away, terraform keeps running.

use std::time::Duration;

use tokio::time::{MissedTickBehavior, interval};

use crate::{
    api::{Api, error::ErrorKind},
    error_chain::chain,
    stop::Stop,
};

/// Sends heartbeats until the attempt is closed; stops the step then.
pub(super) async fn send(api: Api, every: Duration, stop: Stop) {
    let mut ticks = interval(every.max(Duration::from_secs(1)));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    // The claim was the first sign of life.
    ticks.tick().await;
    loop {
        ticks.tick().await;
        match api.heartbeat().await {
            Ok(()) => {}
            Err(error) if error.kind == ErrorKind::Closed => {
                tracing::error!("{}", chain(&error));
                return stop.fence();
            }
            Err(error) => tracing::warn!("{}", chain(&error)),
        }
    }
}
