//! Deliberate bugs, to show that the search finds bugs of their kind.

/// One deliberate bug.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fault {
    /// A second executor can claim an attempt.
    SecondClaimWins,
    /// An attempt that was given up can be claimed.
    FencedAttemptsAreClaimed,
    /// An attempt that was claimed after the decision is closed as one that never was.
    EndForgetsLateClaim,
    /// A job with an unknown outcome frees its workspace.
    UnknownFreesTheWorkspace,
    /// A replica that was stopped acts on its old decision.
    StaleReplicasAct,
    /// An attempt that has ended still writes.
    DeadAttemptsWrite,
    /// The claim token, which code in a step can read, is good for every request.
    ClaimTokenIsASession,
    /// A plan step can write states.
    PlansWriteStates,
    /// A plan that was not approved is applied.
    DigestIsNotCompared,
    /// A plan is applied although the state has changed since.
    MovedStateIsApplied,
    /// An apply that was killed is reported as failed.
    KilledApplyIsFailed,
    /// A state that could not be stored is dropped without a word.
    UnsavedStateIsDropped,
    /// A claimed apply whose executor vanished is repeated.
    ClaimedApplyIsRepeated,
    /// A cancelled job ends before its executor does.
    CancelDoesNotWait,
    /// A submit is recorded before it happens.
    SubmitIsRecordedFirst,
    /// A job starts in a workspace that another one holds.
    LockedWorkspaceIsStarted,
    /// A state is stored although another writer holds the lock.
    LockIsIgnored,
    /// The executor applies after its claim was refused.
    RefusedExecutorsGoOn,
}

impl Fault {
    /// Every fault.
    pub(super) const ALL: [Self; 18] = [
        Self::SecondClaimWins,
        Self::FencedAttemptsAreClaimed,
        Self::EndForgetsLateClaim,
        Self::UnknownFreesTheWorkspace,
        Self::StaleReplicasAct,
        Self::DeadAttemptsWrite,
        Self::ClaimTokenIsASession,
        Self::PlansWriteStates,
        Self::DigestIsNotCompared,
        Self::MovedStateIsApplied,
        Self::KilledApplyIsFailed,
        Self::UnsavedStateIsDropped,
        Self::ClaimedApplyIsRepeated,
        Self::CancelDoesNotWait,
        Self::SubmitIsRecordedFirst,
        Self::LockedWorkspaceIsStarted,
        Self::LockIsIgnored,
        Self::RefusedExecutorsGoOn,
    ];
}
