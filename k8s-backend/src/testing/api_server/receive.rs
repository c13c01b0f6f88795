//! Receives a request: applies its fault, checks rights, handles it, and applies the fault to the response.

use std::{future::Future, time::Duration};

use http::request::Parts;
use serde_json::{Value, json};

use super::{
    ApiServer, Fault, Request, ResponseFault, handle,
    request::{ParsedRequest, UnknownRequest, Verb},
    response::{self, ServerResponse},
};

/// Path of access reviews.
const AUTHORIZATION: &str = "/apis/authorization.k8s.io/v1/";

impl ApiServer {
    /// Returns the response to a request, or the error of a broken connection.
    ///
    /// A client that stops waiting does not undo the request, as with a real server.
    pub(super) fn receive(
        &self,
        head: &Parts,
        body: &[u8],
    ) -> impl Future<Output = Result<ServerResponse, &'static str>> + use<> {
        let server = self.clone();
        let method = head.method.clone();
        let path = head.uri.path().to_owned();
        let request = ParsedRequest::parse(&method, &path, head.uri.query().unwrap_or_default());
        let credentials =
            head.headers.get("authorization").and_then(|value| value.to_str().ok()).map(str::to_owned);
        let body = body.to_vec();
        let task =
            tokio::spawn(
                async move { server.carry_out(request, credentials.as_deref(), &path, &body).await },
            );
        async move { task.await.unwrap_or(Err("the server in memory has panicked")) }
    }

    async fn carry_out(
        &self,
        request: Result<ParsedRequest, UnknownRequest>,
        credentials: Option<&str>,
        path: &str,
        body: &[u8],
    ) -> Result<ServerResponse, &'static str> {
        const RESET: &str = "connection reset by peer";
        let fault = self.fault_of(request.as_ref().ok(), path)?;
        delay(fault.request_delay).await;
        let refused = self.refuse(request.as_ref().ok(), credentials);
        let response = match (refused, &request) {
            _ if fault.lost => None,
            (Some(refusal), _) => Some(refusal),
            (None, Ok(request)) => {
                let mut store = self.store();
                if fault.duplicated {
                    drop(handle::handle(&mut store, request, body));
                }
                Some(handle::handle(&mut store, request, body))
            }
            (None, Err(problem)) => Some(self.handle_other(*problem, path, body)),
        };
        delay(fault.response_delay).await;
        match (fault.response, response) {
            (ResponseFault::None, Some(response)) => Ok(response),
            (ResponseFault::Refusal(429), _) => Ok(response::too_many_requests()),
            (ResponseFault::Refusal(code), _) => Ok(failing(code)),
            (ResponseFault::None | ResponseFault::ConnectionReset, _) => Err(RESET),
        }
    }

    fn fault_of(&self, request: Option<&ParsedRequest>, path: &str) -> Result<Fault, &'static str> {
        let decide = {
            let behavior = self.behavior();
            if behavior.unavailable {
                return Err("connection refused");
            }
            behavior.faults.clone()
        };
        let described = match request {
            Some(ParsedRequest { verb, resource, name, .. }) => {
                Some(Request { verb: *verb, resource: resource.plural.clone(), name: name.clone() })
            }
            None => path.strip_prefix(AUTHORIZATION).map(|plural| Request {
                verb: Verb::Create,
                resource: plural.to_owned(),
                name: String::new(),
            }),
        };
        Ok(decide.zip(described).map(|(decide, request)| decide(&request)).unwrap_or_default())
    }

    /// Refuses a client without the right; fixtures `unauthorized-401` and `forbidden-403`.
    fn refuse(&self, request: Option<&ParsedRequest>, credentials: Option<&str>) -> Option<ServerResponse> {
        let behavior = self.behavior();
        let wanted = behavior.token.as_ref().map(|token| format!("Bearer {token}"));
        if wanted.as_deref().is_some_and(|wanted| credentials != Some(wanted)) {
            return Some(response::status(401, "Unauthorized", "Unauthorized", Value::Null));
        }
        let request =
            request.filter(|it| behavior.forbidden.contains(&(it.verb, it.resource.plural.clone())))?;
        let resource = &request.resource;
        let which = if request.name.is_empty() { String::new() } else { format!(" {:?}", request.name) };
        let message = format!(
            "{}{which} is forbidden: User \"system:serviceaccount:terrakube:terrakube-api-service-account\" \
             cannot {} resource {:?} in API group {:?} in the namespace {:?}",
            resource.qualified(),
            request.verb,
            resource.plural,
            resource.group,
            request.namespace
        );
        Some(response::status(403, "Forbidden", &message, resource.details(&request.name, &resource.plural)))
    }

    /// Handles a request on no object of this server: an access review, or an unknown path.
    fn handle_other(&self, problem: UnknownRequest, path: &str, body: &[u8]) -> ServerResponse {
        if path.strip_prefix(AUTHORIZATION) == Some("selfsubjectaccessreviews") {
            let mut review: Value = serde_json::from_slice(body).unwrap_or_default();
            let wanted = &review["spec"]["resourceAttributes"];
            let forbidden = &self.behavior().forbidden;
            let denied = forbidden
                .iter()
                .any(|(verb, plural)| wanted["verb"] == verb.to_string() && wanted["resource"] == *plural);
            review["status"] = json!({"allowed": !denied});
            return response::object(201, &review);
        }
        match problem {
            UnknownRequest::Group => response::text(404, "404 page not found\n"),
            UnknownRequest::Resource => {
                let message = "the server could not find the requested resource";
                response::status(404, "NotFound", message, json!({}))
            }
        }
    }
}

fn failing(code: u16) -> ServerResponse {
    let (reason, message) = match code {
        503 => ("ServiceUnavailable", "the server is currently unable to handle the request"),
        504 => ("Timeout", "Timeout: request did not complete within the allotted timeout"),
        _ => ("InternalError", "Internal error occurred: etcdserver: leader changed"),
    };
    response::status(code, reason, message, Value::Null)
}

async fn delay(delay: Duration) {
    if !delay.is_zero() {
        tokio::time::sleep(delay).await;
    }
}
