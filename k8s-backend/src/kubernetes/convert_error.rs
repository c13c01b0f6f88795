//! Converts errors of the Kubernetes client.
//!
//! The client's errors contain the text of their source and expose it as source too; converted errors say
//! everything once.

use kube::{
    core::{Status, response::StatusCause},
    runtime::watcher,
};

use crate::error::{Action, BackendError, BoxError, ErrorKind};

/// The API server refused a request.
#[derive(Debug, thiserror::Error)]
#[error("the API server responded with {code}: {message}{advice}")]
struct Refused {
    code: u16,
    message: String,
    advice: String,
}

/// There was no readable response; the request may have been carried out.
#[derive(Debug, thiserror::Error)]
#[error("the API server did not respond")]
struct NoResponse(#[source] BoxError);

/// Converts an error of a request.
pub(super) fn convert(action: Action, job: &str, error: kube::Error) -> BackendError {
    let (kind, source): (_, BoxError) = match error {
        kube::Error::Api(status) => return refused(action, job, *status),
        kube::Error::Service(error) => (ErrorKind::Unavailable, Box::new(NoResponse(error))),
        kube::Error::HyperError(error) => (ErrorKind::Unavailable, Box::new(NoResponse(error.into()))),
        kube::Error::ReadEvents(error) => (ErrorKind::Unavailable, Box::new(NoResponse(error.into()))),
        kube::Error::SerdeError(error) => (ErrorKind::Unavailable, Box::new(NoResponse(error.into()))),
        kube::Error::FromUtf8(error) => (ErrorKind::Unavailable, Box::new(NoResponse(error.into()))),
        // The rest are faults of the configuration. They become plain text, because it contains their
        // sources.
        error @ kube::Error::Auth(_) => (ErrorKind::Forbidden, error.to_string().into()),
        error => (ErrorKind::Internal, error.to_string().into()),
    };
    BackendError::new(kind, action, job, source)
}

/// Converts an error of the watcher; `None` for one that the watcher recovers from by itself.
pub(super) fn convert_watch(job: &str, error: watcher::Error) -> Option<BackendError> {
    match error {
        // The resource version is too old: the watcher lists again.
        watcher::Error::WatchError(status) if status.code == 410 => None,
        // The stream broke: the watcher opens another one, and a failure of that is another error.
        watcher::Error::WatchFailed(_) => None,
        watcher::Error::InitialListFailed(error) | watcher::Error::WatchStartFailed(error) => {
            Some(convert(Action::Watch, job, error))
        }
        watcher::Error::WatchError(status) => Some(refused(Action::Watch, job, *status)),
        error @ watcher::Error::NoResourceVersion => {
            Some(BackendError::new(ErrorKind::Internal, Action::Watch, job, error.to_string()))
        }
    }
}

fn refused(action: Action, job: &str, status: Status) -> BackendError {
    let Status { code, message, reason, details, .. } = status;
    let kind = match code {
        409 if reason == "AlreadyExists" => ErrorKind::Conflict,
        400 | 413 | 415 | 422 => ErrorKind::Invalid,
        // An exceeded quota may be free again in a moment, a webhook may be repaired, a namespace created. A
        // 404 about the Job itself does not come here.
        403 if message.contains("exceeded quota") => ErrorKind::Refused,
        500 if message.contains("failed calling webhook") => ErrorKind::Refused,
        404 if message.starts_with("namespaces ") => ErrorKind::Refused,
        401 | 403 => ErrorKind::Forbidden,
        // A conflict with another client passes, a failing server recovers.
        404 | 408 | 409 | 410 | 429 | 500..=599 => ErrorKind::Unavailable,
        _ => ErrorKind::Internal,
    };
    let message = if message.is_empty() { reason } else { message };
    let causes = details.map(|details| details.causes).unwrap_or_default();
    let advice = match code {
        401 => "; the token of this program is invalid or has expired".to_owned(),
        403 => missing_rule(&message).unwrap_or_default(),
        _ => causes_not_in(&message, &causes),
    };
    BackendError::new(kind, action, job, Refused { code, message: message.trim_end().to_owned(), advice })
}

/// Returns the causes that the message does not contain, each with its field.
fn causes_not_in(message: &str, causes: &[StatusCause]) -> String {
    let missing = causes.iter().filter(|cause| !message.contains(&cause.message));
    let texts =
        missing.map(
            |StatusCause { field, message, .. }| {
                if field.is_empty() { format!("; {message}") } else { format!("; {field}: {message}") }
            },
        );
    texts.collect()
}

/// Returns the rule that a Role lacks. The server names it in a fixed sentence (fixture `forbidden-403`):
/// `cannot VERB resource "R" in API group "G" in the namespace "N"`.
fn missing_rule(message: &str) -> Option<String> {
    let (_, right) = message.split_once(" cannot ")?;
    let (verb, rest) = right.split_once(" resource \"")?;
    let (resource, rest) = rest.split_once("\" in API group \"")?;
    let (group, rest) = rest.split_once('"')?;
    let namespace = rest.strip_prefix(" in the namespace \"").and_then(|rest| rest.split('"').next());
    let role =
        namespace.map_or_else(|| "a ClusterRole".to_owned(), |it| format!("its Role in namespace {it:?}"));
    Some(format!(
        "; the right to {verb} {resource} is missing, add to {role}: {{apiGroups: [{group:?}], resources: \
         [{resource:?}], verbs: [{verb:?}]}}"
    ))
}

#[cfg(test)]
mod tests {
    use std::error::Error as _;

    use super::*;

    fn api(code: u16, reason: &str, message: &str) -> kube::Error {
        kube::Error::Api(Status::failure(message, reason).with_code(code).boxed())
    }

    #[test]
    fn every_status_has_a_kind() {
        for (action, code, reason, message, kind) in [
            (Action::Submit, 400, "BadRequest", "strict decoding error", ErrorKind::Invalid),
            (Action::Submit, 401, "Unauthorized", "Unauthorized", ErrorKind::Forbidden),
            (Action::Submit, 403, "Forbidden", "jobs.batch is forbidden", ErrorKind::Forbidden),
            (Action::Submit, 403, "Forbidden", "exceeded quota: jobs", ErrorKind::Refused),
            (Action::Submit, 404, "NotFound", "namespaces \"terrakube\" not found", ErrorKind::Refused),
            (Action::Watch, 404, "NotFound", "page not found", ErrorKind::Unavailable),
            (
                Action::Submit,
                409,
                "AlreadyExists",
                "jobs.batch \"job-1\" already exists",
                ErrorKind::Conflict,
            ),
            (Action::Cancel, 409, "Conflict", "the object has been modified", ErrorKind::Unavailable),
            (Action::Submit, 422, "Invalid", "spec.template: Required value", ErrorKind::Invalid),
            (Action::Submit, 429, "", "Too many requests, please try again later.\n", ErrorKind::Unavailable),
            (Action::Submit, 500, "InternalError", "failed calling webhook", ErrorKind::Refused),
            (Action::Submit, 500, "InternalError", "etcdserver: request timed out", ErrorKind::Unavailable),
            (Action::Submit, 504, "Timeout", "request did not complete", ErrorKind::Unavailable),
            (Action::Submit, 302, "", "moved", ErrorKind::Internal),
        ] {
            assert_eq!(convert(action, "job-1", api(code, reason, message)).kind, kind, "{code} {message}");
        }
    }

    #[test]
    fn error_chain_says_everything_once() {
        let error = convert(Action::Submit, "job-1", api(403, "Forbidden", "jobs.batch is forbidden"));
        assert_eq!(error.to_string(), "could not submit Kubernetes Job \"job-1\"");
        let source = error.source().unwrap();
        assert_eq!(source.to_string(), "the API server responded with 403: jobs.batch is forbidden");
        assert!(source.source().is_none());

        let error = convert(Action::Watch, "job-1", kube::Error::Service("connection refused".into()));
        let source = error.source().unwrap();
        assert_eq!(source.to_string(), "the API server did not respond");
        assert_eq!(source.source().unwrap().to_string(), "connection refused");
    }

    #[test]
    fn errors_that_the_watcher_recovers_from_are_none() {
        let expired = Status::failure("too old resource version", "Expired").with_code(410).boxed();
        assert!(convert_watch("job-1", watcher::Error::WatchError(expired)).is_none());
        assert!(
            convert_watch("job-1", watcher::Error::WatchFailed(kube::Error::Service("cut".into()))).is_none()
        );
        let away = watcher::Error::WatchStartFailed(kube::Error::Service("connection refused".into()));
        assert_eq!(convert_watch("job-1", away).unwrap().kind, ErrorKind::Unavailable);
    }

    /// Reads a recorded refusal, as the client does.
    fn recorded(situation: &str, what: &str) -> String {
        let path = format!("{}/tests/fixtures/requests/{situation}.ndjson", env!("CARGO_MANIFEST_DIR"));
        let text = std::fs::read_to_string(path).unwrap();
        let lines = text.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
        let step = lines.into_iter().find(|step| step["what"] == what).unwrap();
        let status: Status = serde_json::from_value(step["answer"]["body"].clone()).unwrap();
        let error = convert(Action::Submit, "job-1", kube::Error::Api(status.boxed()));
        format!("{:?}: {}", error.kind, error.source)
    }

    #[test]
    fn missing_right_comes_with_the_rule_that_grants_it() {
        let text = recorded("forbidden-403", "10-create-job-other-namespace");
        let rule = "; the right to create jobs is missing, add to its Role in namespace \"default\": \
            {apiGroups: [\"batch\"], resources: [\"jobs\"], verbs: [\"create\"]}";
        assert!(
            text.starts_with("Forbidden: the API server responded with 403: jobs.batch is forbidden")
                && text.ends_with(rule),
            "{text}"
        );
        let text = recorded("forbidden-403", "08-list-jobs-all-namespaces");
        assert!(text.contains("add to a ClusterRole"), "{text}");
    }

    #[test]
    fn refusals_keep_the_message_of_the_server() {
        for (situation, what, expected) in [
            (
                "quota-count-jobs-403",
                "02-create-second",
                "Refused: the API server responded with 403: jobs.batch \"job-1304-100-1\" is forbidden: \
                 exceeded quota: limits, requested: count/jobs.batch=1, used: count/jobs.batch=1, limited: \
                 count/jobs.batch=1",
            ),
            (
                "admission-policy-422",
                "03-create-denied",
                "Invalid: the API server responded with 422: jobs.batch \"job-1307-100-1\" is forbidden: \
                 ValidatingAdmissionPolicy 'approved-images' with binding 'approved-images' denied request: \
                 image localhost/busybox:1 is not from registry.example.com",
            ),
            (
                "admission-webhook-down-500",
                "02-create",
                "Refused: the API server responded with 500: Internal error occurred: failed calling \
                 webhook \"image-policy.example.com\": failed to call webhook: \
                 Post \"https://image-policy.policy.svc:443/validate?timeout=2s\": \
                 service \"image-policy\" not found",
            ),
            (
                "namespace-terminating-403",
                "04-create",
                "Forbidden: the API server responded with 403: jobs.batch \"job-1310-100-1\" is forbidden: \
                 unable to create new content in namespace team-leaving because it is being terminated",
            ),
        ] {
            assert_eq!(recorded(situation, what), expected);
        }
    }

    #[test]
    fn shows_every_cause_of_an_invalid_job_with_its_field() {
        let text = recorded("invalid-spec-422", "01-several-causes");
        for field in [
            "metadata.labels: Invalid",
            "spec.backoffLimit: Invalid",
            "env[2].name: Invalid",
            "containers[0].name",
        ] {
            assert!(text.contains(field), "{field} in {text}");
        }
        let causes = [serde_json::from_str(r#"{"field": "spec.x", "message": "too long"}"#).unwrap()];
        assert_eq!(causes_not_in("it is invalid", &causes), "; spec.x: too long");
    }
}
