//! Authentication: users by their token, executors by the token of their attempt.
//!
//! Every route below `/v1` requires [`require_user`]. Routes of attempts and states check for themselves,
//! because they accept other credentials, too. No address is trusted, not even localhost.

use std::sync::Arc;

use axum::{
    extract::{Request, State},
    http::{HeaderMap, header},
    middleware::Next,
    response::Response,
};
use base64::{Engine as _, engine::general_purpose::STANDARD};

use super::problem::Problem;
use crate::{
    services::Services,
    store::{AttemptAuth, StateWriter},
    token::TokenHash,
};

/// Requires the token of a user.
///
/// # Errors
/// 401 without a valid token.
pub(super) async fn require_user(
    State(services): State<Arc<Services>>,
    request: Request,
    next: Next,
) -> Result<Response, Problem> {
    let token = bearer(request.headers()).ok_or_else(Problem::unauthorized)?;
    check_user(&services, token).await?;
    Ok(next.run(request).await)
}

/// Requires the token of this attempt.
///
/// # Errors
/// 401 without a valid token.
pub(super) async fn require_attempt(
    services: &Services,
    headers: &HeaderMap,
    attempt_id: &str,
) -> Result<AttemptAuth, Problem> {
    let token = bearer(headers).ok_or_else(Problem::unauthorized)?;
    services.store.authenticate_attempt(attempt_id, token).await?.ok_or_else(Problem::unauthorized)
}

/// Requires credentials for the state of a workspace: those of an attempt on it (its id as user name, its
/// token as password) or of a user (bearer token, or any user name with the token as password).
///
/// # Errors
/// 401 without valid credentials, and for an attempt of another workspace.
pub(super) async fn require_state_access(
    services: &Services,
    headers: &HeaderMap,
    workspace_id: &str,
) -> Result<StateWriter, Problem> {
    if let Some(token) = bearer(headers) {
        check_user(services, token).await?;
        return Ok(StateWriter::User);
    }
    let (name, password) = basic(headers).ok_or_else(Problem::unauthorized)?;
    match services.store.authenticate_attempt(&name, &password).await? {
        Some(attempt) if attempt.workspace_id == workspace_id => Ok(StateWriter::Attempt(attempt.id)),
        Some(_) => Err(Problem::unauthorized()),
        None => {
            check_user(services, &password).await?;
            Ok(StateWriter::User)
        }
    }
}

async fn check_user(services: &Services, token: &str) -> Result<(), Problem> {
    match services.store.token_name(&TokenHash::of(token)).await? {
        Some(_) => Ok(()),
        None => Err(Problem::unauthorized()),
    }
}

/// Returns the credentials of a scheme, whose name is not case-sensitive.
fn credentials<'a>(headers: &'a HeaderMap, scheme: &str) -> Option<&'a str> {
    let (found, rest) = headers.get(header::AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    found.eq_ignore_ascii_case(scheme).then(|| rest.trim())
}

fn bearer(headers: &HeaderMap) -> Option<&str> {
    credentials(headers, "Bearer")
}

fn basic(headers: &HeaderMap) -> Option<(String, String)> {
    let decoded = STANDARD.decode(credentials(headers, "Basic")?).ok()?;
    let text = String::from_utf8(decoded).ok()?;
    let (name, password) = text.split_once(':')?;
    Some((name.to_owned(), password.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(value: &str) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(header::AUTHORIZATION, value.parse().unwrap());
        headers
    }

    #[test]
    fn reads_credentials_by_scheme() {
        assert_eq!(bearer(&headers("Bearer abc")), Some("abc"));
        assert_eq!(bearer(&headers("bearer  abc ")), Some("abc"));
        assert_eq!(bearer(&headers("Basic abc")), None);
        assert_eq!(bearer(&headers("Bearer")), None);
        assert_eq!(bearer(&HeaderMap::new()), None);
        assert_eq!(basic(&headers("Basic YTpiOmM=")), Some(("a".to_owned(), "b:c".to_owned())));
        assert_eq!(basic(&headers("Basic ???")), None);
    }
}
