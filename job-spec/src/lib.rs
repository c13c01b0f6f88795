//! x
pub mod attempt_api;
mod exit_code;
mod payload;
pub use exit_code::ExitCode;
pub use payload::{Command, CommandRuntime, EphemeralJobData, PayloadError, StepType};
/// x
pub mod labels {
    /// x
    pub const SPEC_HASH: &str = "ephemeral-agents.dev/spec-hash";
}
