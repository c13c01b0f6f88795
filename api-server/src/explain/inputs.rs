//! Everything that a Kubernetes Job is explained from, put together as the server does it.

use std::{collections::BTreeMap, path::Path};

use anyhow::bail;
use config_core::{Collection, EphemeralSettings, Policy, Variables};
use job_spec::{AttemptAccess, AttemptKey, EphemeralJobData, Planner, Preview, Profile, StepType};

use super::{env_file, payload};

/// The input files: name and text of each.
#[derive(Debug, Default)]
pub(super) struct Texts {
    pub(super) workspace: Option<(String, String)>,
    pub(super) global: Option<(String, String)>,
    /// The strongest first.
    pub(super) collections: Vec<(String, String)>,
    pub(super) job: Option<(String, String)>,
    /// Of the step, where there is no payload.
    pub(super) step_type: Option<StepType>,
}

/// Everything that a Kubernetes Job is explained from.
#[derive(Debug)]
pub(super) struct Inputs {
    settings: EphemeralSettings,
    policy: Policy,
    variables: Variables,
    payload: EphemeralJobData,
    key: AttemptKey,
}

impl Inputs {
    /// Reads the texts; settings and policy find the organization by the id of the
    /// payload and by these names.
    pub(super) fn new(
        texts: Texts,
        settings: EphemeralSettings,
        policy: Policy,
        names: &[String],
    ) -> anyhow::Result<Self> {
        let variables = variables(&texts)?;
        let step_type = texts.step_type.unwrap_or(StepType::TerraformPlan);
        let given = texts.job.map(|(file, text)| payload::parse(&file, &text)).transpose()?;
        let key = match &given {
            Some(payload) => payload::key_of(payload, names)?,
            None => payload::example_key(names),
        };
        let payload = given.unwrap_or_else(|| {
            let environment = Planner::new(&settings, &policy).environment(&variables, &key).into_owned();
            payload::example(step_type, &key, &environment)
        });
        Ok(Self { settings, policy, variables, payload, key })
    }

    pub(super) fn preview(&self, profile: Profile) -> Preview {
        let Self { settings, policy, variables, payload, key } = self;
        // The server makes both for each attempt.
        let access = AttemptAccess::new("https://api-server.example/executor/v1/attempts/1", "0".repeat(51));
        Planner::new(settings, policy).preview(profile, variables, payload, key, access)
    }
}

/// Merges the layers; the errors of all files are reported together.
fn variables(texts: &Texts) -> anyhow::Result<Variables> {
    let mut errors = Vec::new();
    let mut read = |(file, text): &(String, String)| {
        env_file::parse(file, text).unwrap_or_else(|found| {
            errors.extend(found);
            BTreeMap::new()
        })
    };
    let workspace = texts.workspace.as_ref().map(&mut read).unwrap_or_default();
    let global = texts.global.as_ref().map(&mut read).unwrap_or_default();
    let collections: Vec<Collection> = (0..)
        .zip(&texts.collections)
        .map(|(place, file)| Collection {
            name: name_of(&file.0),
            priority: i32::MAX - place,
            variables: read(file),
        })
        .collect();
    if !errors.is_empty() {
        bail!("the variables cannot be read\n{}", errors.join("\n"));
    }
    Ok(Variables::merge(&workspace, &global, &collections))
}

/// A collection goes by the name of its file without the ending.
fn name_of(file: &str) -> String {
    Path::new(file).file_stem().unwrap_or_default().to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests;
