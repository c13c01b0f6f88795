//! Why a job waits, behind whom, and what ends the wait.

use jiff::{Timestamp, Unit};
use job_spec::attempt_api::StepOutcome;
use k8s_backend::Waiting;

use super::{Place, waiting};
use crate::model::{Ahead, Attempt, Blocker, JobStatus, SlotWait};

/// Returns the message of a job that waits for another one of its workspace.
#[must_use]
pub fn waiting_for_job(Blocker { job, status }: Blocker) -> String {
    match status {
        JobStatus::Unknown => format!(
            "waiting for job {job}, whose outcome is unknown and which holds the workspace. Read its \
             evidence (GET /v1/jobs/{job}/evidence), then recheck it by a plan, accept it or abandon it."
        ),
        JobStatus::WaitingApproval => format!(
            "waiting for job {job}, which holds the workspace and waits for an approval. Approve, reject or \
             cancel it."
        ),
        JobStatus::Pending => {
            format!("waiting for job {job}, which is before this one in the queue of the workspace.")
        }
        _ => format!(
            "waiting for job {job}, which holds the workspace and is {status}. This job starts when that one \
             has ended."
        ),
    }
}

/// Returns the message of a job that waits to start a step.
#[must_use]
pub fn waiting_for_slot(wait: &SlotWait) -> String {
    match wait {
        SlotWait::Server { limit, ahead } => format!(
            "waiting for a free place: this server runs {} at a time (setting MaxRunningSteps){}.",
            steps(*limit),
            before_this(*ahead)
        ),
        SlotWait::Organization { limit, ahead } => format!(
            "waiting for a free place: the organization runs {} at a time (setting \
             MaxRunningStepsPerOrganization){}.",
            steps(*limit),
            before_this(*ahead)
        ),
        SlotWait::Quota { job, .. } => format!(
            "waiting for the cluster: job {job} waits for an exhausted ResourceQuota, so other steps start \
             slowly. Wait until other pods have ended, or raise the quota."
        ),
        SlotWait::Workspace { job } => format!(
            "waiting for job {job}, which runs a step in the same workspace. This one starts when that step \
             has ended."
        ),
    }
}

fn steps(limit: u32) -> String {
    if limit == 1 { "1 step".to_owned() } else { format!("{limit} steps") }
}

fn before_this(ahead: Ahead) -> String {
    match ahead {
        Ahead { count: 0, .. } | Ahead { first: None, .. } => "; this job is the next".to_owned(),
        Ahead { count: 1, first: Some(job) } => format!("; job {job} is before this one"),
        Ahead { count, first: Some(job) } => format!("; {count} jobs are before this one, first job {job}"),
    }
}

/// Returns the message of a job whose container does not run yet. `is_late`: it has waited for longer than a
/// start usually takes.
#[must_use]
pub fn waiting_for_start(
    attempt: &Attempt,
    reason: &Waiting,
    is_late: bool,
    place: &Place,
) -> Option<String> {
    let job = attempt.kubernetes_job.as_str();
    match reason {
        Waiting::Starting if is_late => Some(format!("{}{}", not_ready(), place.describe_pod(job))),
        Waiting::NoPod | Waiting::Other { .. } => {
            waiting(reason).map(|text| format!("{text}{}", place.describe_job(job)))
        }
        _ => waiting(reason),
    }
}

/// What is known about a pod that does not get ready, and what it usually is.
pub(super) fn not_ready() -> String {
    format!(
        "waiting: {}, and this server sees no reason (it sees reasons where its role may read pods and \
         events). Usually the image cannot be pulled or is large, no node has room, or a Secret, config map \
         or volume is missing.",
        Waiting::Starting
    )
}

/// Returns the message of a job whose container runs, but has not called this server.
#[must_use]
pub fn no_call_yet(attempt: &Attempt, since: Timestamp, place: &Place) -> String {
    format!(
        "waiting: the container has been running since {}, but its executor has not called {}. {}{}",
        seconds(since),
        place.api_url,
        USUAL_BLOCKERS,
        place.kubectl("its output", &format!("logs job/{}", attempt.kubernetes_job))
    )
}

/// What usually keeps an executor from calling the server.
pub(super) const USUAL_BLOCKERS: &str = "Usually a network policy or proxy blocks the way, the address \
     (--api-url) is wrong for the pods, or they do not trust the certificate.";

/// Returns the message of a job whose executor is silent.
#[must_use]
pub fn lost_contact(attempt: &Attempt, contact: Timestamp, place: &Place) -> String {
    format!(
        "contact lost: the executor was last heard of at {}. Terraform may run on, so the step ends only \
         when the cluster reports the end of its pod; the executor reports when it reaches {} again. If the \
         pod is known to be gone, an administrator confirms it: POST /v1/attempts/{}/confirm-end.{}",
        seconds(contact),
        place.api_url,
        attempt.id,
        place.kubectl(
            "the pod",
            &format!("get pod -o wide -l batch.kubernetes.io/job-name={}", attempt.kubernetes_job)
        )
    )
}

/// Returns the message of a job whose executor has reported, while the cluster has not said why it ended.
#[must_use]
pub fn waiting_for_cause(outcome: StepOutcome) -> String {
    let reported = match outcome {
        StepOutcome::Completed => "success",
        StepOutcome::Failed => "a failure",
        StepOutcome::Cancelled => "that it was stopped",
        StepOutcome::Unknown => "an unknown outcome",
    };
    format!(
        "the executor reported {reported}; waiting for the end of its Kubernetes Job, which shows the cause."
    )
}

fn seconds(time: Timestamp) -> Timestamp {
    time.round(Unit::Second).unwrap_or(time)
}
