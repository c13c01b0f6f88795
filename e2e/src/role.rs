//! The two roles that the scenarios run with.

use clap::ValueEnum;

/// The rights of the account under test.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Role {
    /// The documented role: Kubernetes Jobs, and nothing else
    Seed,
    /// The account may also read pods and events, and create Secrets
    Extended,
}

impl Role {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Seed => "seed",
            Self::Extended => "extended",
        }
    }
}
