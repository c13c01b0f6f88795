//! Reads the phase of a Job from what the API server shows: the Job, and its pods and events where they may
//! be read.
//!
//! Pure. The Job alone shows little: most failures look the same there, except for the deadline and for what
//! a pod failure policy has recorded. With pods and events every cause is precise.

use std::fmt;

use k8s_openapi::api::{
    batch::v1::{Job, JobCondition},
    core::v1::{Event, Pod},
};

pub use self::{
    cause::{Cause, Retry},
    start_timeout::{DEFAULT_START_TIMEOUT, StartTimeout, check_start_timeout},
    waiting::{ConfigProblem, ImageProblem, Refuser, Waiting},
};

mod cause;
pub(crate) mod events;
#[cfg(feature = "kube")]
pub(crate) mod keep;
mod pod;
mod start_timeout;
pub(crate) mod termination;
mod waiting;

/// Label of Kueue: the queue that admits a Job.
const QUEUE_LABEL: &str = "kueue.x-k8s.io/queue-name";

/// State of a Kubernetes Job.
///
/// A Job with several pods is `Running` from the first container that runs to the end of the last pod. A
/// phase never goes back: a Job whose failed pod is replaced, or that is suspended after it ran, stays
/// `Running`.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum JobPhase {
    /// It is accepted; no container of it has run yet.
    Pending {
        /// Why it waits.
        waiting: Waiting,
    },
    /// A container of it runs, or has run.
    Running,
    /// It ended, and nothing of it can still run.
    Ended(Cause),
}

impl JobPhase {
    /// Returns whether no other phase can follow.
    #[must_use]
    pub const fn is_terminal(&self) -> bool {
        matches!(self, Self::Ended(_))
    }
}

impl fmt::Display for JobPhase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Pending { waiting } => write!(f, "pending: {waiting}"),
            Self::Running => f.write_str("running"),
            Self::Ended(cause) => write!(f, "ended: {cause}"),
        }
    }
}

/// Returns the phase of a Job from its current objects alone.
///
/// `pods` and `events` may contain those of other Jobs, and may be empty. Deleted pods belong to them as they
/// were seen last: a Job ends after its pod is gone, and only that pod shows why. An [`Observer`] sees more,
/// because it remembers.
///
/// Only the conditions `Complete` and `Failed` are an end: the Job controller sets them when every pod is
/// over. `SuccessCriteriaMet` and `FailureTarget` come earlier, when the outcome is decided but pods may
/// still run.
#[must_use]
pub fn observe(job: &Job, pods: &[Pod], events: &[Event]) -> JobPhase {
    phase_of(job, pods, events, &Past::default())
}

/// Returns the phase of a Job without its pods and events.
#[cfg(any(test, feature = "kube"))]
pub(crate) fn of(job: &Job) -> JobPhase {
    observe(job, &[], &[])
}

/// Follows one Job: remembers what its objects no longer show, and reports only changes.
#[derive(Debug, Default)]
pub struct Observer {
    past: Past,
    last: Option<JobPhase>,
}

/// What was seen of a Job earlier.
#[derive(Debug, Default)]
struct Past {
    /// Its container was seen running.
    ran: bool,
    /// The last problem that it was seen waiting for.
    problem: Option<Waiting>,
}

impl Observer {
    /// Observes a Job again. Returns its phase if that has changed; a phase never goes back.
    pub fn observe(&mut self, job: &Job, pods: &[Pod], events: &[Event]) -> Option<JobPhase> {
        let mut phase = phase_of(job, pods, events, &self.past);
        match &mut phase {
            JobPhase::Pending { waiting } => self.remember(waiting),
            JobPhase::Running => self.past.ran = true,
            JobPhase::Ended(_) => {}
        }
        let next = next_phase(self.last.as_ref(), phase)?;
        self.last = Some(next.clone());
        Some(next)
    }

    fn remember(&mut self, waiting: &mut Waiting) {
        if let (
            Waiting::ImagePull { problem: ImageProblem::Unclear, .. },
            Some(before @ Waiting::ImagePull { .. }),
        ) = (&*waiting, &self.past.problem)
        {
            // Some nodes report the fault only at the first try, and then no more than that they back off.
            *waiting = before.clone();
        }
        if waiting.is_problem() {
            self.past.problem = Some(waiting.clone());
        }
    }
}

fn phase_of(job: &Job, pods: &[Pod], events: &[Event], past: &Past) -> JobPhase {
    let pod = pod::current(job, pods);
    if condition(job, "Complete").is_some() {
        return JobPhase::Ended(Cause::Completed);
    }
    if let Some(failed) = condition(job, "Failed") {
        // With several pods at a time, the newest one need not be the one that failed.
        let pod = if is_parallel(job) { pod::failed(job, pods).or(pod) } else { pod };
        return JobPhase::Ended(cause_of(job, failed, pod, events, past));
    }
    let is_ready = job.status.as_ref().is_some_and(|status| status.ready.unwrap_or_default() > 0);
    let runs = is_ready || condition(job, "SuccessCriteriaMet").is_some() || pod.is_some_and(pod::has_run);
    if runs && condition(job, "Suspended").is_none() {
        return JobPhase::Running;
    }
    JobPhase::Pending { waiting: waiting_of(job, pod, events) }
}

fn is_parallel(job: &Job) -> bool {
    job.spec.as_ref().and_then(|spec| spec.parallelism).is_some_and(|pods| pods > 1)
}

fn waiting_of(job: &Job, pod: Option<&Pod>, events: &[Event]) -> Waiting {
    // A new Job has this field before a controller has noticed it and set the condition.
    let is_suspended = job.spec.as_ref().and_then(|spec| spec.suspend) == Some(true);
    if is_suspended || condition(job, "Suspended").is_some() {
        return suspended(job);
    }
    let Some(status) = &job.status else { return Waiting::Accepted };
    let count = |number: Option<i32>| number.unwrap_or_default();
    if job.metadata.deletion_timestamp.is_some()
        || condition(job, "FailureTarget").is_some()
        || count(status.terminating) > 0
    {
        Waiting::Terminating
    } else if let Some(pod) = pod {
        pod::waiting(pod, events)
    } else if status.start_time.is_none() {
        Waiting::ControllerPending { controller: foreign_controller(job) }
    } else if count(status.active) > 0 {
        Waiting::Starting
    } else {
        events::refusal(job, events).unwrap_or(Waiting::NoPod)
    }
}

fn suspended(job: &Job) -> Waiting {
    let queue = job.metadata.labels.as_ref().and_then(|labels| labels.get(QUEUE_LABEL));
    match queue.filter(|queue| !queue.is_empty()) {
        Some(queue) => Waiting::AwaitingAdmission { queue: queue.clone() },
        None => Waiting::Suspended,
    }
}

/// Returns the controller of a Job that the Job controller of Kubernetes ignores.
fn foreign_controller(job: &Job) -> Option<String> {
    let controller = job.spec.as_ref()?.managed_by.as_ref()?;
    (controller != "kubernetes.io/job-controller").then(|| controller.clone())
}

fn cause_of(job: &Job, failed: &JobCondition, pod: Option<&Pod>, events: &[Event], past: &Past) -> Cause {
    let ran = past.ran || pod.is_some_and(|pod| pod::has_run(pod) || events::has_started(pod, events));
    if failed.reason.as_deref() == Some("DeadlineExceeded") {
        return match never_started(job, pod, events, past) {
            Some(waiting) if !ran => Cause::DeadlineBeforeStart { waiting },
            _ => Cause::DeadlineExceeded,
        };
    }
    pod.and_then(|pod| pod::cause(pod, ran)).unwrap_or_else(|| cause_in_condition(failed))
}

/// Returns what a Job waited for whose deadline passed before its start; `None` where that is not certain.
fn never_started(job: &Job, pod: Option<&Pod>, events: &[Event], past: &Past) -> Option<Waiting> {
    let Some(pod) = pod else {
        // When a Job has ended, its status counts every pod that it had.
        let counted = job.status.as_ref().is_some_and(|status| status.failed.unwrap_or_default() > 0);
        let why = || past.problem.clone().or_else(|| events::refusal(job, events)).unwrap_or(Waiting::NoPod);
        return (!counted).then(why);
    };
    // The pod itself no longer shows why it waited: its state is reset when it is deleted.
    past.problem.clone().or_else(|| events::past_problem(pod, events))
}

/// Returns whether the pods are older than their failed Job: the two are watched separately.
#[cfg(feature = "kube")]
pub(crate) fn pods_are_behind(job: &Job, pods: &[Pod]) -> bool {
    let counted = || job.status.as_ref().is_some_and(|status| status.failed.unwrap_or_default() > 0);
    condition(job, "Failed").is_some()
        && pod::current(job, pods).map_or_else(counted, |pod| !pod::is_over(pod))
}

/// Returns the cause that the condition of the Job shows.
fn cause_in_condition(failed: &JobCondition) -> Cause {
    let message = failed.message.as_deref().unwrap_or_default();
    match failed.reason.as_deref() {
        // The messages are `Container C for pod P failed with exit code N matching FailJob rule…` or
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

/// Returns the next phase to report after `last`; `None` if nothing has changed.
///
/// Between the end of the container and the end of the Job the pod is neither ready nor counted: that is
/// still `Running`.
pub(crate) fn next_phase(last: Option<&JobPhase>, next: JobPhase) -> Option<JobPhase> {
    let goes_back = matches!((last, &next), (Some(JobPhase::Running), JobPhase::Pending { .. }));
    (!goes_back && last != Some(&next)).then_some(next)
}

/// Returns whether the deletion of this Job proves that its pods are gone too.
///
/// Only a foreground deletion waits for the pods; after any other one they may run on, unseen.
#[cfg(any(test, feature = "kube"))]
pub(crate) fn waits_for_its_pod(job: &Job) -> bool {
    let foreground =
        |finalizers: &Vec<String>| finalizers.iter().any(|finalizer| finalizer == "foregroundDeletion");
    job.metadata.deletion_timestamp.is_some() && job.metadata.finalizers.as_ref().is_some_and(foreground)
}

fn condition<'a>(job: &'a Job, kind: &str) -> Option<&'a JobCondition> {
    let conditions = job.status.as_ref()?.conditions.as_deref()?;
    conditions.iter().find(|condition| condition.type_ == kind && condition.status == "True")
}

#[cfg(test)]
pub(crate) mod fixtures;
#[cfg(test)]
mod tests;
