//! The sentences that users read about the course of their jobs: in the message of a job, a step or an
//! attempt.
//!
//! `k8s-backend` reports causes and waits in the terms of Kubernetes; here they become sentences for users of
//! Terraform, with the advice of [`advice`]. Nothing else in this server writes such a sentence.

use k8s_backend::{Cause, Waiting};

pub mod advice;
mod ended;
pub mod missing;
mod waits;

pub use ended::{ended_unreported, never_called, refused_too_long, reported};
pub use waits::{
    lost_contact, no_call_yet, waiting_for_cause, waiting_for_job, waiting_for_slot, waiting_for_start,
};

/// Where executors run and what they call.
#[derive(Debug, Clone)]
pub struct Place {
    /// Address of this server, as executors reach it.
    pub api_url: String,
    /// Namespace of the Kubernetes Jobs; `None` where they run as processes of this machine.
    pub namespace: Option<String>,
}

impl Place {
    /// Returns a sentence with the command of `kubectl` that shows more: `To see …: kubectl …`. Empty where
    /// there is no cluster.
    fn kubectl(&self, to_see: &str, arguments: &str) -> String {
        match &self.namespace {
            Some(namespace) => format!(" To see {to_see}: kubectl -n {namespace} {arguments}"),
            None => String::new(),
        }
    }

    /// The command for the pod of a Kubernetes Job and its events.
    fn describe_pod(&self, job: &str) -> String {
        self.kubectl("why", &format!("describe pod -l batch.kubernetes.io/job-name={job}"))
    }

    /// The command for the events of a Kubernetes Job.
    fn describe_job(&self, job: &str) -> String {
        self.kubectl("why", &format!("describe job {job}"))
    }
}

/// An attempt ended because the job was cancelled before an executor claimed it.
pub const CANCELLED_BEFORE_CLAIM: &str = "cancelled before an executor claimed the attempt";

/// The backend has not answered a submit yet.
pub const SUBMIT_UNANSWERED: &str = "waiting: the cluster has not answered the creation of the Kubernetes \
                                     Job yet; an admission webhook may delay it";

/// Returns the message of a job whose Kubernetes Job does not run yet; `None` where there is nothing to say.
#[must_use]
pub fn waiting(waiting: &Waiting) -> Option<String> {
    match waiting {
        Waiting::Accepted => None,
        Waiting::Suspended | Waiting::AwaitingAdmission { .. } => Some(with_advice(
            &format!("waiting, the start timeout does not count: {waiting}"),
            advice::for_waiting(waiting),
        )),
        _ => Some(with_advice(&format!("waiting: {waiting}"), advice::for_waiting(waiting))),
    }
}

/// Returns the message of a job whose Kubernetes Job could not be submitted or cancelled, but may be later.
#[must_use]
pub fn retrying(error: &str) -> String {
    with_advice(&format!("waiting, will be retried: {error}"), advice::for_refusal(error))
}

/// Returns the message of an attempt whose Kubernetes Job ended without a report of its executor.
#[must_use]
pub fn ended_without_report(cause: &Cause, claimed: bool) -> String {
    let text = match (claimed, cause) {
        (true, _) => format!("the executor ended without a report: {cause}"),
        (false, Cause::Completed) => {
            "the container exited with code 0, but no executor claimed the attempt; \
             this server does not know what it did"
                .to_owned()
        }
        (false, _) => format!("no executor claimed the attempt, so nothing was changed: {cause}"),
    };
    let advice = match (claimed, cause) {
        (false, Cause::Completed) => Some(advice::NOT_AN_EXECUTOR),
        _ => advice::for_cause(cause),
    };
    with_advice(&text, advice)
}

fn with_advice(text: &str, advice: Option<&str>) -> String {
    match advice {
        Some(advice) => format!("{}. {advice}", text.trim_end_matches(['.', ' '])),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use k8s_backend::{ImageProblem, Refuser};

    use super::*;

    #[test]
    fn message_of_waiting_job_has_reason_and_advice() {
        assert_eq!(waiting(&Waiting::Accepted), None);
        assert_eq!(waiting(&Waiting::Starting).unwrap(), "waiting: the pod is not ready yet");
        let quota = Waiting::NotCreated { by: Refuser::Quota, message: "exceeded quota: pods. ".to_owned() };
        assert_eq!(
            waiting(&quota).unwrap(),
            "waiting: the pod was rejected by a ResourceQuota: exceeded quota: pods. Wait until other pods \
             have ended, request less, or raise the ResourceQuota of the namespace."
        );
    }

    #[test]
    fn message_of_queued_job_says_that_the_timeout_does_not_count() {
        let queued = Waiting::AwaitingAdmission { queue: "team-a".to_owned() };
        assert_eq!(
            waiting(&queued).unwrap(),
            "waiting, the start timeout does not count: the Job is suspended until queue \"team-a\" admits \
             it. Wait for the queue, or check that it exists and has quota for what the executor requests."
        );
    }

    #[test]
    fn message_of_lost_attempt_says_whether_an_executor_claimed_it() {
        let evicted = Cause::Evicted { resource: None, message: "drained".to_owned() };
        assert_eq!(
            ended_without_report(&evicted, true),
            "the executor ended without a report: pod evicted: drained. Run the job again; \
             the node was drained."
        );
        let waiting =
            Waiting::ImagePull { problem: ImageProblem::NotFound, message: "x:1: not found".to_owned() };
        assert_eq!(
            ended_without_report(&Cause::CannotStart { waiting }, false),
            "no executor claimed the attempt, so nothing was changed: start timeout expired: image not found \
             in its registry: x:1: not found. Correct the name or tag of the image, or push the image."
        );
        assert!(ended_without_report(&Cause::Completed, false).contains("EPHEMERAL_CONFIG_IMAGE"));
    }
}
