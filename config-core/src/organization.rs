//! The organization of a workspace, with every name by which settings files and policies may refer to it.

use std::borrow::Cow;

use crate::{EphemeralSettings, Policy, Rules, SourceName, Variables};

/// An organization: its id and its name, because settings files and policies may refer to it by either.
///
/// ```
/// use config_core::{Organization, Policy, PodSecurityLevel};
///
/// let policy = Policy::parse("[organizations.acme]\npod-security = 'privileged'")?;
/// let acme = Organization::new("0b8a3c10-0000-4000-8000-000000000001", "acme");
/// assert_eq!(acme.rules(&policy).pod_security().value, PodSecurityLevel::Privileged);
/// # Ok::<(), config_core::Problems>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Organization {
    id: String,
    names: Vec<String>,
}

impl Organization {
    /// Creates an organization from its id and its name.
    pub fn new(id: impl Into<String>, name: impl Into<String>) -> Self {
        Self { id: id.into(), names: vec![name.into()] }
    }

    /// Adds another name by which settings and policies may refer to it; an earlier name takes precedence.
    #[must_use]
    pub fn with_alias(mut self, name: impl Into<String>) -> Self {
        self.names.push(name.into());
        self
    }

    /// Returns the id.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Returns the id and every name, in order of precedence.
    #[must_use]
    pub fn identifiers(&self) -> Vec<&str> {
        std::iter::once(&self.id).chain(&self.names).map(String::as_str).collect()
    }

    /// Returns the rules of a policy for this organization.
    #[must_use]
    pub fn rules(&self, policy: &Policy) -> Rules {
        policy.rules_for(&self.identifiers())
    }

    /// Returns the variables that a step of this organization sees: those given,
    /// and below them those of the settings file.
    ///
    /// Variables that claim to come from a settings file are dropped first. Only the file of these settings,
    /// and only what it says for this organization, is exempt from the policy.
    #[must_use]
    pub fn variables<'v>(
        &self,
        settings: &EphemeralSettings,
        variables: &'v Variables,
    ) -> Cow<'v, Variables> {
        let of_file = settings.variables_for(&self.identifiers());
        let is_of_file = |source| source == SourceName::SettingsFile;
        let has_of_file = variables.iter().any(|(_, found)| is_of_file(found.origin.source));
        if !has_of_file && of_file.iter().next().is_none() {
            return Cow::Borrowed(variables);
        }
        let others = variables.iter().filter(|(_, found)| !is_of_file(found.origin.source));
        let others = others.map(|(name, found)| (name.to_owned(), found.clone()));
        Cow::Owned(Variables::new(others).or(of_file))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{EnvSnapshot, SettingsFile};

    fn settings(file: &str) -> EphemeralSettings {
        let file = SettingsFile::parse(file).unwrap();
        EphemeralSettings::load_with(&EnvSnapshot::default(), Some(&file)).unwrap()
    }

    #[test]
    fn merges_variables_of_settings_file_below_those_of_workspace() {
        let settings = settings(
            "[variables]\nEPHEMERAL_CPU_LIMIT = '1'\nEPHEMERAL_MEMORY_LIMIT = '1Gi'\n\
             [organizations.acme.variables]\nEPHEMERAL_MEMORY_LIMIT = '2Gi'\n",
        );
        let workspace: Variables = [("EPHEMERAL_CPU_LIMIT", "3")].into_iter().collect();
        let organization = Organization::new("id-1", "acme");
        let merged = organization.variables(&settings, &workspace);
        assert_eq!(merged.get("EPHEMERAL_CPU_LIMIT"), Some("3"));
        assert_eq!(merged.get("EPHEMERAL_MEMORY_LIMIT"), Some("2Gi"));
        assert_eq!(&organization.variables(&settings, &merged), &merged, "merging again changes nothing");
    }

    #[test]
    fn drops_variables_of_another_settings_file() {
        let other = settings("[variables]\nEPHEMERAL_CONFIG_SERVICE_ACCOUNT = 'admin'\n");
        let foreign = Variables::default().or(other.variables_for(&[]));
        let organization = Organization::new("id-1", "acme");
        let merged = organization.variables(&EphemeralSettings::default(), &foreign);
        assert_eq!(merged.get("EPHEMERAL_CONFIG_SERVICE_ACCOUNT"), None);
    }

    #[test]
    fn earlier_name_takes_precedence() {
        let organization = Organization::new("id-1", "acme").with_alias("old-name");
        assert_eq!(organization.identifiers(), ["id-1", "acme", "old-name"]);
        assert_eq!(organization.id(), "id-1");
    }
}
