//! Who may have set a field of the finished pod.

use config_core::{Origin, Origins, SourceName};

/// Whose word a field is.
pub(super) enum Culprit {
    /// The operator's settings file, and nobody else can have set it.
    Operator(Origin),
    /// A variable of somebody else.
    Other(Origin),
    /// No variable that is set.
    Unknown,
}

/// Finds who set a field, of the variables that can. Where one of them is not the operator's, it is to blame: otherwise
/// a value of the settings file would excuse a patch.
pub(super) fn culprit(origins: &Origins, keys: &[&'static str]) -> Culprit {
    let set = || keys.iter().filter_map(|key| origins.get(key));
    let operators = |origin: &&Origin| matches!(origin.source, SourceName::SettingsFile | SourceName::Policy);
    match (set().find(|origin| !operators(origin)), set().next()) {
        (Some(other), _) => Culprit::Other(other.clone()),
        (None, Some(own)) => Culprit::Operator(own.clone()),
        (None, None) => Culprit::Unknown,
    }
}
