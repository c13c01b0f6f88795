//! From settings and a payload to the Kubernetes Job of one throwaway executor, without a cluster.
//!
//! Pure functions over values: no I/O, no clock, no client. The way of a Job:
//!
//! 1. A [`Planner`] holds the operator's settings and policy (from `config-core`).
//!    It is the only way to a Job: it reads the
//!    variables, checks them against the policy and validates the whole, so no Job skips the policy.
//! 2. [`Planner::plan`] returns a [`JobPlan`], or every problem at once.
//! 3. [`JobPlan::into_objects`] renders the `batch/v1` Job, and the Secret that
//!    belongs to it if there is one; that cannot fail,
//!    and the same plan gives the same bytes.
//! 4. [`redacted`] makes a copy that may be shown.
//!
//! [`Planner::preview`] does all of it for variables that may be wrong, and says what decided each field.
//! [`Planner::compatible`] renders what the system that the settings come from makes of them, for comparison.
//!
//! The Job is *safe by default*: it runs its pod once and never again, has a deadline and a time to live,
//! meets the Pod Security profile *restricted*, and holds no token of the cluster unless the workspace names
//! a service account. See [`JobPlan::job`] for the whole list with reasons.
//!
//! The version of Kubernetes is chosen by the program that imports this crate,
//! as with every library on `k8s-openapi`:
//!
//! ```toml
//! [dependencies]
//! config-core = "0.1"
//! job-spec = "0.1"
//! # The oldest version of the clusters that you use: unknown fields would be dropped.
//! k8s-openapi = { version = "0.29", features = ["v1_33"] }
//! ```
//!
//! ```
//! use config_core::{EnvSnapshot, EphemeralSettings, Policy, Variables};
//! use job_spec::{AttemptAccess, AttemptKey, EphemeralJobData, Organization, Planner, StepType};
//!
//! // Once, at the start of the service.
//! let environment: EnvSnapshot = [("ExecutorEphemeralNamespace", "runs")].into_iter().collect();
//! let settings = EphemeralSettings::load(&environment)?;
//! let policy = Policy::parse("[default]\nforbid = ['EPHEMERAL_CONFIG_SERVICE_ACCOUNT']")?;
//! let planner = Planner::new(&settings, &policy);
//!
//! // For each attempt.
//! let variables: Variables = [("EPHEMERAL_CPU_LIMIT", "2")].into_iter().collect();
//! let key = AttemptKey::new(Organization::new("org-1", "acme"), "dev", 42, 100, 1);
//! let payload = EphemeralJobData::new(StepType::TerraformPlan, &key, "step-1")
//!     .with_source("https://github.com/acme/infra.git", "main")
//!     .with_environment(&planner.environment(&variables, &key));
//! let access = AttemptAccess::new("https://terraform.example.com/executor/v1/attempts/7", "token");
//! let (job, secret) = planner.plan(&variables, &payload, &key, access)?.into_objects();
//!
//! assert_eq!(job.metadata.name.as_deref(), Some("job-42-100-1"));
//! assert_eq!(job.metadata.namespace.as_deref(), Some("runs"));
//! assert_eq!(job.spec.and_then(|spec| spec.backoff_limit), Some(0));
//! assert_eq!(secret, None, "the payload is in the environment unless the operator says otherwise");
//! # Ok::<(), config_core::Problems>(())
//! ```
//!
//! The objects can be submitted by any client of Kubernetes; `k8s-backend` takes the pair as it is.

mod attempt;
pub mod attempt_api;
mod compatible;
pub mod environment;
pub mod executor_files;
mod exit_code;
mod explain;
mod fields;
pub mod labels;
pub mod names;
mod payload;
mod plan;
mod planner;
mod redact;
mod render;
mod request;
mod sensitive;
mod validate;
mod volumes;

pub use attempt::{AttemptAccess, AttemptKey};
pub use compatible::{Compatible, Defect};
pub use config_core::Organization;
pub use exit_code::ExitCode;
pub use explain::{Explanation, Field, Preview, Profile};
pub use payload::{
    Command, CommandRuntime, EphemeralJobData, ImportCommands, JsonError, PayloadError, StepType,
};
pub use plan::JobPlan;
pub use planner::Planner;
pub use redact::redacted;
pub use render::EXECUTOR_CONTAINER;
pub use sensitive::{MIN_SENSITIVE_CHARS, is_long_enough_to_hide};
pub use validate::{LONGEST_ENV_STRING, longest_env_value};
