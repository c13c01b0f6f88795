//! The way of a request into the server: trouble, rights, the answer, and trouble again.

use std::{future::Future, time::Duration};

use http::request::Parts;
use serde_json::{Value, json};

use super::{
    ApiServer, Request, Seen, Trouble,
    answer::{self, Answer},
    handle,
    request::{Asked, NotUnderstood, Verb},
};

/// Where one asks what one may do.
const AUTHORIZATION: &str = "/apis/authorization.k8s.io/v1/";

impl ApiServer {
    /// Answers a request, or breaks the connection.
    ///
    /// Whoever gives up does not undo the request: it goes on without him, as in a real server.
    pub(super) fn receive(
        &self,
        head: &Parts,
        body: &[u8],
    ) -> impl Future<Output = Result<Answer, &'static str>> + use<> {
        let server = self.clone();
        let method = head.method.clone();
        let path = head.uri.path().to_owned();
        let asked = Asked::read(&method, &path, head.uri.query().unwrap_or_default());
        let given =
            head.headers.get("authorization").and_then(|value| value.to_str().ok()).map(str::to_owned);
        let body = body.to_vec();
        let task = tokio::spawn(async move { server.carry_out(asked, given.as_deref(), &path, &body).await });
        async move { task.await.unwrap_or(Err("the double has panicked")) }
    }

    async fn carry_out(
        &self,
        asked: Result<Asked, NotUnderstood>,
        given: Option<&str>,
        path: &str,
        body: &[u8],
    ) -> Result<Answer, &'static str> {
        const CUT: &str = "connection reset by peer";
        let trouble = self.decide(asked.as_ref().ok(), path)?;
        pause(trouble.late).await;
        let refused = self.refuse(asked.as_ref().ok(), given);
        let answer = match (refused, &asked) {
            _ if trouble.lost => None,
            (Some(refusal), _) => Some(refusal),
            (None, Ok(asked)) => {
                let mut store = self.store();
                if trouble.twice {
                    drop(handle::answer(&mut store, asked, body));
                }
                Some(handle::answer(&mut store, asked, body))
            }
            (None, Err(problem)) => Some(self.other(*problem, path, body)),
        };
        pause(trouble.answer_late).await;
        match (trouble.seen, answer) {
            (Seen::Answer, Some(answer)) => Ok(answer),
            (Seen::Refusal(429), _) => Ok(answer::too_many_requests()),
            (Seen::Refusal(code), _) => Ok(in_trouble(code)),
            (Seen::Answer | Seen::Cut, _) => Err(CUT),
        }
    }

    fn decide(&self, asked: Option<&Asked>, path: &str) -> Result<Trouble, &'static str> {
        let decide = {
            let manner = self.manner();
            if manner.away {
                return Err("connection refused");
            }
            manner.trouble.clone()
        };
        let request = match asked {
            Some(Asked { verb, resource, name, .. }) => {
                Some(Request { verb: *verb, resource: resource.plural.clone(), name: name.clone() })
            }
            None => path.strip_prefix(AUTHORIZATION).map(|plural| Request {
                verb: Verb::Create,
                resource: plural.to_owned(),
                name: String::new(),
            }),
        };
        Ok(decide.zip(request).map(|(decide, request)| decide(&request)).unwrap_or_default())
    }

    /// Refuses those who may not ask; fixtures `unauthorized-401` and `forbidden-403`.
    fn refuse(&self, asked: Option<&Asked>, given: Option<&str>) -> Option<Answer> {
        let manner = self.manner();
        let wanted = manner.token.as_ref().map(|token| format!("Bearer {token}"));
        if wanted.as_deref().is_some_and(|wanted| given != Some(wanted)) {
            return Some(answer::status(401, "Unauthorized", "Unauthorized", Value::Null));
        }
        let asked = asked.filter(|it| manner.forbidden.contains(&(it.verb, it.resource.plural.clone())))?;
        let resource = &asked.resource;
        let which = if asked.name.is_empty() { String::new() } else { format!(" {:?}", asked.name) };
        let message = format!(
            "{}{which} is forbidden: User \"system:serviceaccount:terrakube:terrakube-api-service-account\" cannot {} resource {:?} in API group {:?} in the namespace {:?}",
            resource.qualified(),
            asked.verb,
            resource.plural,
            resource.group,
            asked.namespace
        );
        Some(answer::status(403, "Forbidden", &message, resource.details(&asked.name, &resource.plural)))
    }

    /// Answers what is asked of no object: which rights one has, or nothing that is known.
    fn other(&self, problem: NotUnderstood, path: &str, body: &[u8]) -> Answer {
        if path.strip_prefix(AUTHORIZATION) == Some("selfsubjectaccessreviews") {
            let mut review: Value = serde_json::from_slice(body).unwrap_or_default();
            let wanted = &review["spec"]["resourceAttributes"];
            let forbidden = &self.manner().forbidden;
            let denied = forbidden
                .iter()
                .any(|(verb, plural)| wanted["verb"] == verb.to_string() && wanted["resource"] == *plural);
            review["status"] = json!({"allowed": !denied});
            return answer::object(201, &review);
        }
        match problem {
            NotUnderstood::Group => answer::text(404, "404 page not found\n"),
            NotUnderstood::Resource => {
                let message = "the server could not find the requested resource";
                answer::status(404, "NotFound", message, json!({}))
            }
        }
    }
}

fn in_trouble(code: u16) -> Answer {
    let (reason, message) = match code {
        503 => ("ServiceUnavailable", "the server is currently unable to handle the request"),
        504 => ("Timeout", "Timeout: request did not complete within the allotted timeout"),
        _ => ("InternalError", "Internal error occurred: etcdserver: leader changed"),
    };
    answer::status(code, reason, message, Value::Null)
}

async fn pause(time: Duration) {
    if !time.is_zero() {
        tokio::time::sleep(time).await;
    }
}
