//! The operator's files: settings and policy, each read once when a command starts.

use std::{fs, path::Path};

use anyhow::Context as _;
use config_core::{EnvSnapshot, EphemeralSettings, Policy, Problems, SettingsFile, SourceName};

pub(crate) fn read_settings(
    path: Option<&Path>,
    environment: &EnvSnapshot,
) -> anyhow::Result<EphemeralSettings> {
    let file = read_file("settings", path, SettingsFile::parse)?;
    let mut settings = EphemeralSettings::load_with(environment, file.as_ref())
        .context("the settings of executors are not valid")?;
    let delivery = &mut settings.payload_delivery;
    if delivery.origin.source == SourceName::Default {
        // Executors of this server claim their attempts: a payload too large for the environment needs no
        // setting.
        delivery.value = "env,claim".parse().context("the ways of delivery are valid")?;
    }
    Ok(settings)
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
