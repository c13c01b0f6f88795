//! One function per parser: it takes any bytes, and panics where something does not
//! hold that must hold for every input.
//!
//! Nothing of the product is in here. The tests run every target on a few inputs; `cargo xtask fuzz` lets an
//! engine search for inputs that reach new places of the code.
//! What it finds is mended and becomes a row of a unit test where it belongs.

mod archive;
mod checks;
mod documents;
mod java_options;
mod job;
mod lines;
mod lists;
mod payload;
mod quantity;
mod rules;
mod scalars;
mod settings;
mod workspace;

/// A parser with what must hold for it.
#[derive(Debug, Clone, Copy)]
pub struct Target {
    /// Its name on the command line.
    pub name: &'static str,
    /// Longest input that the engine makes of its own, in bytes:
    /// what is longer takes time and shows nothing new.
    pub longest: usize,
    /// What must hold, in a sentence.
    pub about: &'static str,
    /// Inputs to begin with: most of them accepted, some refused.
    pub seeds: fn() -> Vec<String>,
    /// Takes any bytes.
    ///
    /// # Panics
    /// Where something does not hold.
    pub run: fn(&[u8]),
}

/// Every target.
pub const TARGETS: &[Target] = &[
    java_options::TARGET,
    settings::PROPERTIES,
    settings::ENVIRONMENT,
    lists::KEY_VALUES,
    lists::NAMES,
    lists::ENV_VARS,
    lists::TOLERATIONS,
    lists::POD_SECURITY,
    lists::CONTAINER_SECURITY,
    lists::HOST_ALIASES,
    lists::DELIVERIES,
    quantity::TARGET,
    scalars::SECONDS,
    scalars::IMAGE_PULL_POLICY,
    scalars::YAML,
    rules::TARGET,
    documents::SETTINGS_FILE,
    documents::POLICY,
    workspace::TARGET,
    payload::TARGET,
    archive::TARGET,
    job::POD_YAML,
    job::TARGET,
];

/// Finds a target by its name.
#[must_use]
pub fn find(name: &str) -> Option<&'static Target> {
    TARGETS.iter().find(|target| target.name == name)
}

/// Reads bytes as text; what is no UTF-8 becomes the replacement character, so that no input is wasted.
pub(crate) fn text_of(data: &[u8]) -> std::borrow::Cow<'_, str> {
    String::from_utf8_lossy(data)
}

/// Separates the parts of an input that has several.
pub(crate) const SEPARATOR: &str = "\n---\n";

/// Copies seeds.
pub(crate) fn owned(seeds: &[&str]) -> Vec<String> {
    seeds.iter().map(|seed| (*seed).to_owned()).collect()
}

#[cfg(test)]
mod tests;
