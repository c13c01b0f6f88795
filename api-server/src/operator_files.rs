//! The operator's files: settings and policy, each read once when a command starts.

use std::{fs, path::Path};

use anyhow::Context as _;
use config_core::{EnvSnapshot, EphemeralSettings, Policy, Problems, SettingsFile};

pub(crate) fn read_settings(
    path: Option<&Path>,
    environment: &EnvSnapshot,
) -> anyhow::Result<EphemeralSettings> {
    let file = read_file("settings", path, SettingsFile::parse)?;
    EphemeralSettings::load_with(environment, file.as_ref())
        .context("the settings of executors are not valid")
}

pub(crate) fn read_policy(path: Option<&Path>) -> anyhow::Result<Policy> {
    Ok(read_file("policy", path, Policy::parse)?.unwrap_or_default())
}

fn read_file<T>(
    what: &str,
    path: Option<&Path>,
    parse: fn(&str) -> Result<T, Problems>,
) -> anyhow::Result<Option<T>> {
    let Some(path) = path else { return Ok(None) };
    let text = fs::read_to_string(path).with_context(|| format!("cannot read the {what} file {path:?}"))?;
    parse(&text).map(Some).with_context(|| format!("the {what} file {path:?} is not valid"))
}
