//! Reads the phase of a Job out of what the API server shows: the Job, and its pods and events where they may be read.
//!
//! Pure. The Job alone tells little: most failures look alike there, only the deadline and what a pod failure policy has
//! written down are told apart. With pods and events every cause is precise.

use k8s_openapi::api::{
    batch::v1::{Job, JobCondition},
    core::v1::{Event, Pod},
};

pub use self::{
    cause::{Cause, Retry},
    patience::{DEFAULT_PATIENCE, Verdict, judge},
    waiting::{ConfigProblem, ImageProblem, Refuser, Waiting},
};

mod cause;
pub(crate) mod events;
pub(crate) mod keep;
mod patience;
mod pod;
mod waiting;

/// Where a Kubernetes Job stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum JobPhase {
    /// It is accepted; its container does not run yet.
    Pending {
        /// Why it waits.
        waiting: Waiting,
    },
    /// Its container runs.
    Running,
    /// It ended, and nothing of it can still run.
    Ended(Cause),
}

impl JobPhase {
    /// Tells whether nothing can follow.
    #[must_use]
    pub const fn is_terminal(&self) -> bool {
        matches!(self, Self::Ended(_))
    }
}

/// Returns the phase of a Job as one look at it tells.
///
/// `pods` and `events` may hold those of other Jobs, and may be empty. Pods that are gone belong to them as they were seen
/// last: a Job ends after its pod is gone, and only that pod knows why. Somebody who looks more than once sees more with
/// an [`Observer`].
///
/// `Complete` and `Failed` alone are an end: `SuccessCriteriaMet` and `FailureTarget` come earlier, when the outcome is
/// decided but the pod may still be running.
#[must_use]
pub fn observe(job: &Job, pods: &[Pod], events: &[Event]) -> JobPhase {
    look(job, pods, events, &Past::default())
}

/// Returns the phase of a Job of which nothing else may be read.
pub(crate) fn of(job: &Job) -> JobPhase {
    observe(job, &[], &[])
}

/// Follows one Job: remembers what its objects do not, and tells only news.
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
    /// What it was seen waiting for that was known to be wrong.
    trouble: Option<Waiting>,
}

impl Observer {
    /// Looks at a Job again. Returns its phase if that is news; a phase never steps back.
    pub fn observe(&mut self, job: &Job, pods: &[Pod], events: &[Event]) -> Option<JobPhase> {
        let mut phase = look(job, pods, events, &self.past);
        match &mut phase {
            JobPhase::Pending { waiting } => self.remember(waiting),
            JobPhase::Running => self.past.ran = true,
            JobPhase::Ended(_) => {}
        }
        let news = news(self.last.as_ref(), phase)?;
        self.last = Some(news.clone());
        Some(news)
    }

    fn remember(&mut self, waiting: &mut Waiting) {
        if let (
            Waiting::ImagePull { problem: ImageProblem::Unclear, .. },
            Some(before @ Waiting::ImagePull { .. }),
        ) = (&*waiting, &self.past.trouble)
        {
            // Some nodes tell the fault only at the first try, and then no more than that they back off.
            *waiting = before.clone();
        }
        if waiting.is_trouble() {
            self.past.trouble = Some(waiting.clone());
        }
    }
}

fn look(job: &Job, pods: &[Pod], events: &[Event], past: &Past) -> JobPhase {
    let pod = pod::current(job, pods);
    if condition(job, "Complete").is_some() {
        return JobPhase::Ended(Cause::Completed);
    }
    if let Some(failed) = condition(job, "Failed") {
        return JobPhase::Ended(cause_of(job, failed, pod, events, past));
    }
    let is_ready = job.status.as_ref().is_some_and(|status| status.ready.unwrap_or_default() > 0);
    let runs = is_ready || condition(job, "SuccessCriteriaMet").is_some() || pod.is_some_and(pod::has_run);
    if runs && condition(job, "Suspended").is_none() {
        return JobPhase::Running;
    }
    JobPhase::Pending { waiting: waiting_of(job, pod, events) }
}

fn waiting_of(job: &Job, pod: Option<&Pod>, events: &[Event]) -> Waiting {
    let Some(status) = &job.status else { return Waiting::Accepted };
    let count = |number: Option<i32>| number.unwrap_or_default();
    if condition(job, "Suspended").is_some() {
        Waiting::Suspended
    } else if job.metadata.deletion_timestamp.is_some()
        || condition(job, "FailureTarget").is_some()
        || count(status.terminating) > 0
    {
        Waiting::BeingEnded
    } else if let Some(pod) = pod {
        pod::waiting(pod, events)
    } else if status.start_time.is_none() {
        Waiting::NotTakenUp
    } else if count(status.active) > 0 {
        Waiting::Starting
    } else {
        events::refusal(job, events).unwrap_or(Waiting::NoPod)
    }
}

fn cause_of(job: &Job, failed: &JobCondition, pod: Option<&Pod>, events: &[Event], past: &Past) -> Cause {
    let ran = past.ran || pod.is_some_and(|pod| pod::has_run(pod) || events::has_started(pod, events));
    if failed.reason.as_deref() == Some("DeadlineExceeded") {
        return match never_started(job, pod, events, past) {
            Some(waiting) if !ran => Cause::DeadlineBeforeStart { waiting },
            _ => Cause::DeadlineExceeded,
        };
    }
    pod.and_then(|pod| pod::cause(pod, ran)).unwrap_or_else(|| told_by_the_job(failed))
}

/// Returns what a Job waited for whose deadline passed before it had started; `None` where that is not certain.
fn never_started(job: &Job, pod: Option<&Pod>, events: &[Event], past: &Past) -> Option<Waiting> {
    let Some(pod) = pod else {
        // Every pod that there was is counted when the Job has ended.
        let counted = job.status.as_ref().is_some_and(|status| status.failed.unwrap_or_default() > 0);
        let why = || past.trouble.clone().or_else(|| events::refusal(job, events)).unwrap_or(Waiting::NoPod);
        return (!counted).then(why);
    };
    // The pod itself says no more why it waited: its state is set back when it is deleted.
    past.trouble.clone().or_else(|| events::past_trouble(pod, events))
}

/// Tells whether pods of a Job that has failed must have more to say: they and their Job are told on different ways.
pub(crate) fn pods_are_behind(job: &Job, pods: &[Pod]) -> bool {
    let counted = || job.status.as_ref().is_some_and(|status| status.failed.unwrap_or_default() > 0);
    condition(job, "Failed").is_some()
        && pod::current(job, pods).map_or_else(counted, |pod| !pod::is_over(pod))
}

/// What the Job itself knows about its failure.
fn told_by_the_job(failed: &JobCondition) -> Cause {
    let message = failed.message.as_deref().unwrap_or_default();
    match failed.reason.as_deref() {
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

#[cfg(test)]
pub(crate) mod fixtures;
#[cfg(test)]
mod tests;
