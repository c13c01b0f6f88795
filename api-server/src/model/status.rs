//! The enums that the store and the API write as text; names are those of Terrakube where it has them.

use serde::{Deserialize, Serialize};

/// Defines an enum whose variants are stored and sent as fixed text.
macro_rules! text_enum {
    ($(#[$doc:meta])* $name:ident { $($(#[$member_doc:meta])* $member:ident = $text:literal,)+ }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
        pub enum $name {
            $($(#[$member_doc])* #[serde(rename = $text)] $member,)+
        }

        impl $name {
            /// Every variant.
            pub const ALL: &'static [Self] = &[$(Self::$member),+];

            /// Returns the text of this variant in the store and in the API.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$member => $text,)+ }
            }

            /// Parses the text of a variant.
            ///
            /// # Errors
            /// An error message with the text, if no variant has it.
            pub fn parse(text: &str) -> Result<Self, String> {
                match text {
                    $($text => Ok(Self::$member),)+
                    other => Err(format!(concat!("unknown ", stringify!($name), " {:?}"), other)),
                }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl TryFrom<String> for $name {
            type Error = String;
            fn try_from(text: String) -> Result<Self, String> {
                Self::parse(&text)
            }
        }
    };
}

text_enum! {
    /// Status of a job.
    JobStatus {
        /// Waiting for its workspace.
        Pending = "pending",
        /// A step is running or is about to start.
        Running = "running",
        /// Waiting for a user to approve or reject.
        WaitingApproval = "waitingApproval",
        /// Every step completed.
        Completed = "completed",
        /// The plan found nothing to change; the later steps were not needed.
        NoChanges = "noChanges",
        /// A step failed.
        Failed = "failed",
        /// A user rejected it.
        Rejected = "rejected",
        /// A user cancelled it.
        Cancelled = "cancelled",
        /// An executor that may have changed infrastructure ended without a report, or reported that it does
        /// not know what was changed. The workspace stays locked until a user decides.
        Unknown = "unknown",
    }
}

impl JobStatus {
    /// Returns whether the job has ended.
    #[must_use]
    pub const fn is_final(self) -> bool {
        !matches!(self, Self::Pending | Self::Running | Self::WaitingApproval)
    }
}

text_enum! {
    /// Status of a step.
    StepStatus {
        /// Not started.
        Pending = "pending",
        /// It has an attempt that has not ended.
        Running = "running",
        /// Waiting for a user to approve or reject.
        WaitingApproval = "waitingApproval",
        /// Completed.
        Completed = "completed",
        /// Failed.
        Failed = "failed",
        /// A user rejected it.
        Rejected = "rejected",
        /// Stopped because the job was cancelled.
        Cancelled = "cancelled",
        /// Never started, because the job ended first.
        NotExecuted = "notExecuted",
        /// The outcome is unknown.
        Unknown = "unknown",
    }
}

text_enum! {
    /// Status of an attempt, as the API shows it.
    AttemptStatus {
        /// No executor has claimed it.
        Pending = "pending",
        /// An executor has claimed it.
        Running = "running",
        /// The executor reported success.
        Completed = "completed",
        /// The executor reported failure, or the attempt could not start.
        Failed = "failed",
        /// Cancelled.
        Cancelled = "cancelled",
        /// It ended without a report of its executor.
        Lost = "lost",
        /// The executor reported that it does not know what was done.
        Unknown = "unknown",
    }
}

text_enum! {
    /// Progress of an attempt's Kubernetes Job, as the server knows it.
    AttemptPhase {
        /// Stored; the Kubernetes Job may or may not exist.
        Prepared = "prepared",
        /// The backend accepted the Kubernetes Job.
        Submitted = "submitted",
        /// Ended.
        Ended = "ended",
    }
}

text_enum! {
    /// What a variable sets.
    VariableCategory {
        /// A Terraform input variable.
        Terraform = "TERRAFORM",
        /// An environment variable.
        Env = "ENV",
    }
}

text_enum! {
    /// The program that runs the configuration.
    IacType {
        /// HashiCorp Terraform.
        Terraform = "terraform",
        /// OpenTofu.
        Tofu = "tofu",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parses_the_text_of_every_variant() {
        for status in JobStatus::ALL {
            assert_eq!(JobStatus::parse(status.as_str()), Ok(*status));
        }
        assert_eq!(StepStatus::parse("done"), Err("unknown StepStatus \"done\"".to_owned()));
    }
}
