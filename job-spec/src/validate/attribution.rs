//! Which setting set a field of the finished pod.

use config_core::{Origin, Origins, SourceName};

/// The setting to which a field is attributed.
pub(super) enum Attribution {
    /// The operator's settings file; no other setting can have set the field.
    Operator(Origin),
    /// A variable of workspace, organization or collection.
    Other(Origin),
    /// No variable that is set.
    Unknown,
}

/// Attributes a field to one of the variables that can set it. One that is not the operator's comes first:
/// otherwise a value of the settings file would exempt a patch.
pub(super) fn attribution(origins: &Origins, keys: &[&'static str]) -> Attribution {
    let set = || keys.iter().filter_map(|key| origins.get(key));
    let operators = |origin: &&Origin| matches!(origin.source, SourceName::SettingsFile | SourceName::Policy);
    match (set().find(|origin| !operators(origin)), set().next()) {
        (Some(other), _) => Attribution::Other(other.clone()),
        (None, Some(own)) => Attribution::Operator(own.clone()),
        (None, None) => Attribution::Unknown,
    }
}
