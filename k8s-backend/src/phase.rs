//! Reads the phase out of a Job as the API server shows it.
//!
//! Pure: what a Job alone can tell, which is all that a role without rights on pods may see. Most failures look alike there;
//! only the deadline and what a pod failure policy has written down are told apart.

use k8s_openapi::api::batch::v1::{Job, JobCondition};

use crate::backend::{Cause, JobPhase};

/// Returns the phase of a Job.
///
/// `Complete` and `Failed` alone are an end: `SuccessCriteriaMet` and `FailureTarget` come earlier, when the outcome is
/// decided but the pod may still be running.
pub(crate) fn of(job: &Job) -> JobPhase {
    let Some(status) = &job.status else { return JobPhase::Pending { reason: None } };
    if condition(job, "Complete").is_some() {
        return JobPhase::Ended(Cause::Completed);
    }
    if let Some(failed) = condition(job, "Failed") {
        return JobPhase::Ended(cause_of(failed));
    }
    if status.ready.unwrap_or_default() > 0 || condition(job, "SuccessCriteriaMet").is_some() {
        return JobPhase::Running;
    }
    let reason = if condition(job, "Suspended").is_some() {
        "the Job is suspended"
    } else if job.metadata.deletion_timestamp.is_some() {
        "the Job is being deleted"
    } else if status.start_time.is_none() {
        "the cluster has not taken the Job up yet"
    } else if status.active.unwrap_or_default() == 0 {
        "the Job has no pod"
    } else {
        "the pod is not ready yet"
    };
    JobPhase::Pending { reason: Some(reason.to_owned()) }
}

/// Returns the phase to tell after another one; `None` if there is no news.
///
/// Between the end of the container and the end of the Job the pod is neither ready nor counted: that is still `Running`.
pub(crate) fn news(last: Option<&JobPhase>, next: JobPhase) -> Option<JobPhase> {
    let steps_back = matches!((last, &next), (Some(JobPhase::Running), JobPhase::Pending { .. }));
    (!steps_back && last != Some(&next)).then_some(next)
}

/// Tells whether the disappearance of this Job proves that its pod is gone too.
///
/// Only a foreground deletion waits for the pod; after any other one it may run on, seen by nobody.
pub(crate) fn waits_for_its_pod(job: &Job) -> bool {
    let foreground =
        |finalizers: &Vec<String>| finalizers.iter().any(|finalizer| finalizer == "foregroundDeletion");
    job.metadata.deletion_timestamp.is_some() && job.metadata.finalizers.as_ref().is_some_and(foreground)
}

fn condition<'a>(job: &'a Job, kind: &str) -> Option<&'a JobCondition> {
    let conditions = job.status.as_ref()?.conditions.as_deref()?;
    conditions.iter().find(|condition| condition.type_ == kind && condition.status == "True")
}

fn cause_of(failed: &JobCondition) -> Cause {
    let message = failed.message.as_deref().unwrap_or_default();
    match failed.reason.as_deref() {
        Some("DeadlineExceeded") => Cause::DeadlineExceeded,
        // The policy writes `Container C for pod P failed with exit code N matching FailJob rule…` or
        // `Pod P has condition DisruptionTarget matching FailJob rule…`.
        Some("PodFailurePolicy") if message.contains(" has condition DisruptionTarget ") => {
            Cause::Disrupted { message: message.to_owned() }
        }
        Some("PodFailurePolicy") => Cause::ExitCode(exit_code_in(message)),
        _ => Cause::ExitCode(None),
    }
}

fn exit_code_in(message: &str) -> Option<i32> {
    message.split_once("failed with exit code ")?.1.split(' ').next()?.parse().ok()
}

#[cfg(test)]
mod tests;
