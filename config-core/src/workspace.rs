//! The variables by which a workspace shapes its pods, one descriptor each.
//!
//! [`WorkspaceOverrides`](crate::WorkspaceOverrides) holds their values, and reads them by descriptor. A new
//! variable is one entry in one of the files of this folder; parsing, policy, the reference page and the
//! hints for misspelt names follow from it.
//!
//! ```
//! use config_core::{Variables, WorkspaceOverrides, workspace};
//! let variables: Variables = [("EPHEMERAL_CONFIG_IMAGE", "registry.example.com/executor:1")].into_iter().collect();
//! let overrides = WorkspaceOverrides::parse(&variables, None)?;
//! assert_eq!(overrides.get(&workspace::IMAGE).unwrap().as_str(), "registry.example.com/executor:1");
//! assert!(workspace::IMAGE.setting().permission);
//! # Ok::<(), config_core::Problems>(())
//! ```

use std::{collections::HashMap, sync::LazyLock};

use crate::{
    Origin, Problem, StepKind, keys,
    setting::{AnyVariable, Setting},
    unknown,
};

mod containers;
mod environment;
mod image;
mod metadata;
mod resources;
mod scheduling;
mod security;
mod time_limits;
mod volumes;

pub use containers::*;
pub use environment::*;
pub use image::*;
pub use metadata::*;
pub use resources::*;
pub use scheduling::*;
pub use security::*;
pub use time_limits::*;
pub use volumes::*;

/// The switch of Terrakube for ephemeral executors. It has no value that
/// [`WorkspaceOverrides`](crate::WorkspaceOverrides) reads.
pub static ENABLE_EPHEMERAL_EXECUTOR: Setting = Setting {
    grammar: "any text",
    example: "1",
    summary: "Has no effect here: every step runs in an ephemeral executor, whether this variable is present \
              or not. In Terrakube its presence enables ephemeral executors, whatever its value. `0`, \
              `false` and the like are reported with a warning, because the step runs all the same.",
    ..Setting::workspace("TERRAKUBE_ENABLE_EPHEMERAL_EXECUTOR")
};

static GROUPS: [&[&dyn AnyVariable]; 9] = [
    scheduling::SCHEDULING_GROUP,
    image::IMAGE_GROUP,
    security::SECURITY_GROUP,
    resources::RESOURCES_GROUP,
    metadata::METADATA_GROUP,
    environment::ENVIRONMENT_GROUP,
    volumes::VOLUMES_GROUP,
    containers::CONTAINERS_GROUP,
    time_limits::TIME_LIMITS_GROUP,
];

/// Rules about several variables together, applied after each of them was parsed.
pub(crate) const CHECKS: [fn(&mut crate::WorkspaceOverrides, &mut Vec<Problem>); 2] =
    [resources::check, volumes::check];

/// Iterates over the variables that [`WorkspaceOverrides`](crate::WorkspaceOverrides) reads.
pub(crate) fn variables() -> impl Iterator<Item = &'static dyn AnyVariable> + Clone {
    GROUPS.iter().copied().flatten().copied()
}

/// Iterates over the settings of workspaces, in the order of the reference page.
pub fn settings() -> impl Iterator<Item = &'static Setting> {
    [&ENABLE_EPHEMERAL_EXECUTOR].into_iter().chain(variables().map(AnyVariable::setting))
}

/// Iterates over the names of the variables that [`WorkspaceOverrides`](crate::WorkspaceOverrides) reads.
pub fn names() -> impl Iterator<Item = &'static str> + Clone {
    variables().map(|variable| variable.setting().name)
}

/// Finds a setting of workspaces by its exact name, without the suffix of a kind of steps.
#[must_use]
pub fn setting(name: &str) -> Option<&'static Setting> {
    settings().find(|setting| setting.name == name)
}

/// Finds a variable that [`WorkspaceOverrides`](crate::WorkspaceOverrides) reads, by its name without the
/// suffix of a kind of steps.
pub(crate) fn find(name: &str) -> Option<&'static dyn AnyVariable> {
    static BY_NAME: LazyLock<HashMap<&str, &dyn AnyVariable>> =
        LazyLock::new(|| variables().map(|variable| (variable.setting().name, variable)).collect());
    BY_NAME.get(name).copied()
}

/// Finds a variable by its name, with or without the suffix of a kind of steps.
pub(crate) fn find_for_any_kind(name: &str) -> Option<&'static dyn AnyVariable> {
    match without_kind(name) {
        bare if bare == name || bare.starts_with(keys::EPHEMERAL_PREFIX) => find(bare),
        // Names outside our family have no form for one kind of steps.
        _ => find(name),
    }
}

/// Removes the suffix that makes a variable one for steps of one kind.
pub(crate) fn without_kind(name: &str) -> &str {
    StepKind::ALL.iter().find_map(|kind| name.strip_suffix(kind.suffix())).unwrap_or(name)
}

/// Iterates over the names of our family, which begin with `EPHEMERAL_`.
fn family() -> impl Iterator<Item = &'static str> + Clone {
    names().filter(|name| name.starts_with(keys::EPHEMERAL_PREFIX))
}

/// Reports an unknown name with the nearest known one.
///
/// Names are compared without the parts that most of them begin with,
/// because these say nothing about similarity.
pub(crate) fn unknown_name(name: &str, origin: Origin) -> Problem {
    let problem = Problem::new(origin, "the name of a known setting");
    let suffix = &name[without_kind(name).len()..];
    let near = unknown::nearest(bare(without_kind(name)), family().map(bare))
        .and_then(|near| family().find(|candidate| bare(candidate) == near));
    problem.with_hint(match near {
        Some(near) => format!("did you mean {:?}?", format!("{near}{suffix}")),
        None => format!("known are {}", family().collect::<Vec<_>>().join(", ")),
    })
}

fn bare(name: &str) -> &str {
    [keys::EPHEMERAL_PREFIX, "CONFIG_"].into_iter().fold(name, |name, prefix| {
        if unknown::starts_with_ignoring_case(name, prefix) { &name[prefix.len()..] } else { name }
    })
}

#[cfg(test)]
mod tests;
