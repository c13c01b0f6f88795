//! Phase 1: reads and validates the environment and the payload. No I/O.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use config_core::{BatchInput, EnvSnapshot, Problems};
use job_spec::{
    EphemeralJobData, PayloadError,
    attempt_api::{ATTEMPT_TOKEN_ENV, ATTEMPT_URL_ENV, GRACE_PERIOD_ENV},
};
use secrecy::SecretString;
use url::Url;

/// The checked input of one attempt.
#[derive(Debug)]
pub(crate) struct AttemptInput {
    /// The step and its settings.
    pub(crate) payload: EphemeralJobData,
    /// The environment.
    pub(crate) env: EnvInput,
}

/// The input from the environment, enough to claim the attempt.
#[derive(Debug)]
pub(crate) struct EnvInput {
    /// The payload, unless it comes with the claim.
    payload: Option<EphemeralJobData>,
    /// Address of the attempt at the api-server, without a slash at the end.
    pub(crate) url: String,
    /// Token of the attempt.
    pub(crate) token: SecretString,
    /// Folder under which the executor creates its own.
    pub(crate) temp: PathBuf,
    /// Name of the machine or pod, for users.
    pub(crate) host: String,
    /// Whether terraform colours its output.
    pub(crate) color: bool,
}

/// Why the input is invalid.
#[derive(Debug, thiserror::Error)]
pub(crate) enum InputError {
    #[error("the environment is not that of an executor")]
    Batch(#[source] Problems),
    #[error("could not decode the payload")]
    Payload(#[source] PayloadError),
    #[error("the payload is neither in environment variable EphemeralJobData nor in the answer to the claim")]
    NoPayload,
    #[error("environment variable {name} is not set")]
    Missing { name: &'static str },
    #[error("environment variable {ATTEMPT_URL_ENV} is {found:?}, expected an http or https address")]
    Url { found: String },
    #[error("{field} is {found:?}, expected 1 to 63 letters, digits, dashes or underscores")]
    Id { field: &'static str, found: String },
    #[error("environment variable {GRACE_PERIOD_ENV} is {found:?}, expected a number of seconds")]
    GracePeriod { found: String },
    #[error("environment variable TMPDIR is {found:?}, expected an absolute path")]
    Temp { found: String },
}

impl EnvInput {
    /// Reads and validates the environment.
    pub(crate) fn load(env: &EnvSnapshot) -> Result<Self, InputError> {
        let batch = BatchInput::load(env).map_err(InputError::Batch)?;
        let payload = batch.job_data.as_deref().map(decode).transpose()?;
        let required =
            |name| env.get(name).filter(|value| !value.is_empty()).ok_or(InputError::Missing { name });
        let url = required(ATTEMPT_URL_ENV)?.trim_end_matches('/');
        if !Url::parse(url).is_ok_and(|parsed| matches!(parsed.scheme(), "http" | "https")) {
            return Err(InputError::Url { found: url.to_owned() });
        }
        grace_period(env)?;
        let temp = env.get("TMPDIR").filter(|value| !value.is_empty()).unwrap_or("/tmp");
        if !Path::new(temp).is_absolute() {
            return Err(InputError::Temp { found: temp.to_owned() });
        }
        Ok(Self {
            url: url.to_owned(),
            token: required(ATTEMPT_TOKEN_ENV)?.into(),
            temp: temp.into(),
            host: rustix::system::uname().nodename().to_string_lossy().into_owned(),
            color: !env
                .get("TerrakubeEnableColorOutput")
                .is_some_and(|value| value.trim().eq_ignore_ascii_case("false")),
            payload,
        })
    }

    /// Adds the payload that came with the claim. A payload in the environment takes precedence.
    pub(crate) fn with_claim(mut self, job_data: Option<&str>) -> Result<AttemptInput, InputError> {
        let payload = match (self.payload.take(), job_data) {
            (Some(payload), _) => payload,
            (None, Some(data)) => decode(data)?,
            (None, None) => return Err(InputError::NoPayload),
        };
        Ok(AttemptInput { payload, env: self })
    }
}

/// Returns the time between the signal to stop and KILL, where it is known.
pub(crate) fn grace_period(env: &EnvSnapshot) -> Result<Option<Duration>, InputError> {
    let Some(text) = env.get(GRACE_PERIOD_ENV).filter(|text| !text.is_empty()) else { return Ok(None) };
    // A Duration of more seconds than this could not be added to a time.
    let seconds = text.parse::<u32>().map_err(|_| InputError::GracePeriod { found: text.to_owned() })?;
    Ok(Some(Duration::from_secs(seconds.into())))
}

fn decode(job_data: &str) -> Result<EphemeralJobData, InputError> {
    let payload = EphemeralJobData::decode(job_data).map_err(InputError::Payload)?;
    check_id("organizationId", &payload.organization_id)?;
    check_id("workspaceId", &payload.workspace_id)?;
    Ok(payload)
}

/// Rejects an id that could change the meaning of a path.
pub(crate) fn check_id(field: &'static str, id: &str) -> Result<(), InputError> {
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    if (1..=63).contains(&id.len()) && id.chars().all(plain) {
        return Ok(());
    }
    Err(InputError::Id { field, found: id.to_owned() })
}

#[cfg(test)]
mod tests;
