//! How a replica carries out what it has decided: at the backend, then in the store. It may be killed before
//! each part, and either may fail.

use api_server::{
    model::{Answer, Attempt, JobStatus, StepStatus},
    orchestrator::Action,
};
use jiff::SignedDuration;

use super::{Late, World, drivers::Pending};
use crate::search::{faults::Fault, promises::Promise};

/// How carrying out an action went on.
pub(super) enum Acted {
    /// The backend has answered; the record follows.
    Again(Pending),
    Done,
    /// The store failed, perhaps after it has stored everything.
    Failed,
    LeaseLost,
    Killed,
}

/// An answer of the backend.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum BackendAnswer {
    Done,
    Unavailable,
    /// A quota is exceeded.
    Refused,
    /// It will never be accepted.
    Invalid,
}

impl World {
    pub(super) fn act(&mut self, replica: usize, generation: u32, mut pending: Pending) -> Acted {
        let accident = self.choices.accident(&[30, 1, 1, 1]);
        if accident == 1 {
            self.note(|| format!("replica {replica} is killed in the middle of a decision"));
            self.start_replica(replica);
            return Acted::Killed;
        }
        if pending.answer.is_none()
            && let Some(answer) = self.call_backend(&pending.action)
        {
            pending.answer = Some(answer);
            return Acted::Again(pending);
        }
        let job = pending.job.id;
        if !self.records.is_current(job, generation) {
            return Acted::LeaseLost;
        }
        let is_stale = self.records.jobs[&job].generation != generation;
        if is_stale && !matches!(pending.action, Action::SetMessage { .. }) {
            let detail = "a replica acted on a decision about a job that another one had taken";
            self.violation(Promise::OneDecides, detail);
        }
        if accident == 2 {
            return Acted::Failed;
        }
        let concerns_others = pending.action.concerns_other_jobs();
        let is_end = matches!(pending.action, Action::EndStep { .. } | Action::EndJob { .. });
        let concerns_others = concerns_others && !(is_end && self.is(Fault::EndsAreNotPassedOn));
        let is_stored = self.record(replica, pending);
        if accident == 3 || !is_stored {
            return Acted::Failed;
        }
        if concerns_others {
            self.wake_others(replica, job);
        }
        Acted::Done
    }

    /// The part of an action that the backend does.
    fn call_backend(&mut self, action: &Action) -> Option<BackendAnswer> {
        match action {
            Action::Submit { attempt } => {
                let answer = self.choices.accident(&[20, 1, 1, 1, 1, 1]);
                self.note(|| format!("submit of {attempt}: {answer}"));
                // Submitting again is harmless: the name is that of the attempt.
                match answer {
                    0 | 2 => drop(self.cluster.entry(attempt.clone()).or_default()),
                    5 => self.late.push(Late::Submit(attempt.clone())),
                    _ => {}
                }
                Some(match answer {
                    0 => BackendAnswer::Done,
                    3 => BackendAnswer::Refused,
                    4 => BackendAnswer::Invalid,
                    _ => BackendAnswer::Unavailable,
                })
            }
            Action::CancelKubernetesJob { attempt, .. } => {
                let answer = self.choices.accident(&[20, 1, 1]);
                if answer != 1 {
                    self.cancel_kubernetes_job(&attempt.clone());
                }
                Some(if answer == 0 { BackendAnswer::Done } else { BackendAnswer::Unavailable })
            }
            _ => None,
        }
    }

    /// The part of an action that the store does. Returns `false` if it was refused.
    fn record(&mut self, replica: usize, pending: Pending) -> bool {
        let now = self.clock(replica);
        let Pending { job, action, answer } = pending;
        let id = job.id;
        self.note(|| format!("job {id}: {action:?}"));
        match action {
            Action::StartJob => self.start_job(id),
            Action::AskApproval { step } if self.is(Fault::ApprovalIsSkipped) => {
                let step = self.records.step_mut(id, &step).expect("steps are never removed");
                step.status = StepStatus::Completed;
                step.answer =
                    Some(Answer { by: String::new(), at: now, plan_digest: None, bundle_digest: None });
            }
            Action::AskApproval { step } => self.records.ask_approval(id, &step, now),
            Action::CreateAttempt { step, number, not_before } => {
                let (attempt, name) = (format!("{step}-{number}"), format!("job-{step}-{number}"));
                let attempt = Attempt { retry_at: not_before, ..Attempt::new(attempt, number, name, now) };
                return self.records.create_attempt(id, &step, attempt);
            }
            Action::Submit { attempt } | Action::CancelKubernetesJob { attempt, .. }
                if answer != Some(BackendAnswer::Done) =>
            {
                let refused = answer == Some(BackendAnswer::Refused);
                if answer == Some(BackendAnswer::Invalid) {
                    self.records.attempt_refused(&attempt, "invalid");
                } else {
                    let retry_at = now + SignedDuration::from_secs(5);
                    self.records.backend_failed(&attempt, "unavailable", refused, retry_at, now);
                }
            }
            Action::Submit { attempt } => {
                self.records.attempt_submitted(&attempt);
                self.records.set_message(id, None);
            }
            Action::CancelKubernetesJob { attempt, .. } => self.records.cancel_sent(&attempt),
            Action::Fence { attempt } => self.records.fence_unclaimed(&attempt),
            Action::SetMessage { message } => self.records.set_message(id, message),
            Action::GiveUp { attempt, cause } => self.records.give_up(&attempt, cause),
            Action::EndAttempt { attempt, status, message, fence } => {
                let seen = job.steps.iter().flat_map(|step| &step.attempts).find(|it| it.id == attempt);
                if let Some(seen) = seen {
                    self.records.end_attempt(seen, status, message, fence, now);
                }
            }
            Action::EndStep { step, status, message } => {
                if let Some(seen) = job.steps.iter().find(|it| it.id == step) {
                    self.records.end_step(id, seen, status, message, now);
                }
            }
            Action::EndJob { status, message } => {
                if status == JobStatus::Unknown {
                    self.was_unknown.insert(id);
                }
                self.records.end_job(id, status, message, now);
            }
        }
        true
    }

    /// Starts a job, and checks that no earlier one waits for the same workspace.
    fn start_job(&mut self, job: i64) {
        let hold = self.records.hold(job);
        self.records.start_job(job);
        let row = &self.records.jobs[&job];
        let waits = matches!(hold, api_server::model::WorkspaceHold::Other(_));
        if row.job.status == JobStatus::Running && waits {
            let detail = format!("job {job} started in a workspace that another job holds or waits for");
            self.violation(Promise::WorkspaceIsHeld, detail);
        }
    }
}
