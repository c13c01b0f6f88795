//! The settings file of the platform operator: the same settings as in the environment,
//! and variables for workspaces.
//!
//! The caller reads the file. Values are checked like those of other sources,
//! in `settings.rs` and [`WorkspaceOverrides`].

use std::collections::BTreeMap;

use crate::{
    Problem, Problems, SourceName, Sourced, Variables, WorkspaceOverrides,
    document::{self, Entry, Lines},
    platform,
    source::{
        Named, RawLayer, Target,
        property::{self, Element, NameError},
    },
    unknown, workspace,
};

const VARIABLES: &str = "variables";
const ORGANIZATIONS: &str = "organizations";

/// The settings file of the platform operator.
///
/// ```toml
#[doc = include_str!("../examples/settings.toml")]
/// ```
///
/// ```
/// use config_core::{EnvSnapshot, EphemeralSettings, SettingsFile};
///
/// let text = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/examples/settings.toml"));
/// let file = SettingsFile::parse(text)?;
/// let environment: EnvSnapshot = [("ExecutorEphemeralNamespace", "staging")].into_iter().collect();
/// let settings = EphemeralSettings::load_with(&environment, Some(&file))?;
/// assert_eq!(settings.namespace.value, "staging");
/// assert_eq!(settings.image.origin.to_string(), "settings file image");
///
/// let variables = settings.variables_for(&["0b8a3c10-0000-4000-8000-000000000001", "acme"]);
/// assert_eq!(variables.get("EPHEMERAL_CPU_LIMIT"), Some("2"));
/// assert_eq!(
///     variables.origin_of("EPHEMERAL_CONFIG_SERVICE_ACCOUNT_PLAN").to_string(),
///     "settings file organizations.acme.variables.EPHEMERAL_CONFIG_SERVICE_ACCOUNT_PLAN"
/// );
/// # Ok::<(), config_core::Problems>(())
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SettingsFile {
    pub(crate) layer: RawLayer,
    pub(crate) variables: FileVariables,
    pub(crate) lines: Lines,
}

/// Variables that the operator sets for workspaces; those of the workspaces themselves are stronger.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FileVariables {
    general: Variables,
    organizations: BTreeMap<String, Variables>,
}

impl FileVariables {
    /// Returns the variables for the workspaces of an organization with any of these names; those of an
    /// earlier name win, and those for all organizations are weaker.
    #[must_use]
    pub fn of(&self, organization: &[&str]) -> Variables {
        let own = organization.iter().filter_map(|name| self.organizations.get(*name));
        own.chain([&self.general]).fold(Variables::default(), |stronger, weaker| stronger.or(weaker.clone()))
    }

    /// Reads every value as a workspace does, so that the server fails to start where a job would fail later.
    fn check(&self) -> Vec<Problem> {
        let of_organizations = self.organizations.values().map(|own| own.clone().or(self.general.clone()));
        [self.general.clone()]
            .into_iter()
            .chain(of_organizations)
            .flat_map(|variables| WorkspaceOverrides::read(&variables, None).1)
            .collect()
    }
}

impl SettingsFile {
    /// Reads a settings file.
    ///
    /// # Errors
    /// Every problem with its line: invalid TOML, unknown names, values that are no strings, variables that a
    /// workspace could not read. Values of settings are checked by
    /// [`EphemeralSettings::load_with`](crate::EphemeralSettings::load_with),
    /// when it is known which source wins.
    pub fn parse(text: &str) -> Result<Self, Problems> {
        let document = document::read(SourceName::SettingsFile, text);
        let mut file = Self { lines: document.lines, ..Self::default() };
        let mut problems = document.problems;
        let mut seen = BTreeMap::new();
        for entry in &document.root {
            match entry.name.as_str() {
                VARIABLES => file.variables.general = variables(entry, &mut problems),
                ORGANIZATIONS => file.variables.organizations = organizations(entry, &mut problems),
                _ => file.setting(entry, &mut seen, &mut problems),
            }
        }
        for problem in file.variables.check() {
            if !problems.contains(&problem) {
                problems.push(problem);
            }
        }
        file.lines.locate(SourceName::SettingsFile, &mut problems);
        Problems::into_result(problems, file)
    }

    fn setting(&mut self, entry: &Entry, seen: &mut BTreeMap<Target, String>, problems: &mut Vec<Problem>) {
        let name = Element::Plain(&entry.name);
        match property::target(std::slice::from_ref(&name), &entry.name) {
            Ok(named) => self.push(named, entry, seen, problems),
            Err(NameError::NoLabelKey) => {
                for label in entry.table(problems) {
                    self.push(Target::NodeSelector(label.name.clone()).into(), label, seen, problems);
                }
            }
            Err(_) => {
                let known: Vec<&str> = platform::properties().chain([VARIABLES, ORGANIZATIONS]).collect();
                problems.push(unknown::problem(entry.origin.clone(), &entry.name, "", &known));
            }
        }
    }

    fn push(
        &mut self,
        named: Named,
        entry: &Entry,
        seen: &mut BTreeMap<Target, String>,
        problems: &mut Vec<Problem>,
    ) {
        let Some(text) = entry.text(problems) else { return };
        match seen.insert(named.target.clone(), entry.origin.key.clone()) {
            None => self.layer.push(named, text, entry.origin.clone()),
            Some(earlier) => problems.push(
                entry
                    .problem("each setting once, whatever its spelling")
                    .with_hint(format!("{earlier} is the same setting; remove one of them")),
            ),
        }
    }
}

fn organizations(entry: &Entry, problems: &mut Vec<Problem>) -> BTreeMap<String, Variables> {
    let mut organizations = BTreeMap::new();
    for organization in entry.table(problems) {
        for section in organization.table(problems) {
            if section.name == VARIABLES {
                organizations.insert(organization.name.clone(), variables(section, problems));
            } else {
                let origin = section.origin.clone();
                problems.push(unknown::problem(origin, &section.name, "", &[VARIABLES]));
            }
        }
    }
    organizations
}

fn variables(entry: &Entry, problems: &mut Vec<Problem>) -> Variables {
    let mut found = Vec::new();
    for variable in entry.table(problems) {
        let text = variable.text(problems);
        if workspace::find_for_any_kind(&variable.name).is_none() {
            problems.push(workspace::unknown_name(&variable.name, variable.origin.clone()));
        } else if let Some(text) = text {
            found.push((variable.name.clone(), Sourced::new(text.to_owned(), variable.origin.clone())));
        }
    }
    Variables::new(found)
}

#[cfg(test)]
mod tests;
