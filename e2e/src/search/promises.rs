//! The promises of the product, and how one of them was broken.

/// Defines the promises with their texts.
macro_rules! promises {
    ($($(#[doc = $text:literal])+ $name:ident,)+) => {
        /// A promise.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub(super) enum Promise {
            $($(#[doc = $text])+ $name,)+
        }

        impl Promise {
            /// Every promise.
            #[cfg(test)]
            pub(super) const ALL: &'static [Self] = &[$(Self::$name),+];

            /// Returns the promise in words.
            pub(super) const fn description(self) -> &'static str {
                match self { $(Self::$name => concat!($($text),+),)+ }
            }
        }
    };
}

promises! {
    /// A step that changes infrastructure is claimed once, and only its claimant changes anything.
    AppliedOnce,
    /// What is applied is what was approved, from the state that it was planned from.
    AppliedAsApproved,
    /// No request of an attempt that has ended is accepted.
    DeadIsDead,
    /// Code in a step reaches the state of its workspace as terraform does, and nothing else.
    LeastPrivilege,
    /// Every state that terraform managed to write exists afterwards, or the job is unknown.
    StatesAreKept,
    /// No workspace is free, or used by another job, while a pod may change it.
    WorkspaceIsHeld,
    /// Every job ends or waits for a user, says why it waits, and goes on as soon as it may.
    EveryJobEnds,
    /// Limits hold, and organizations take turns.
    QueuesAreFair,
    /// A replica acts on no decision about a job that another one has taken.
    OneDecides,
}

/// How a promise was broken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Violation {
    pub(super) promise: Promise,
    pub(super) detail: String,
}

impl std::fmt::Display for Violation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} ({:?}:{})", self.detail, self.promise, self.promise.description())
    }
}
