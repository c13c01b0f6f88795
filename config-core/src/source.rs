//! Where values come from: sources, origins, and one raw layer per kind of source.
//!
//! Layers hold text as it was found, in order of precedence;
//! values are checked after merging (`settings.rs`).

use std::fmt::{self, Write as _};

use serde::{Deserialize, Serialize};

use crate::{keys, one_line::OneLine, setting::OldName};

pub(crate) mod env;
pub mod java_options;
pub(crate) mod property;
pub(crate) mod spring_json;

/// A kind of source; the order is that of precedence, weakest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub enum SourceName {
    /// Built in.
    Default,
    /// The settings file of the platform operator.
    SettingsFile,
    /// The environment of the process.
    Environment,
    /// A `-D` option in `JAVA_TOOL_OPTIONS`.
    JavaToolOptions,
    /// A `-D` option in `_JAVA_OPTIONS`.
    JavaOptions,
    /// A property in `SPRING_APPLICATION_JSON`.
    SpringApplicationJson,
    /// A variable of a collection that the workspace refers to; the key is `collection/name`.
    Collection,
    /// A global variable of the organization.
    Global,
    /// A variable of the workspace.
    Workspace,
    /// The policy of the platform operator; the key is the path of a rule.
    Policy,
    /// The data of one Kubernetes Job: its IDs, its payload. Not a source of settings; problems refer to it.
    Request,
}

impl SourceName {
    /// Returns the name of the source in JSON.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Default => "default",
            Self::SettingsFile => "settingsFile",
            Self::Environment => "environment",
            Self::JavaToolOptions => "javaToolOptions",
            Self::JavaOptions => "javaOptions",
            Self::SpringApplicationJson => "springApplicationJson",
            Self::Collection => "collection",
            Self::Global => "global",
            Self::Workspace => "workspace",
            Self::Policy => "policy",
            Self::Request => "request",
        }
    }
}

impl SourceName {
    const ALL: [Self; 11] = [
        Self::Default,
        Self::SettingsFile,
        Self::Environment,
        Self::JavaToolOptions,
        Self::JavaOptions,
        Self::SpringApplicationJson,
        Self::Collection,
        Self::Global,
        Self::Workspace,
        Self::Policy,
        Self::Request,
    ];
}

impl fmt::Display for SourceName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Default => "built-in default",
            Self::SettingsFile => "settings file",
            Self::Environment => "environment variable",
            Self::JavaToolOptions => keys::JAVA_TOOL_OPTIONS,
            Self::JavaOptions => keys::JAVA_OPTIONS,
            Self::SpringApplicationJson => keys::SPRING_APPLICATION_JSON,
            Self::Collection => "collection variable",
            Self::Global => "global variable",
            Self::Workspace => "workspace variable",
            Self::Policy => "policy",
            Self::Request => "job request",
        })
    }
}

/// Where a value was found.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Origin {
    /// The kind of source.
    pub source: SourceName,
    /// The name under which the source holds the value, as it is spelled there (without `-D`).
    pub key: String,
}

impl Origin {
    /// Creates an origin.
    pub fn new(source: SourceName, key: impl Into<String>) -> Self {
        Self { source, key: key.into() }
    }

    /// Returns whether the key has the prefix `org.terrakube`, which the documentation of Terrakube shows and
    /// its versions since 2.27 ignore; their own is `io.terrakube`.
    #[must_use]
    pub fn has_old_prefix(&self) -> bool {
        let key = self.key.to_ascii_lowercase();
        key.starts_with("org.terrakube.") || key.starts_with("org_terrakube_")
    }

    /// Returns a text from which [`from_compact`](Self::from_compact) gets the origin back.
    pub(crate) fn to_compact(&self) -> String {
        format!("{} {}", self.source.as_str(), self.key)
    }

    pub(crate) fn from_compact(text: &str) -> Option<Self> {
        let (source, key) = text.split_once(' ')?;
        let source = SourceName::ALL.into_iter().find(|known| known.as_str() == source)?;
        Some(Self::new(source, key))
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { source, key } = self;
        let mut f = OneLine(f);
        match source {
            // The variable as a whole, when it cannot be split into options or parsed as JSON.
            SourceName::JavaToolOptions | SourceName::JavaOptions | SourceName::SpringApplicationJson
                if [keys::JAVA_TOOL_OPTIONS, keys::JAVA_OPTIONS, keys::SPRING_APPLICATION_JSON]
                    .contains(&key.as_str()) =>
            {
                write!(f, "environment variable {key}")
            }
            SourceName::JavaToolOptions | SourceName::JavaOptions => write!(f, "{source} -D{key}"),
            _ => write!(f, "{source} {key}"),
        }
    }
}

/// A value and where it was found.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Sourced<T> {
    /// The value.
    pub value: T,
    /// Where it was found.
    pub origin: Origin,
}

impl<T> Sourced<T> {
    /// Creates a value with its origin.
    pub const fn new(value: T, origin: Origin) -> Self {
        Self { value, origin }
    }
}

/// A setting that a layer may hold.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Target {
    /// A setting with one value, by its name.
    Setting(&'static str),
    /// One label of the node selector, by its key.
    NodeSelector(String),
}

/// The setting that a name refers to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Named {
    pub(crate) target: Target,
    /// The old name by which it was found.
    pub(crate) old_name: Option<OldName>,
}

impl From<Target> for Named {
    fn from(target: Target) -> Self {
        Self { target, old_name: None }
    }
}

/// A setting that was found by its old name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct OldUse {
    pub(crate) name: &'static str,
    pub(crate) old_name: OldName,
    pub(crate) found: Sourced<String>,
}

/// The entries of one source, before they are merged with those of the others. Of two entries with one target
/// the later one is used.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct RawLayer {
    pub(crate) entries: Vec<(Target, Sourced<String>)>,
    pub(crate) old_uses: Vec<OldUse>,
}

impl RawLayer {
    /// Adds an entry. One with an old name is weaker than one with the current name.
    pub(crate) fn push(&mut self, named: impl Into<Named>, value: &str, origin: Origin) {
        let Named { target, old_name } = named.into();
        let found = Sourced::new(value.to_owned(), origin);
        if let (Some(old_name), Target::Setting(name)) = (old_name, &target) {
            self.old_uses.push(OldUse { name, old_name, found: found.clone() });
            self.entries.insert(0, (target, found));
        } else {
            self.entries.push((target, found));
        }
    }
}

/// The layers of one source with the problems found in them.
#[derive(Debug, Default)]
pub(crate) struct Layers {
    /// Settings by their short names, weakest first. In any source they are weaker than properties in every
    /// source, because Terrakube reads them only where no property is found.
    pub(crate) short: Vec<RawLayer>,
    /// Settings by their names as properties, weakest first.
    pub(crate) properties: Vec<RawLayer>,
    pub(crate) problems: Vec<crate::Problem>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn origin_prints_source_and_key() {
        let cases = [
            (SourceName::Default, "image", "built-in default image"),
            (
                SourceName::Environment,
                "ExecutorEphemeralImage",
                "environment variable ExecutorEphemeralImage",
            ),
            (SourceName::JavaToolOptions, "a.b", "JAVA_TOOL_OPTIONS -Da.b"),
            (SourceName::JavaToolOptions, "JAVA_TOOL_OPTIONS", "environment variable JAVA_TOOL_OPTIONS"),
            (SourceName::JavaOptions, "a.b", "_JAVA_OPTIONS -Da.b"),
            (SourceName::SpringApplicationJson, "a.b", "SPRING_APPLICATION_JSON a.b"),
            (
                SourceName::Workspace,
                "EPHEMERAL_CONFIG_ANNOTATIONS",
                "workspace variable EPHEMERAL_CONFIG_ANNOTATIONS",
            ),
            (SourceName::Request, "EphemeralJobData", "job request EphemeralJobData"),
        ];
        for (source, key, expected) in cases {
            assert_eq!(Origin::new(source, key).to_string(), expected);
        }
    }

    #[test]
    fn source_name_equals_its_json() {
        for source in SourceName::ALL {
            assert_eq!(serde_json::to_value(source).unwrap(), source.as_str());
        }
    }

    #[test]
    fn orders_sources_by_precedence() {
        assert!(SourceName::Default < SourceName::Environment);
        assert!(SourceName::Environment < SourceName::JavaToolOptions);
        assert!(SourceName::JavaToolOptions < SourceName::JavaOptions);
        assert!(SourceName::JavaOptions < SourceName::SpringApplicationJson);
        assert!(SourceName::SpringApplicationJson < SourceName::Collection);
        assert!(SourceName::Collection < SourceName::Global);
        assert!(SourceName::Global < SourceName::Workspace);
    }
}
