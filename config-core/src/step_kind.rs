//! The two kinds of steps that may have different settings.

use std::fmt;

/// Whether a step reads or changes infrastructure.
///
/// A variable of the `EPHEMERAL_*` family whose name ends with the suffix of a kind applies to steps of that
/// kind only. There it wins over the variable without the suffix, whichever layer either comes from. So a
/// plan can run with a read-only account.
///
/// ```
/// use config_core::{StepKind, Variables, WorkspaceOverrides, workspace};
/// let variables: Variables = [
///     ("EPHEMERAL_CONFIG_SERVICE_ACCOUNT", "deployer"),
///     ("EPHEMERAL_CONFIG_SERVICE_ACCOUNT_PLAN", "reader"),
/// ]
/// .into_iter()
/// .collect();
/// let account = |kind| {
///     let overrides = WorkspaceOverrides::parse(&variables, kind)?;
///     Ok::<_, config_core::Problems>(overrides.get(&workspace::SERVICE_ACCOUNT).unwrap().to_string())
/// };
/// assert_eq!(account(Some(StepKind::Plan))?, "reader");
/// assert_eq!(account(Some(StepKind::Apply))?, "deployer");
/// assert_eq!(account(None)?, "deployer");
/// # Ok::<(), config_core::Problems>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum StepKind {
    /// `terraform plan`, of a destruction too.
    Plan,
    /// `terraform apply` and `terraform destroy`.
    Apply,
}

impl StepKind {
    /// Every kind.
    pub const ALL: [Self; 2] = [Self::Plan, Self::Apply];

    /// Returns the suffix of the names of variables for this kind alone.
    #[must_use]
    pub const fn suffix(self) -> &'static str {
        match self {
            Self::Plan => "_PLAN",
            Self::Apply => "_APPLY",
        }
    }
}

impl fmt::Display for StepKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Plan => "plan",
            Self::Apply => "apply",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prints_the_suffix_in_lower_case() {
        for kind in StepKind::ALL {
            assert_eq!(format!("_{kind}").to_uppercase(), kind.suffix());
        }
    }
}
