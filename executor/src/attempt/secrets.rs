//! The secrets of an attempt, which must not appear in the log.

use aho_corasick::BuildError;
use job_spec::{EphemeralJobData, attempt_api::ClaimResponse};
use secrecy::ExposeSecret as _;

use crate::{
    log::{Masker, mask::is_maskable},
    phase::{decode::AttemptInput, fetch::address::secrets_in_address},
};

/// Builds the masker of an attempt: sensitive variables, credentials of the source, the tokens of the
/// attempt, and the secret part of the address of the state.
pub(super) fn masker(
    input: &AttemptInput,
    claim: &ClaimResponse,
    state_secret: &str,
) -> Result<Masker, BuildError> {
    let payload = &input.payload;
    let (token, session) = (input.env.token.expose_secret(), claim.session_token.as_str());
    let in_address = secrets_in_address(&payload.source);
    let credentials = [payload.access_token.as_deref(), payload.module_ssh_key.as_deref()];
    let secrets = sensitive(payload, claim)
        .map(|(_, value)| value)
        .chain(credentials.into_iter().flatten())
        .chain([token, session, state_secret])
        .chain(in_address.iter().map(String::as_str));
    Masker::new(secrets)
}

/// Returns the names of sensitive variables whose values are too short to be masked.
pub(super) fn names_of_short_values<'a>(
    payload: &'a EphemeralJobData,
    claim: &'a ClaimResponse,
) -> Vec<&'a str> {
    let mut names: Vec<_> =
        sensitive(payload, claim).filter(|(_, value)| !is_maskable(value)).map(|(name, _)| name).collect();
    names.dedup();
    names
}

/// Iterates over names and values of the sensitive variables of both categories.
fn sensitive<'a>(
    payload: &'a EphemeralJobData,
    claim: &'a ClaimResponse,
) -> impl Iterator<Item = (&'a str, &'a str)> {
    claim.sensitive.iter().flat_map(|name| {
        [payload.variables.get(name), payload.environment_variables.get(name)]
            .into_iter()
            .flatten()
            .map(|value| (name.as_str(), value.as_str()))
    })
}
