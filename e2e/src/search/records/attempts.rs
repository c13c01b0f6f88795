//! What the orchestrator stores about attempts.

use api_server::model::{Attempt, AttemptPhase, AttemptStatus, StepStatus};
use jiff::Timestamp;
use k8s_backend::Cause;

use super::Records;
use crate::search::faults::Fault;

impl Records {
    /// Stores an attempt, unless as many steps run as may, or another one in its workspace.
    pub(in crate::search) fn create_attempt(&mut self, id: i64, step: &str, attempt: Attempt) -> bool {
        let Some(found) = self.step_mut(id, step) else { return false };
        if found.attempts.iter().any(|it| it.number == attempt.number) {
            return false;
        }
        if !self.has_room(id) && !self.is(Fault::PlacesAreNotCountedAgain) {
            return false;
        }
        let step = self.step_mut(id, step).expect("it was found");
        step.status = StepStatus::Running;
        step.started_at = step.started_at.or(Some(attempt.created_at));
        step.attempts.push(attempt);
        true
    }

    pub(in crate::search) fn attempt_submitted(&mut self, attempt: &str) {
        let prepared = self.attempt_mut(attempt).filter(|it| it.phase == AttemptPhase::Prepared);
        if let Some(found) = prepared {
            found.phase = AttemptPhase::Submitted;
            found.retry_at = None;
            found.progress.last_error = None;
            found.progress.refused_since = None;
        }
    }

    pub(in crate::search) fn backend_failed(
        &mut self,
        attempt: &str,
        error: &str,
        refused: bool,
        retry_at: Timestamp,
        now: Timestamp,
    ) {
        if let Some(found) = self.attempt_mut(attempt) {
            found.submit_failures += 1;
            found.retry_at = Some(retry_at);
            let progress = &mut found.progress;
            progress.last_error = Some(error.to_owned());
            progress.refused_since = refused.then(|| progress.refused_since.unwrap_or(now));
        }
    }

    pub(in crate::search) fn attempt_refused(&mut self, attempt: &str, refusal: &str) {
        let ends_claimed = self.is(Fault::LateRefusalsEndAttempts);
        let refused = self.attempt_mut(attempt).filter(|it| it.claimed_at.is_none() || ends_claimed);
        if let Some(found) = refused {
            found.refusal = Some(refusal.to_owned());
        }
    }

    pub(in crate::search) fn fence_unclaimed(&mut self, attempt: &str) {
        if let Some(found) = self.attempt_mut(attempt).filter(|it| it.claimed_at.is_none()) {
            found.live = false;
        }
    }

    pub(in crate::search) fn give_up(&mut self, attempt: &str, cause: Cause) {
        if let Some(found) = self.attempt_mut(attempt).filter(|it| it.claimed_at.is_none()) {
            found.live = false;
            found.cause.get_or_insert(cause);
        }
    }

    pub(in crate::search) fn cancel_sent(&mut self, attempt: &str) {
        if let Some(found) = self.attempt_mut(attempt) {
            found.cancel_sent = true;
            found.retry_at = None;
            found.progress.last_error = None;
        }
    }

    pub(in crate::search) fn record_cause(&mut self, attempt: &str, cause: Cause) {
        if let Some(found) = self.attempt_mut(attempt) {
            found.cause.get_or_insert(cause);
        }
    }

    pub(in crate::search) fn record_running(&mut self, attempt: &str, now: Timestamp) {
        if let Some(found) = self.attempt_mut(attempt) {
            found.waiting = None;
            found.progress.running_at.get_or_insert(now);
        }
    }

    /// Closes an attempt, unless it was claimed or reported after `seen` was read.
    pub(in crate::search) fn end_attempt(
        &mut self,
        seen: &Attempt,
        status: AttemptStatus,
        message: Option<String>,
        fence: bool,
        now: Timestamp,
    ) {
        let keeps_lock = self.is(Fault::LostPlansKeepTheirLock) && status == AttemptStatus::Lost;
        let forgets_claim = self.is(Fault::EndForgetsLateClaim);
        let Some(found) = self.attempt_mut(&seen.id) else { return };
        let same = found.claimed_at.is_some() == seen.claimed_at.is_some()
            && found.result.is_some() == seen.result.is_some();
        if !same && !forgets_claim {
            return;
        }
        found.claimed_at = seen.claimed_at;
        found.phase = AttemptPhase::Ended;
        found.live &= !fence;
        found.status = status;
        found.message = message;
        found.ended_at = Some(now);
        let is_evidence = !fence || status == AttemptStatus::Unknown || keeps_lock;
        if !is_evidence {
            self.release_locks(std::slice::from_ref(&seen.id));
        }
    }
}
