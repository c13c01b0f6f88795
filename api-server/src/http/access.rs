//! What a credential may do: the one decision, a pure function of the kind of credential, the progress of the
//! attempt and the route.
//!
//! The module `auth` finds out what a request brings, asks here, and answers before the body is read.

use axum::http::Method;

use crate::model::AttemptAccess;

/// What a request brings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Credential {
    /// Nothing, or what is no credential of this route's attempt and of no user.
    None,
    /// The token of a user.
    User,
    /// The claim token of the attempt, which the Kubernetes Job holds.
    ClaimToken,
    /// The session token of the executor that claimed the attempt.
    SessionToken,
}

/// What a request wants.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Route {
    /// The API of users.
    User,
    /// A request of an executor about its attempt.
    Claim,
    /// A sign of life.
    Heartbeat,
    /// Bytes of the log.
    AppendLog,
    /// The plan file that the step has made.
    PutPlan,
    /// The plan file that the step applies.
    GetPlan,
    /// What the plan step leaves behind.
    PutBundle,
    /// What the plan step of an apply has left.
    GetBundle,
    /// An archive of a bundle.
    PutPart,
    /// An archive of a bundle.
    GetPart,
    /// Whether a source is stored.
    FindSource,
    /// The state of the workspace.
    GetState,
    /// A new version of the state.
    PostState,
    /// The lock of the state.
    LockState,
    /// The end of that lock.
    UnlockState,
    /// A state that could not be stored as a version.
    PutRescuedState,
    /// The result of the step.
    Report,
}

/// The answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decision {
    /// The request is handled.
    Allow,
    /// 401: the credential is missing or unknown.
    Unauthorized,
    /// 403: the credential is valid, but not for this.
    Forbidden,
    /// 404: there is no such attempt.
    NotFound,
    /// 410: the attempt is over.
    Gone,
}

/// Decides about a request below the path of an attempt. `attempt` is its progress, `None` if it does not
/// exist. `is_plan` says whether its step only plans: such a step reads the state and changes nothing.
#[must_use]
pub fn decide(
    credential: Credential,
    attempt: Option<AttemptAccess>,
    is_plan: bool,
    route: Route,
) -> Decision {
    match (credential, attempt) {
        // Only a user learns that an attempt does not exist.
        (Credential::User, None) if route != Route::User => Decision::NotFound,
        (Credential::User, _) if route == Route::User => Decision::Allow,
        (Credential::User, Some(_)) => Decision::Forbidden,
        (Credential::None, _) | (_, None) => Decision::Unauthorized,
        (_, Some(_)) if route == Route::User => Decision::Unauthorized,
        (Credential::ClaimToken, Some(attempt)) => with_claim_token(attempt, route),
        (Credential::SessionToken, Some(attempt)) => with_session_token(attempt, is_plan, route),
    }
}

fn with_claim_token(attempt: AttemptAccess, route: Route) -> Decision {
    match (attempt, route) {
        (AttemptAccess::Reported | AttemptAccess::Ended, _) => Decision::Gone,
        // The executor that has claimed the attempt repeats its claim; another one is told so.
        (AttemptAccess::Unclaimed | AttemptAccess::Live, Route::Claim) => Decision::Allow,
        (AttemptAccess::Unclaimed | AttemptAccess::Live, _) => Decision::Forbidden,
    }
}

fn with_session_token(attempt: AttemptAccess, is_plan: bool, route: Route) -> Decision {
    match (attempt, route) {
        // The same report again is acknowledged, another one is a conflict; nothing is stored.
        (AttemptAccess::Reported, Route::Report) => Decision::Allow,
        (AttemptAccess::Reported | AttemptAccess::Ended, _) => Decision::Gone,
        // There is no session before the claim.
        (AttemptAccess::Unclaimed, _) => Decision::Unauthorized,
        (AttemptAccess::Live, Route::Claim | Route::User) => Decision::Forbidden,
        (AttemptAccess::Live, Route::PostState | Route::PutRescuedState) if is_plan => Decision::Forbidden,
        (AttemptAccess::Live, _) => Decision::Allow,
    }
}

/// Returns what a method on a path below an attempt wants; `None` if there is no such route.
pub(super) fn attempt_route(method: &Method, tail: &str) -> Option<Route> {
    Some(match (method.as_str(), tail) {
        ("POST", "claim") => Route::Claim,
        ("POST", "heartbeat") => Route::Heartbeat,
        ("POST", "log") => Route::AppendLog,
        ("PUT", "plan") => Route::PutPlan,
        ("GET" | "HEAD", "plan") => Route::GetPlan,
        ("PUT", "bundle") => Route::PutBundle,
        ("GET" | "HEAD", "bundle") => Route::GetBundle,
        ("PUT", "part") => Route::PutPart,
        ("GET" | "HEAD", "part") => Route::GetPart,
        ("GET" | "HEAD", "source") => Route::FindSource,
        ("GET" | "HEAD", "state") => Route::GetState,
        ("POST", "state") => Route::PostState,
        ("LOCK", "state") => Route::LockState,
        ("UNLOCK", "state") => Route::UnlockState,
        ("PUT", "rescued-state") => Route::PutRescuedState,
        ("POST", "result") => Route::Report,
        _ => return None,
    })
}

#[cfg(test)]
mod tests;
