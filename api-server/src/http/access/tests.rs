//! The table of credential, progress of the attempt, and route. Every combination is in it.

use super::{
    Credential::{ClaimToken, None as Nothing, SessionToken, User},
    Decision::{Allow, Forbidden, Gone, NotFound, Unauthorized},
    *,
};
use crate::model::AttemptAccess::{Ended, Live, Reported, Unclaimed};

const ROUTES: [Route; 17] = [
    Route::User,
    Route::Claim,
    Route::Heartbeat,
    Route::AppendLog,
    Route::PutPlan,
    Route::GetPlan,
    Route::PutBundle,
    Route::GetBundle,
    Route::PutPart,
    Route::GetPart,
    Route::FindSource,
    Route::GetState,
    Route::PostState,
    Route::LockState,
    Route::UnlockState,
    Route::PutRescuedState,
    Route::Report,
];

/// Columns: user, claim, heartbeat, log, put plan, get plan, put bundle, get bundle, put part, get part,
/// source, get state, post state, lock, unlock, rescued state, report. `+` allow, `1` 401, `3` 403, `4` 404, `0` 410.
#[rustfmt::skip]
const TABLE: &[(Credential, Option<AttemptAccess>, &str)] = &[
    (Nothing,      None,            "1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1"),
    (Nothing,      Some(Unclaimed), "1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1"),
    (Nothing,      Some(Live),      "1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1"),
    (Nothing,      Some(Reported),  "1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1"),
    (Nothing,      Some(Ended),     "1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1"),
    (User,         None,            "+ 4 4 4 4 4 4 4 4 4 4 4 4 4 4 4 4"),
    (User,         Some(Unclaimed), "+ 3 3 3 3 3 3 3 3 3 3 3 3 3 3 3 3"),
    (User,         Some(Live),      "+ 3 3 3 3 3 3 3 3 3 3 3 3 3 3 3 3"),
    (User,         Some(Reported),  "+ 3 3 3 3 3 3 3 3 3 3 3 3 3 3 3 3"),
    (User,         Some(Ended),     "+ 3 3 3 3 3 3 3 3 3 3 3 3 3 3 3 3"),
    (ClaimToken,   None,            "1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1"),
    (ClaimToken,   Some(Unclaimed), "1 + 3 3 3 3 3 3 3 3 3 3 3 3 3 3 3"),
    (ClaimToken,   Some(Live),      "1 + 3 3 3 3 3 3 3 3 3 3 3 3 3 3 3"),
    (ClaimToken,   Some(Reported),  "1 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0"),
    (ClaimToken,   Some(Ended),     "1 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0"),
    (SessionToken, None,            "1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1"),
    (SessionToken, Some(Unclaimed), "1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1"),
    (SessionToken, Some(Live),      "1 3 + + + + + + + + + + + + + + +"),
    (SessionToken, Some(Reported),  "1 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 +"),
    (SessionToken, Some(Ended),     "1 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0"),
];

#[test]
fn decides_by_credential_progress_and_route() {
    for (credential, attempt, row) in TABLE {
        let expected = row.split(' ').map(|cell| match cell {
            "+" => Allow,
            "1" => Unauthorized,
            "3" => Forbidden,
            "4" => NotFound,
            "0" => Gone,
            other => panic!("unknown cell {other:?}"),
        });
        let found: Vec<_> = ROUTES.iter().map(|route| decide(*credential, *attempt, false, *route)).collect();
        assert_eq!(found, expected.collect::<Vec<_>>(), "{credential:?}, {attempt:?}");
    }
    let attempts = AttemptAccess::ALL.map(Some).into_iter().chain([None]).count();
    assert_eq!(TABLE.len(), attempts * 4, "every combination has a row");
}

#[test]
fn plan_step_reads_and_locks_the_state_but_does_not_write_it() {
    for route in ROUTES {
        let expected = match route {
            Route::PostState | Route::PutRescuedState => Forbidden,
            route => decide(SessionToken, Some(Live), false, route),
        };
        assert_eq!(decide(SessionToken, Some(Live), true, route), expected, "{route:?}");
    }
    // A dead attempt is gone whatever its step was.
    assert_eq!(decide(SessionToken, Some(Ended), true, Route::PostState), Gone);
}
