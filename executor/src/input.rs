//! Everything the executor is given, read from a snapshot of its environment.
//!
//! Reads nothing by itself and talks to nobody; what comes out is checked as far as it can be without the api-server.

use std::{
    fmt,
    path::{Path, PathBuf},
};

use config_core::{BatchInput, EnvSnapshot, Problems};
use job_spec::{
    EphemeralJobData, PayloadError,
    attempt_api::{ATTEMPT_TOKEN_ENV, ATTEMPT_URL_ENV},
};
use url::Url;

/// A text that must not be printed.
#[derive(Clone)]
pub(crate) struct Secret(String);

impl Secret {
    /// Returns the text, for the one who has to send it.
    pub(crate) fn expose(&self) -> &str {
        &self.0
    }
}

impl From<&str> for Secret {
    fn from(text: &str) -> Self {
        Self(text.to_owned())
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("…")
    }
}

/// The checked input of one attempt.
#[derive(Debug)]
pub(crate) struct Input {
    /// What to do.
    pub(crate) payload: EphemeralJobData,
    /// What the environment says.
    pub(crate) given: Given,
}

/// What the environment says; enough to claim the attempt.
#[derive(Debug)]
pub(crate) struct Given {
    /// What to do, unless it comes with the claim.
    payload: Option<EphemeralJobData>,
    /// Address of the attempt at the api-server, without a slash at the end.
    pub(crate) url: String,
    /// The attempt's token.
    pub(crate) token: Secret,
    /// Folder under which the executor makes its own.
    pub(crate) temp: PathBuf,
    /// Name of the machine or pod, for people.
    pub(crate) host: String,
    /// Whether terraform may colour its output.
    pub(crate) color: bool,
}

/// Why the input is not usable.
#[derive(Debug, thiserror::Error)]
pub(crate) enum InputError {
    #[error("the environment is not that of an executor")]
    Batch(#[source] Problems),
    #[error("the payload cannot be read")]
    Payload(#[source] PayloadError),
    #[error("the payload is neither in environment variable EphemeralJobData nor in the answer to the claim")]
    NoPayload,
    #[error("environment variable {name} is not set")]
    Missing { name: &'static str },
    #[error("environment variable {ATTEMPT_URL_ENV} is {found:?}, expected an http or https address")]
    Url { found: String },
    #[error("{field} is {found:?}, expected 1 to 63 letters, digits, dashes or underscores")]
    Id { field: &'static str, found: String },
    #[error("environment variable TMPDIR is {found:?}, expected an absolute path")]
    Temp { found: String },
}

impl Given {
    /// Reads and checks the environment.
    pub(crate) fn load(env: &EnvSnapshot) -> Result<Self, InputError> {
        let batch = BatchInput::load(env).map_err(InputError::Batch)?;
        let payload = batch.job_data.as_deref().map(decode).transpose()?;
        let required =
            |name| env.get(name).filter(|value| !value.is_empty()).ok_or(InputError::Missing { name });
        let url = required(ATTEMPT_URL_ENV)?.trim_end_matches('/');
        if !Url::parse(url).is_ok_and(|parsed| matches!(parsed.scheme(), "http" | "https")) {
            return Err(InputError::Url { found: url.to_owned() });
        }
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

    /// Adds what came with the claim. A payload in the environment is the one that counts.
    pub(crate) fn claimed(mut self, job_data: Option<&str>) -> Result<Input, InputError> {
        let payload = match (self.payload.take(), job_data) {
            (Some(payload), _) => payload,
            (None, Some(data)) => decode(data)?,
            (None, None) => return Err(InputError::NoPayload),
        };
        Ok(Input { payload, given: self })
    }
}

fn decode(job_data: &str) -> Result<EphemeralJobData, InputError> {
    let payload = EphemeralJobData::decode(job_data).map_err(InputError::Payload)?;
    check_id("organizationId", &payload.organization_id)?;
    check_id("workspaceId", &payload.workspace_id)?;
    Ok(payload)
}

/// Refuses an id that could mean something in a path.
pub(crate) fn check_id(field: &'static str, id: &str) -> Result<(), InputError> {
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    if (1..=63).contains(&id.len()) && id.chars().all(plain) {
        return Ok(());
    }
    Err(InputError::Id { field, found: id.to_owned() })
}

#[cfg(test)]
mod tests;
