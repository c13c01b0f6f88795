//! Deliberate bugs, to show that the search finds bugs of their kind.

use super::promises::Promise;

/// Defines the deliberate bugs: what each of them does, and the promise that it breaks.
macro_rules! faults {
    ($($(#[doc = $text:literal])+ $name:ident breaks $promise:ident,)+) => {
        /// One deliberate bug.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub(super) enum Fault {
            $($(#[doc = $text])+ $name,)+
        }

        impl Fault {
            /// Every fault.
            pub(super) const ALL: &'static [Self] = &[$(Self::$name),+];

            /// Returns what the bug does.
            pub(super) const fn description(self) -> &'static str {
                match self { $(Self::$name => concat!($($text),+),)+ }
            }

            /// Returns the promise that the bug is meant to break.
            pub(super) const fn breaks(self) -> Promise {
                match self { $(Self::$name => Promise::$promise,)+ }
            }
        }
    };
}

faults! {
    /// A second executor can claim an attempt.
    SecondClaimWins breaks AppliedOnce,
    /// A claimed apply whose executor vanished is repeated.
    ClaimedApplyIsRepeated breaks AppliedOnce,
    /// The executor applies after its claim was refused.
    RefusedExecutorsGoOn breaks AppliedOnce,
    /// An attempt that was claimed after the decision is closed as one that never was.
    EndForgetsLateClaim breaks AppliedOnce,
    /// The bytes of an approved plan are replaced, and its digest is not compared.
    DigestIsNotCompared breaks AppliedAsApproved,
    /// A plan is applied although the state has changed since.
    MovedStateIsApplied breaks AppliedAsApproved,
    /// A step that waits for an approval counts as approved.
    ApprovalIsSkipped breaks AppliedAsApproved,
    /// An attempt that was given up can be claimed.
    FencedAttemptsAreClaimed breaks DeadIsDead,
    /// A request that was under way when its attempt ended is stored.
    DeadAttemptsWrite breaks DeadIsDead,
    /// The session token of an attempt that has ended is accepted.
    DeadTokensAreAccepted breaks DeadIsDead,
    /// The claim token, which code in a step can read, is good for every request.
    ClaimTokenIsASession breaks LeastPrivilege,
    /// A plan step can write states.
    PlansWriteStates breaks LeastPrivilege,
    /// The loopback address that terraform gets forwards every request, not only those for the state.
    LoopbackForwardsEverything breaks LeastPrivilege,
    /// An apply that was killed is reported as failed.
    KilledApplyIsFailed breaks StatesAreKept,
    /// A state that could not be stored is dropped without a word.
    UnsavedStateIsDropped breaks StatesAreKept,
    /// A request is acknowledged before the transaction commits.
    AcknowledgedBeforeCommit breaks StatesAreKept,
    /// A state with a lower serial, sent earlier and arrived later, becomes the current one.
    OlderStatesWin breaks StatesAreKept,
    /// A state is stored although another writer holds the lock.
    LockIsIgnored breaks StatesAreKept,
    /// A job with an unknown outcome frees its workspace.
    UnknownFreesTheWorkspace breaks WorkspaceIsHeld,
    /// A cancelled job ends before its executor does.
    CancelDoesNotWait breaks WorkspaceIsHeld,
    /// A job starts in a workspace that another one holds.
    LockedWorkspaceIsStarted breaks WorkspaceIsHeld,
    /// A submit that is refused ends an attempt that was claimed after an earlier submit.
    LateRefusalsEndAttempts breaks WorkspaceIsHeld,
    /// The lock of a plan that was lost stays, in the way of the next attempt.
    LostPlansKeepTheirLock breaks WorkspaceIsHeld,
    /// An attempt with an unknown outcome locks the state, in the way of the plan that rechecks it.
    EndedAttemptsLock breaks WorkspaceIsHeld,
    /// Two plans run in one workspace at the same time, and lock each other out.
    PlansRunTogether breaks WorkspaceIsHeld,
    /// A replica that was stopped acts on its old decision.
    StaleReplicasAct breaks OneDecides,
    /// The Kubernetes Job of a claimed attempt is watched only if its submit was recorded.
    ClaimIsNotWatched breaks EveryJobEnds,
    /// A Kubernetes Job that was deleted is waited for.
    VanishedJobsAreNotSeen breaks EveryJobEnds,
    /// A job that waits for its workspace or for a slot is never woken.
    WaitingJobsAreNotWoken breaks EveryJobEnds,
    /// The end of a step or job wakes no job that waits for its place.
    EndsAreNotPassedOn breaks EveryJobEnds,
    /// A plan that may start beside a job that waits for an approval is not seen as waiting for a place.
    PlansBesideAreForgotten breaks EveryJobEnds,
    /// What a job decides is not stored again after an error of the store.
    StoreErrorsEndTheDriver breaks EveryJobEnds,
    /// The oldest job starts first, whatever its organization runs already.
    OrganizationsDoNotTakeTurns breaks QueuesAreFair,
    /// A job that waits for a step in its workspace takes a place all the same.
    BlockedJobsTakePlaces breaks QueuesAreFair,
    /// Two jobs that have seen the same free place both start.
    PlacesAreNotCountedAgain breaks QueuesAreFair,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_promise_has_a_deliberate_bug() {
        for promise in Promise::ALL {
            assert!(Fault::ALL.iter().any(|fault| fault.breaks() == *promise), "{promise:?}");
        }
    }
}
