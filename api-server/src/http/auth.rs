//! Authentication: finds out what a request brings, asks [`super::access`] what that may do, and answers
//! before a byte of the body is read. No address is trusted, not even localhost.

use std::sync::Arc;

use axum::{
    extract::{MatchedPath, RawPathParams, Request, State},
    http::{HeaderMap, header},
    middleware::Next,
    response::Response,
};
use base64::{Engine as _, engine::general_purpose::STANDARD};

use super::{
    access::{Credential, Decision, Route, attempt_route, decide},
    method_not_allowed,
    problem::Problem,
};
use crate::{connections::ConnectionHandle, services::Services, store::AttemptAuth, token::TokenHash};

/// The user who sent a request; handlers extract it.
#[derive(Debug, Clone)]
pub(super) struct User {
    /// Name of the user's token.
    pub(super) name: String,
}

/// Requires the token of a user: `Authorization: Bearer`, or as the password of any user name, which is how
/// Terraform's `http` backend sends it.
///
/// # Errors
/// 401 without a valid token.
pub(super) async fn require_user(
    State(services): State<Arc<Services>>,
    mut request: Request,
    next: Next,
) -> Result<Response, Problem> {
    let headers = request.headers();
    let token = match bearer(headers) {
        Some(token) => Some(token.to_owned()),
        None => basic(headers).map(|(_, password)| password),
    };
    let user = match &token {
        Some(token) => user(&services, token).await?,
        None => None,
    };
    let credential = if user.is_some() { Credential::User } else { Credential::None };
    check(decide(credential, None, false, Route::User), headers)?;
    prove(&request);
    if let Some(user) = user {
        request.extensions_mut().insert(user);
    }
    Ok(next.run(request).await)
}

/// Requires a credential that is good for this request about an attempt. Handlers extract the attempt as
/// [`AttemptAuth`].
///
/// # Errors
/// What [`decide`] decides.
pub(super) async fn require_attempt(
    State(services): State<Arc<Services>>,
    path: MatchedPath,
    parameters: RawPathParams,
    mut request: Request,
    next: Next,
) -> Result<Response, Problem> {
    let tail = path.as_str().rsplit('/').next().unwrap_or_default();
    let Some(route) = attempt_route(request.method(), tail) else {
        return Err(method_not_allowed(request.method().clone()).await);
    };
    let id = parameters.iter().find(|(name, _)| *name == "attempt").map_or("", |(_, id)| id);
    let attempt = services.store.attempt_auth(id).await?;
    let credential = credential(&services, request.headers(), attempt.as_ref()).await?;
    let is_plan = attempt.as_ref().is_some_and(|attempt| attempt.step_type.is_plan());
    let access = attempt.as_ref().map(|attempt| attempt.access);
    check(decide(credential, access, is_plan, route), request.headers())?;
    prove(&request);
    if let Some(attempt) = attempt {
        if credential == Credential::SessionToken {
            services.store.record_contact(&attempt).await?;
        }
        request.extensions_mut().insert(attempt);
    }
    Ok(next.run(request).await)
}

async fn credential(
    services: &Services,
    headers: &HeaderMap,
    attempt: Option<&AttemptAuth>,
) -> Result<Credential, Problem> {
    let Some(token) = bearer(headers) else { return Ok(Credential::None) };
    Ok(match attempt {
        Some(attempt) if attempt.is_claim_token(token) => Credential::ClaimToken,
        Some(attempt) if attempt.is_session_token(token) => Credential::SessionToken,
        _ if user(services, token).await?.is_some() => Credential::User,
        _ => Credential::None,
    })
}

/// Records that the connection of an authorized request is that of a client with a token.
fn prove(request: &Request) {
    if let Some(connection) = request.extensions().get::<ConnectionHandle>() {
        connection.prove();
    }
}

fn check(decision: Decision, headers: &HeaderMap) -> Result<(), Problem> {
    match decision {
        Decision::Allow => Ok(()),
        Decision::Unauthorized => Err(Problem::unauthorized(headers)),
        Decision::Forbidden => Err(Problem::forbidden()),
        Decision::NotFound => Err(Problem::no_attempt()),
        Decision::Gone => Err(Problem::attempt_over()),
    }
}

async fn user(services: &Services, token: &str) -> Result<Option<User>, Problem> {
    Ok(services.store.token_name(&TokenHash::of(token)).await?.map(|name| User { name }))
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
