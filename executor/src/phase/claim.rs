//! Phase 2: claims the attempt. Before it, nothing is changed.

use job_spec::{
    ExitCode,
    attempt_api::{ClaimRequest, ClaimResponse},
};
use uuid::Uuid;

use crate::{
    api::{Api, error::ErrorKind, retry::retry},
    error_chain::chain,
    stop::Stop,
    timeouts::Timeouts,
};

/// Claims the attempt, or returns the exit code of the process and why it ends.
///
/// All tries send the same claim, so a lost answer does no harm.
pub(crate) async fn claim(
    api: &Api,
    host: &str,
    timeouts: Timeouts,
    stop: &Stop,
) -> Result<ClaimResponse, (ExitCode, String)> {
    let request = ClaimRequest { executor_id: Uuid::new_v4().to_string(), host: host.to_owned() };
    let claimed = retry(timeouts.claim, stop.requested(), || api.claim(&request)).await;
    claimed.map_err(|error| {
        let text = chain(&error);
        tracing::error!("{text}");
        match error.kind {
            ErrorKind::Unavailable => {
                let advice = "nothing was started; check that the api-server runs and that this pod can \
                              reach the address: DNS, network policies, proxies";
                tracing::error!("{advice}");
                (ExitCode::ApiUnreachable, format!("{text}; {advice}"))
            }
            ErrorKind::Conflict | ErrorKind::Closed | ErrorKind::NotFound | ErrorKind::Refused => {
                (ExitCode::ClaimRefused, text)
            }
        }
    })
}
