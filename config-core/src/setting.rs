//! The descriptor of a setting: every fact about it in one place.
//!
//! Descriptors drive parsing, policy, reference page, explain and the hints for misspelt names. Those of the
//! platform are in `platform.rs`, those of workspaces in `workspace/`, those of executors in `executor.rs`.

use std::{
    any::Any,
    fmt::{Debug, Display},
    str::FromStr,
    sync::Arc,
};

use crate::{keys, value::ListError};

/// Who sets a setting, and where.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// The platform operator, in the environment of the api-server or in its `JAVA_TOOL_OPTIONS`.
    Platform,
    /// The workspace owner, as a workspace variable of category `ENV`.
    Workspace,
    /// The api-server, in the environment of an executor.
    Executor,
}

/// What the patterns of a policy are matched against.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Items {
    /// The text without spaces around it.
    Whole,
    /// The text as it is.
    Verbatim,
    /// Each item of the list as it prints; this character separates them.
    SeparatedBy(char),
    /// Nothing: the value is YAML.
    Yaml,
}

/// What is known about one setting.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct Setting {
    /// Its name.
    pub name: &'static str,
    /// Who sets it.
    pub place: Place,
    /// Its name as a property, below either prefix; platform settings only.
    pub property: Option<&'static str>,
    /// An earlier name that is still accepted, with a warning; platform settings only.
    pub old_name: Option<OldName>,
    /// Other spellings that mean the same, beside those that follow from [`property`](Self::property).
    pub also: &'static [&'static str],
    /// The form of its value.
    pub grammar: &'static str,
    /// The value where it is not set.
    pub default: Option<&'static str>,
    /// A value that works.
    pub example: &'static str,
    /// The first version that has it.
    pub since: &'static str,
    /// Whether a workspace may set it only where the operator's policy allows it, because it affects more
    /// than the workspace's own pods or decides what runs in them.
    pub permission: bool,
    /// What the patterns of a policy are matched against.
    pub items: Items,
    /// Whether values may be secret: messages show only the part of an item before its first `=`.
    pub is_secret: bool,
    /// The fields of the Kubernetes Job that this variable alone decides: paths with `.`, in which list items
    /// go by name; `*` matches one part, `**` at the end any number. Of several variables the first in the
    /// order of the reference page counts. `job_spec` has the fields that several settings decide together.
    pub sets: &'static [&'static str],
    /// What to do instead of setting an empty value.
    pub if_empty: Option<&'static str>,
    /// The variable without which this one has no effect; its value is not checked then.
    pub only_with: Option<&'static str>,
    /// The workspace variable that replaces this platform setting for a workspace.
    pub replaced_by: Option<&'static str>,
    /// The label of the Kubernetes Job (not of its pod) whose value it is; workspace variables only.
    pub job_label: Option<&'static str>,
    /// What it does.
    pub summary: &'static str,
}

/// An earlier name of a platform setting.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OldName {
    /// As an environment variable or an option.
    pub name: &'static str,
    /// As a property, below either prefix.
    pub property: &'static str,
    /// The first version that does not accept it.
    pub until: &'static str,
}

impl Setting {
    const fn new(name: &'static str, place: Place) -> Self {
        Self {
            name,
            place,
            property: None,
            old_name: None,
            also: &[],
            grammar: "",
            default: None,
            example: "",
            since: "0.1.0",
            permission: false,
            items: Items::Whole,
            is_secret: false,
            sets: &[],
            if_empty: None,
            only_with: None,
            replaced_by: None,
            job_label: None,
            summary: "",
        }
    }

    pub(crate) const fn platform(name: &'static str) -> Self {
        Self { if_empty: Some("remove it to use the default"), ..Self::new(name, Place::Platform) }
    }

    pub(crate) const fn workspace(name: &'static str) -> Self {
        Self::new(name, Place::Workspace)
    }

    pub(crate) const fn executor(name: &'static str) -> Self {
        Self::new(name, Place::Executor)
    }

    /// Returns whether the value is YAML.
    #[must_use]
    pub const fn is_yaml(&self) -> bool {
        matches!(self.items, Items::Yaml)
    }

    /// Returns every other spelling that means the same.
    #[must_use]
    pub fn spellings(&self) -> Vec<String> {
        let mut spellings = Vec::new();
        if let Some(property) = self.property {
            spellings.push(format!("-D{}", self.name));
            spellings.push(format!("-D{}{property}", keys::PROPERTY_PREFIX));
            spellings.push(format!("-D{}{property}", keys::OLD_PROPERTY_PREFIX));
            let long = format!("{}{property}", keys::PROPERTY_PREFIX);
            spellings.push(long.replace('.', "_").to_ascii_uppercase());
        }
        spellings.extend(self.also.iter().map(ToString::to_string));
        spellings
    }
}

/// A setting with the type of its value.
///
/// ```
/// use config_core::{Variables, WorkspaceOverrides, workspace};
/// let variables: Variables = [(workspace::SERVICE_ACCOUNT.name(), "terraform-runner")].into_iter().collect();
/// let overrides = WorkspaceOverrides::parse(&variables, None)?;
/// assert_eq!(overrides.get(&workspace::SERVICE_ACCOUNT).unwrap().as_str(), "terraform-runner");
/// # Ok::<(), config_core::Problems>(())
/// ```
#[derive(Debug)]
pub struct Variable<T: 'static> {
    pub(crate) setting: Setting,
    pub(crate) parse: fn(&str) -> Result<T, ListError>,
}

impl<T> Variable<T> {
    /// Returns what is known about the setting.
    #[must_use]
    pub const fn setting(&self) -> &Setting {
        &self.setting
    }

    /// Returns the name of the setting.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        self.setting.name
    }

    /// Parses the default of the setting.
    ///
    /// # Panics
    /// Where the descriptor has no default, or one that cannot be parsed; a test reads every default.
    pub(crate) fn default_value(&self) -> T {
        self.setting
            .default
            .and_then(|text| (self.parse)(text).ok())
            .expect("the descriptor has a valid default: a test parses it")
    }
}

/// A value of any setting. `Debug` of values that may be secret does not show them.
pub(crate) trait Value: Any + Debug + Display + Send + Sync {
    fn is_equal(&self, other: &dyn Value) -> bool;
}

impl<T: Any + Debug + Display + PartialEq + Send + Sync> Value for T {
    fn is_equal(&self, other: &dyn Value) -> bool {
        (other as &dyn Any).downcast_ref::<T>() == Some(self)
    }
}

/// A [`Variable`] without the type of its value.
pub(crate) trait AnyVariable: Sync {
    fn setting(&self) -> &'static Setting;
    fn parse(&self, text: &str) -> Result<Arc<dyn Value>, ListError>;
}

impl<T: Value> AnyVariable for &'static Variable<T> {
    fn setting(&self) -> &'static Setting {
        &self.setting
    }

    fn parse(&self, text: &str) -> Result<Arc<dyn Value>, ListError> {
        (self.parse)(text).map(|value| Arc::new(value) as Arc<dyn Value>)
    }
}

/// Defines a group of descriptors. The first line names the list of all of them; an entry is
/// `NAME: Type = parser, Setting { … };`, and its doc comment is the summary of the reference page.
macro_rules! variables {
    ($group:ident; $($(#[doc = $doc:literal])+ $name:ident: $type:ty = $parse:expr, $setting:expr;)+) => {
        $(
            $(#[doc = $doc])+
            pub static $name: $crate::setting::Variable<$type> = $crate::setting::Variable {
                setting: $crate::setting::Setting { summary: concat!($($doc),+), ..$setting },
                parse: $parse,
            };
        )+

        /// Every descriptor of this group, in the order of the reference page.
        pub(crate) static $group: &[&dyn $crate::setting::AnyVariable] = &[$(&&$name),+];
    };
}
pub(crate) use variables;

/// Parses a value; whether spaces around it are accepted depends on its type.
pub(crate) fn value<T: FromStr<Err: Into<ListError>>>(text: &str) -> Result<T, ListError> {
    text.parse().map_err(Into::into)
}

/// Parses a value without the spaces around it.
pub(crate) fn trimmed<T: FromStr<Err: Into<ListError>>>(text: &str) -> Result<T, ListError> {
    value(text.trim())
}
