//! Turns errors of the Kubernetes client into ours.
//!
//! The client's errors print their cause inside their own text and expose it as source too; here each thing is said once.

use kube::{core::Status, runtime::watcher};

use crate::error::{Action, BackendError, BoxError, ErrorKind};

/// The API server said no.
#[derive(Debug, thiserror::Error)]
#[error("the API server answered {code}: {message}")]
struct Refused {
    code: u16,
    message: String,
}

/// There was no answer, or none that can be read; the request may have been carried out.
#[derive(Debug, thiserror::Error)]
#[error("the API server did not answer")]
struct NoAnswer(#[source] BoxError);

/// Converts an error of a request.
pub(super) fn convert(action: Action, job: &str, error: kube::Error) -> BackendError {
    let (kind, source): (_, BoxError) = match error {
        kube::Error::Api(status) => return refused(action, job, *status),
        kube::Error::Service(error) => (ErrorKind::Unavailable, Box::new(NoAnswer(error))),
        kube::Error::HyperError(error) => (ErrorKind::Unavailable, Box::new(NoAnswer(error.into()))),
        kube::Error::ReadEvents(error) => (ErrorKind::Unavailable, Box::new(NoAnswer(error.into()))),
        kube::Error::SerdeError(error) => (ErrorKind::Unavailable, Box::new(NoAnswer(error.into()))),
        kube::Error::FromUtf8(error) => (ErrorKind::Unavailable, Box::new(NoAnswer(error.into()))),
        // The rest are faults of the set-up. They become plain text, because their text holds their sources already.
        error @ kube::Error::Auth(_) => (ErrorKind::Forbidden, error.to_string().into()),
        error => (ErrorKind::Internal, error.to_string().into()),
    };
    BackendError::new(kind, action, job, source)
}

/// Converts an error of the watcher; `None` for one that it recovers from by itself.
pub(super) fn convert_watch(job: &str, error: watcher::Error) -> Option<BackendError> {
    match error {
        // The place in history is too old: the watcher lists again.
        watcher::Error::WatchError(status) if status.code == 410 => None,
        // The stream was cut: the watcher opens another one, and if that fails it says so differently.
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
    let Status { code, message, reason, .. } = status;
    let kind = match code {
        404 if action == Action::Watch => ErrorKind::NotFound,
        409 if reason == "AlreadyExists" => ErrorKind::Conflict,
        400 | 413 | 415 | 422 => ErrorKind::Invalid,
        // A quota is room, not a right: it may be free in a moment.
        403 if message.contains("exceeded quota") => ErrorKind::Unavailable,
        401 | 403 => ErrorKind::Forbidden,
        // A missing namespace may be made, another writer's conflict passes, a server in trouble recovers.
        404 | 408 | 409 | 410 | 429 | 500..=599 => ErrorKind::Unavailable,
        _ => ErrorKind::Internal,
    };
    let message = if message.is_empty() { reason } else { message };
    BackendError::new(kind, action, job, Refused { code, message: message.trim_end().to_owned() })
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
            (Action::Submit, 403, "Forbidden", "exceeded quota: jobs", ErrorKind::Unavailable),
            (Action::Submit, 404, "NotFound", "namespaces \"terrakube\" not found", ErrorKind::Unavailable),
            (Action::Watch, 404, "NotFound", "not found", ErrorKind::NotFound),
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
            (Action::Submit, 500, "InternalError", "failed calling webhook", ErrorKind::Unavailable),
            (Action::Submit, 504, "Timeout", "request did not complete", ErrorKind::Unavailable),
            (Action::Submit, 302, "", "moved", ErrorKind::Internal),
        ] {
            assert_eq!(convert(action, "job-1", api(code, reason, message)).kind, kind, "{code} {message}");
        }
    }

    #[test]
    fn each_thing_is_said_once() {
        let error = convert(Action::Submit, "job-1", api(403, "Forbidden", "jobs.batch is forbidden"));
        assert_eq!(error.to_string(), "could not submit Kubernetes Job \"job-1\"");
        let source = error.source().unwrap();
        assert_eq!(source.to_string(), "the API server answered 403: jobs.batch is forbidden");
        assert!(source.source().is_none());

        let error = convert(Action::Watch, "job-1", kube::Error::Service("connection refused".into()));
        let source = error.source().unwrap();
        assert_eq!(source.to_string(), "the API server did not answer");
        assert_eq!(source.source().unwrap().to_string(), "connection refused");
    }

    #[test]
    fn what_the_watcher_recovers_from_is_no_error() {
        let expired = Status::failure("too old resource version", "Expired").with_code(410).boxed();
        assert!(convert_watch("job-1", watcher::Error::WatchError(expired)).is_none());
        assert!(
            convert_watch("job-1", watcher::Error::WatchFailed(kube::Error::Service("cut".into()))).is_none()
        );
        let away = watcher::Error::WatchStartFailed(kube::Error::Service("connection refused".into()));
        assert_eq!(convert_watch("job-1", away).unwrap().kind, ErrorKind::Unavailable);
    }
}
