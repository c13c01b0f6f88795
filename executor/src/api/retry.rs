//! Repeats requests while the api-server is unavailable: the only retries of this crate.

use std::{future::Future, pin::pin, time::Duration};

use backon::{BackoffBuilder as _, ExponentialBackoff, ExponentialBuilder};
use tokio::time::{Instant, sleep};

use super::error::{ApiError, ErrorKind};
use crate::error_chain::chain;

/// The longest delay between two tries, without jitter.
const MAX_DELAY: Duration = Duration::from_secs(5);

/// Returns the delays between tries: from 0.1 to 5 seconds, with jitter, without end.
pub(crate) fn delays() -> ExponentialBackoff {
    ExponentialBuilder::default()
        .with_min_delay(Duration::from_millis(100))
        .with_max_delay(MAX_DELAY)
        .with_jitter()
        .without_max_times()
        .build()
}

/// Repeats a request while the server is unavailable, until the timeout is over or `give_up` is ready.
///
/// Neither cuts off a request that is under way, so that its effect is known; both end a delay.
pub(crate) async fn retry<T, F>(
    timeout: Duration,
    give_up: impl Future<Output = ()>,
    mut request: impl FnMut() -> F,
) -> Result<T, ApiError>
where
    F: Future<Output = Result<T, ApiError>>,
{
    let end = Instant::now() + timeout;
    let (mut delays, mut give_up) = (delays(), pin!(give_up));
    loop {
        let error = match request().await {
            Err(error) if error.kind == ErrorKind::Unavailable && Instant::now() < end => error,
            result => return result,
        };
        let delay = delays.next().unwrap_or(MAX_DELAY);
        tracing::warn!(?delay, "{}; retrying", chain(&error));
        tokio::select! {
            biased;
            () = &mut give_up => return Err(error),
            () = sleep(delay) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{
        cell::Cell,
        future::{pending, ready},
    };

    use super::*;

    /// Retries a request that fails in this way before it succeeds;
    /// returns the result and the number of tries.
    async fn tries(
        failures: usize,
        kind: ErrorKind,
        give_up: impl Future<Output = ()>,
    ) -> (Result<(), ErrorKind>, usize) {
        let count = Cell::new(0);
        let request = || {
            count.set(count.get() + 1);
            ready(if count.get() > failures { Ok(()) } else { Err(ApiError::scripted(kind)) })
        };
        let result = retry(Duration::from_mins(2), give_up, request).await;
        (result.map_err(|error| error.kind), count.get())
    }

    #[tokio::test(start_paused = true)]
    async fn retries_while_server_is_unavailable() {
        assert_eq!(tries(9, ErrorKind::Unavailable, pending()).await, (Ok(()), 10));
    }

    #[tokio::test(start_paused = true)]
    async fn returns_other_errors_at_once() {
        for kind in [ErrorKind::Conflict, ErrorKind::Closed, ErrorKind::NotFound, ErrorKind::Refused] {
            assert_eq!(tries(9, kind, pending()).await, (Err(kind), 1));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn gives_up_after_the_timeout_or_on_request() {
        let started = Instant::now();
        let (result, count) = tries(usize::MAX, ErrorKind::Unavailable, pending()).await;
        assert_eq!(result, Err(ErrorKind::Unavailable));
        assert!(count > 10, "{count} tries");
        let waited = started.elapsed().as_secs();
        assert!((120..=130).contains(&waited), "{waited} seconds");
        assert_eq!(tries(9, ErrorKind::Unavailable, ready(())).await, (Err(ErrorKind::Unavailable), 1));
    }

    #[tokio::test(start_paused = true)]
    async fn stop_request_ends_the_delay_between_two_tries() {
        let started = Instant::now();
        let stop = sleep(Duration::from_millis(30_050));
        let (result, _) = tries(usize::MAX, ErrorKind::Unavailable, stop).await;
        assert_eq!(result, Err(ErrorKind::Unavailable));
        assert_eq!(started.elapsed().as_millis(), 30_050);
    }

    #[test]
    fn delays_grow_to_a_limit_with_jitter() {
        let delays: Vec<_> = delays().take(20).collect();
        assert!(
            delays[0] >= Duration::from_millis(100) && delays[0] <= Duration::from_millis(200),
            "{delays:?}"
        );
        // Jitter adds up to the delay itself.
        assert!(delays.iter().all(|delay| *delay <= Duration::from_secs(10)), "{delays:?}");
        assert!(delays[19] >= Duration::from_secs(5), "{delays:?}");
    }
}
