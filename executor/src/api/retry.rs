//! Repeats requests while the api-server is unavailable: the only retries of this crate.

use std::{
    future::Future,
    time::{Duration, Instant},
};

use backon::{BackoffBuilder as _, ExponentialBackoff, ExponentialBuilder, Retryable};

use super::error::{ApiError, ErrorKind};
use crate::error_chain::chain;

/// Returns the delays between tries: from 0.1 to 5 seconds, with jitter, without end.
pub(crate) fn delays() -> ExponentialBackoff {
    builder().build()
}

fn builder() -> ExponentialBuilder {
    ExponentialBuilder::default()
        .with_min_delay(Duration::from_millis(100))
        .with_max_delay(Duration::from_secs(5))
        .with_jitter()
        .without_max_times()
}

/// Repeats a request while the server is unavailable, until the timeout is over or `give_up` returns true.
///
/// The timeout never cuts off a request that is under way, so that its effect is known.
pub(crate) async fn retry<T, F>(
    timeout: Duration,
    give_up: impl Fn() -> bool,
    request: impl FnMut() -> F,
) -> Result<T, ApiError>
where
    F: Future<Output = Result<T, ApiError>>,
{
    let end = Instant::now() + timeout;
    request
        .retry(builder())
        .when(|error| error.kind == ErrorKind::Unavailable && Instant::now() < end && !give_up())
        .notify(|error, delay| {
            tracing::warn!(?delay, "{}; retrying", chain(error));
        })
        .await
}
