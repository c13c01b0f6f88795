//! From settings and a payload to the Kubernetes Job of one throwaway executor, without a cluster.
//!
//! Pure functions over values: no I/O, no clock, no client. The way of a Job:
//!
//! 1. A caller puts together a [`JobRequest`]: settings, overrides and rules (from `config-core`), the payload, the attempt.
//! 2. [`validate`] checks all of it and yields a [`JobPlan`], or every problem at once.
//! 3. [`render`] turns the plan into a `batch/v1` Job; it cannot fail, and the same plan gives the same bytes.
//! 4. [`redacted`] makes a copy that may be shown.
//!
//! [`preview`] does all of it for variables that may be wrong, and tells who decided what. [`compatible`] renders what the
//! system that the settings come from makes of them, for comparison.
//!
//! The Job is *safe by default*: it runs its pod once and never again, has a deadline and a time to live, meets the Pod
//! Security profile *restricted*, and holds no token of the cluster unless the workspace names a service account.
//! See [`render`](render()) for the whole list with reasons.
//!
//! The version of Kubernetes is chosen by the program that imports this crate, as with every library on `k8s-openapi`:
//!
//! ```toml
//! [dependencies]
//! config-core = "0.1"
//! job-spec = "0.1"
//! # Fields that a cluster does not know are none of its objects' yet: take the oldest version that you run on.
//! k8s-openapi = { version = "0.29", features = ["v1_33"] }
//! ```
//!
//! ```
//! use config_core::{EphemeralSettings, Rules, WorkspaceOverrides};
//! use job_spec::{AttemptKey, EphemeralJobData, JobRequest, render, validate};
//!
//! let payload = EphemeralJobData::decode(
//!     // {"type":"terraformPlan","organizationId":"acme","workspaceId":"dev","jobId":"42","stepId":"s"}
//!     "eyJ0eXBlIjoidGVycmFmb3JtUGxhbiIsIm9yZ2FuaXphdGlvbklkIjoiYWNtZSIsIndvcmtzcGFjZUlkIjoiZGV2Iiwiam9iSWQiOiI0MiIs\
//!      InN0ZXBJZCI6InMifQ==",
//! )?;
//! let plan = validate(&JobRequest {
//!     key: AttemptKey {
//!         organization_id: "acme".to_owned(),
//!         workspace_id: "dev".to_owned(),
//!         job_id: 42,
//!         step_number: 100,
//!         attempt: 1,
//!     },
//!     settings: &EphemeralSettings::default(),
//!     overrides: &WorkspaceOverrides::default(),
//!     rules: &Rules::default(),
//!     payload: &payload,
//!     access: None,
//! })?;
//! let job = render(&plan);
//!
//! assert_eq!(job.metadata.name.as_deref(), Some("job-42-100-1"));
//! assert_eq!(job.metadata.namespace.as_deref(), Some("terrakube"));
//! assert_eq!(job.spec.and_then(|spec| spec.backoff_limit), Some(0));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

pub mod attempt_api;
mod compatible;
mod exit_code;
mod explain;
mod fields;
pub mod labels;
pub mod names;
mod payload;
mod plan;
mod redact;
mod render;
mod request;
mod validate;

pub use compatible::{Compatible, Defect, compatible};
pub use exit_code::ExitCode;
pub use explain::{Explanation, Field, Preview, Profile, explain, preview};
pub use payload::{Command, CommandRuntime, EphemeralJobData, JsonFault, PayloadError, StepType};
pub use plan::JobPlan;
pub use redact::redacted;
pub use render::{EXECUTOR_CONTAINER, render, secret_of};
pub use request::{AttemptAccess, AttemptKey, JobRequest};
pub use validate::{LONGEST_ENV_STRING, longest_env_value, validate, validate_after};
