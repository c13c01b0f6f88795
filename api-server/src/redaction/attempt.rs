//! Keeps secrets out of what the cluster reports about an attempt: an API server or a webhook that refuses an
//! object quotes the values that it refuses.

use k8s_backend::{BackendError, Cause, Waiting};

use super::Redactor;
use crate::{
    services::chain,
    store::{Store, StoreError},
};

impl Redactor {
    /// Returns what hides the secrets that an attempt was created with.
    ///
    /// # Errors
    /// What the attempt was created with cannot be read.
    pub(crate) async fn of_attempt(store: &Store, attempt_id: &str) -> Result<Self, StoreError> {
        let prepared = store.prepared(attempt_id).await?;
        let claim = store.claim_data(attempt_id).await?;
        let values = claim.sensitive_values(&prepared).into_iter().chain(prepared.credentials());
        Ok(Self::of_values(values.collect::<Vec<_>>().iter().map(String::as_str)))
    }

    /// Formats an error of the backend with its sources.
    pub(crate) fn backend_error(&self, error: &BackendError) -> String {
        self.hide(&chain(error))
    }

    /// Hides secrets in the texts of a cause.
    pub(crate) fn cause(&self, cause: &Cause) -> Cause {
        let mut cause = cause.clone();
        self.texts(cause.texts_mut());
        cause
    }

    /// Hides secrets in the texts of a wait.
    pub(crate) fn waiting(&self, waiting: &Waiting) -> Waiting {
        let mut waiting = waiting.clone();
        self.texts(waiting.texts_mut());
        waiting
    }

    fn texts(&self, texts: Vec<&mut String>) {
        for text in texts {
            *text = self.hide(text);
        }
    }
}

#[cfg(test)]
mod tests {
    use k8s_backend::{ConfigProblem, ImageProblem, Refuser};

    use super::*;

    const SECRET: &str = "hunter2-\"quoted\"";

    /// A text of the cluster, which quotes values as Go does.
    fn text() -> String {
        format!("Invalid value: {SECRET:?}: must be no more than 63 characters")
    }

    fn waits() -> Vec<Waiting> {
        vec![
            Waiting::ControllerPending { controller: Some(text()) },
            Waiting::AwaitingAdmission { queue: text() },
            Waiting::NotCreated { by: Refuser::Admission, message: text() },
            Waiting::Gated { message: text() },
            Waiting::Unschedulable { message: text() },
            Waiting::Setup { message: text() },
            Waiting::ImagePull { problem: ImageProblem::InvalidName, message: text() },
            Waiting::ConfigError { problem: ConfigProblem::Unclear, message: text() },
            Waiting::Other { reason: text(), message: text() },
        ]
    }

    #[test]
    fn secret_is_in_no_cause_and_in_no_wait() {
        let redactor = Redactor::of_values([SECRET]);
        let mut causes = vec![
            Cause::InitContainer { container: text(), exit_code: 1 },
            Cause::OutOfMemory { limit: Some(text()), exit_code: 137 },
            Cause::GivenUp { reason: text() },
            Cause::NotStarted { message: text() },
            Cause::Evicted { resource: None, message: text() },
            Cause::Preempted { message: text() },
            Cause::NodeLost { message: text() },
            Cause::Disrupted { message: text() },
            Cause::Lost { message: text() },
        ];
        causes.extend(waits().into_iter().map(|waiting| Cause::CannotStart { waiting }));
        causes.extend(waits().into_iter().map(|waiting| Cause::DeadlineBeforeStart { waiting }));
        for cause in &causes {
            let hidden = format!("{:?}", redactor.cause(cause));
            assert!(hidden.contains("Invalid value: \\\"(sensitive)\\\""), "{hidden}");
            assert!(!hidden.contains("hunter2") && !hidden.contains("quoted"), "{hidden}");
        }
    }

    #[test]
    fn causes_without_secrets_stay_as_they_are() {
        let redactor = Redactor::of_values(["exitCode", "Completed"]);
        for cause in [Cause::Completed, Cause::ExitCode(Some(3)), Cause::Lost { message: "lost".to_owned() }]
        {
            assert_eq!(redactor.cause(&cause), cause);
        }
    }
}
