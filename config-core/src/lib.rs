//! The settings of ephemeral executors: from environment, `JAVA_TOOL_OPTIONS` and
//! workspace variables to typed values.
//!
//! Pure functions over values: nothing here reads the environment, a file or a clock. The program takes one
//! [`EnvSnapshot`] of its environment at its start and passes it in.
//!
//! # Three results
//!
//! | value | set by | content |
//! |---|---|---|
//! | [`EphemeralSettings`] | the platform operator: environment, `JAVA_TOOL_OPTIONS` and settings file | where and with what image executors run |
//! | [`WorkspaceOverrides`] | the workspace owner: `EPHEMERAL_*` variables of a workspace, its organization and its collections ([`Variables`]) | how this workspace's pods differ |
//! | [`BatchInput`] | the environment of an executor | the payload of an executor |
//!
//! # Precedence of settings, strongest first
//!
//! 1. properties, in `SPRING_APPLICATION_JSON`, then as `-D` options in `_JAVA_OPTIONS`,
//!    then in `JAVA_TOOL_OPTIONS`, then in
//!    the environment in upper case with underscores (`IO_TERRAKUBE_EXECUTOR_EPHEMERAL_IMAGE`);
//!    in each of them those under
//!    `io.terrakube.executor.ephemeral.` are stronger than those under the older prefix
//!    `org.terrakube.executor.ephemeral.`;
//! 2. short names (`ExecutorEphemeralImage`) in the same places, in the same order;
//! 3. the settings file of the operator ([`SettingsFile`]);
//! 4. built-in defaults.
//!
//! The node selector is merged label by label; for one label the strongest source wins.
//!
//! # Every value knows its origin, every problem is reported
//!
//! ```
//! use config_core::{EnvSnapshot, EphemeralSettings};
//!
//! let env: EnvSnapshot = [
//!     ("ExecutorEphemeralImage", "registry.example/executor:1.10"),
//!     ("JAVA_TOOL_OPTIONS", "-Xmx1g -Dorg.terrakube.executor.ephemeral.nodeSelector.diskType=ssd"),
//! ]
//! .into_iter()
//! .collect();
//! let settings = EphemeralSettings::load(&env)?;
//!
//! assert_eq!(settings.namespace.value, "terrakube");
//! assert_eq!(settings.image.value, "registry.example/executor:1.10");
//! assert_eq!(settings.image.origin.to_string(), "environment variable ExecutorEphemeralImage");
//! let disk = &settings.node_selector["diskType"];
//! assert_eq!(disk.value, "ssd");
//! assert_eq!(
//!     disk.origin.to_string(),
//!     "JAVA_TOOL_OPTIONS -Dorg.terrakube.executor.ephemeral.nodeSelector.diskType"
//! );
//!
//! let wrong: EnvSnapshot =
//!     [("ExecutorEphemeralNamespace", "Terra_Kube"), ("ExecutorEphemeralImgae", "x")].into_iter().collect();
//! let problems = EphemeralSettings::load(&wrong).expect_err("two problems");
//! let keys: Vec<&str> = problems.iter().map(|problem| problem.origin.key.as_str()).collect();
//! assert_eq!(keys, ["ExecutorEphemeralImgae", "ExecutorEphemeralNamespace"]);
//! # Ok::<(), config_core::Problems>(())
//! ```
#![doc = include_str!("../differences.md")]

mod batch;
mod document;
mod error;
mod executor;
pub mod keys;
pub mod kubernetes;
mod layers;
pub mod names;
mod one_line;
mod organization;
mod overrides;
pub mod platform;
mod policy;
mod reference;
mod setting;
mod settings;
mod settings_file;
mod snapshot;
mod source;
mod step_kind;
mod unknown;
pub mod value;
mod variables;
mod warning;
pub mod workspace;

pub use batch::BatchInput;
pub use error::{Problem, Problems};
pub use organization::Organization;
pub use overrides::{Origins, WorkspaceOverrides};
pub use policy::{PodSecurityLevel, Policy, Rules};
pub use reference::{policy_page, settings_file_page, settings_page};
pub use setting::{Items, OldName, Place, Setting, Variable};
pub use settings::EphemeralSettings;
pub use settings_file::{FileVariables, SettingsFile};
pub use snapshot::EnvSnapshot;
pub use source::{Origin, SourceName, Sourced, java_options};
pub use step_kind::StepKind;
pub use variables::{Collection, Variables};
pub use warning::Warning;
pub use workspace::{ConfigMapMount, PluginCache, ResourceName, Resources};
