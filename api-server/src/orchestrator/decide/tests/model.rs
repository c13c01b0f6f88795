//! A model that runs whole jobs with random events: every job ends, and applies at most once.

use proptest::prelude::*;

use super::*;

/// An event between two actions of the orchestrator.
#[derive(Debug, Clone, Copy)]
pub(super) enum ModelEvent {
    Claim,
    ReportCompleted,
    /// A plan without changes.
    ReportNoChanges,
    ReportFailed,
    ReportUnknown,
    KubernetesJobEnds,
    /// The backend sees the Kubernetes Job wait for something.
    Waits,
    Cancel,
    Approve,
    Reject,
    TimePasses,
    /// The next action is decided and not carried out: the server was killed.
    Crash,
}

fn event() -> impl Strategy<Value = ModelEvent> {
    prop_oneof![
        4 => Just(ModelEvent::Claim),
        3 => Just(ModelEvent::ReportCompleted),
        1 => Just(ModelEvent::ReportNoChanges),
        1 => Just(ModelEvent::ReportFailed),
        1 => Just(ModelEvent::ReportUnknown),
        2 => Just(ModelEvent::KubernetesJobEnds),
        3 => Just(ModelEvent::Waits),
        1 => Just(ModelEvent::Cancel),
        3 => Just(ModelEvent::Approve),
        1 => Just(ModelEvent::Reject),
        3 => Just(ModelEvent::TimePasses),
        2 => Just(ModelEvent::Crash),
    ]
}

/// A model with the same guards as the store.
#[derive(Clone)]
pub(super) struct Model {
    pub(super) job: Job,
    now: Timestamp,
    crash: bool,
    /// Attempts whose Kubernetes Job may still run.
    pub(super) alive: Vec<String>,
    applies_claimed: usize,
}

impl Model {
    pub(super) fn new() -> Self {
        let job = Job { status: JobStatus::Pending, ..job() };
        Self { job, now: NOW, crash: false, alive: Vec::new(), applies_claimed: 0 }
    }

    fn current(&mut self) -> Option<(StepType, &mut Attempt)> {
        self.job.steps.iter_mut().rev().find_map(|step| {
            let step_type = step.step_type;
            step.attempts.last_mut().map(|attempt| (step_type, attempt))
        })
    }

    pub(super) fn apply(&mut self, event: ModelEvent) {
        let now = self.now;
        match event {
            ModelEvent::Claim => {
                let alive = self.alive.clone();
                let Some((step_type, attempt)) = self.current() else { return };
                if attempt.live && attempt.claimed_at.is_none() && alive.contains(&attempt.id) {
                    attempt.claimed_at = Some(now);
                    attempt.status = AttemptStatus::Running;
                    self.applies_claimed += usize::from(step_type == StepType::TerraformApply);
                }
            }
            ModelEvent::ReportCompleted => self.report(StepOutcome::Completed, true),
            ModelEvent::ReportNoChanges => self.report(StepOutcome::Completed, false),
            ModelEvent::ReportFailed => self.report(StepOutcome::Failed, true),
            ModelEvent::ReportUnknown => self.report(StepOutcome::Unknown, true),
            ModelEvent::KubernetesJobEnds => {
                let Some((_, attempt)) = self.current() else { return };
                if attempt.phase == AttemptPhase::Submitted {
                    attempt.cause.get_or_insert(Cause::ExitCode(Some(137)));
                    let id = attempt.id.clone();
                    self.alive.retain(|alive| *alive != id);
                }
            }
            ModelEvent::Waits => {
                let Some((_, attempt)) = self.current() else { return };
                if attempt.phase == AttemptPhase::Submitted {
                    attempt.waiting.get_or_insert(WaitingSince { waiting: Waiting::NoPod, since: now });
                }
            }
            ModelEvent::Cancel => self.job.cancel_requested |= !self.job.status.is_final(),
            ModelEvent::Approve | ModelEvent::Reject => {
                let waiting =
                    self.job.steps.iter_mut().find(|step| step.status == StepStatus::WaitingApproval);
                if let Some(step) = waiting.filter(|_| self.job.status == JobStatus::WaitingApproval) {
                    let approved = matches!(event, ModelEvent::Approve);
                    step.status = if approved { StepStatus::Completed } else { StepStatus::Rejected };
                    self.job.status = JobStatus::Running;
                }
            }
            ModelEvent::TimePasses => self.now += SignedDuration::from_secs(3),
            ModelEvent::Crash => self.crash = true,
        }
    }

    fn report(&mut self, outcome: StepOutcome, has_changes: bool) {
        let alive = self.alive.clone();
        let Some((step_type, attempt)) = self.current() else { return };
        let may = attempt.live
            && attempt.claimed_at.is_some()
            && attempt.result.is_none()
            && alive.contains(&attempt.id);
        if may {
            let has_changes = step_type.is_plan().then_some(has_changes);
            attempt.result = Some(StepResult { has_changes, ..report(outcome) });
        }
    }

    /// Carries out one action, as the store would.
    pub(super) fn step_once(&mut self) -> Next {
        let hold =
            if self.job.status == JobStatus::Pending { WorkspaceHold::Free } else { WorkspaceHold::This };
        let rules = rules(START_TIMEOUT);
        let view = View { hold, slot: Slot::Free, rules: &rules };
        let next = crate::orchestrator::decide(&self.job, &view, self.now);
        if let Next::Do(action) = &next
            && !std::mem::take(&mut self.crash)
        {
            self.carry_out(action.clone());
        }
        next
    }

    fn carry_out(&mut self, action: Action) {
        let now = self.now;
        match action {
            Action::StartJob => self.job.status = JobStatus::Running,
            Action::SetMessage { message } => self.job.message = message,
            Action::AskApproval { step } => {
                self.step(&step).status = StepStatus::WaitingApproval;
                self.job.status = JobStatus::WaitingApproval;
            }
            Action::CreateAttempt { step, number, not_before } => {
                let step = self.step(&step);
                let id = format!("{}-{number}", step.id);
                assert!(
                    step.attempts.iter().all(|old| old.phase == AttemptPhase::Ended),
                    "two open attempts"
                );
                step.attempts.push(Attempt {
                    id,
                    phase: AttemptPhase::Prepared,
                    retry_at: not_before,
                    ..attempt(number)
                });
                step.status = StepStatus::Running;
            }
            Action::Submit { attempt } => {
                self.alive.push(attempt.clone());
                self.attempt(&attempt).phase = AttemptPhase::Submitted;
            }
            Action::Fence { attempt } => {
                let attempt = self.attempt(&attempt);
                attempt.live &= attempt.claimed_at.is_some();
            }
            Action::GiveUp { attempt, cause } => {
                let attempt = self.attempt(&attempt);
                if attempt.claimed_at.is_none() {
                    attempt.live = false;
                    attempt.cause.get_or_insert(cause);
                }
            }
            Action::CancelKubernetesJob { attempt, .. } => self.attempt(&attempt).cancel_sent = true,
            Action::EndAttempt { attempt: id, status, message, fence } => {
                let attempt = self.attempt(&id);
                attempt.phase = AttemptPhase::Ended;
                attempt.live &= !fence;
                attempt.status = status;
                attempt.message = message;
            }
            Action::EndStep { step, status, message } => {
                let step = self.step(&step);
                step.status = status;
                step.message = message;
                step.has_changes =
                    step.attempts.last().and_then(|attempt| attempt.result.as_ref()?.has_changes);
            }
            Action::EndJob { status, message } => self.end_job(status, message, now),
        }
    }

    fn end_job(&mut self, status: JobStatus, message: Option<String>, now: Timestamp) {
        if status != JobStatus::Unknown {
            let open = self.job.steps.iter().flat_map(|step| &step.attempts).find(|attempt| {
                attempt.live
                    || (attempt.claimed_at.is_some()
                        && attempt.result.is_none()
                        && self.alive.contains(&attempt.id))
            });
            assert!(open.is_none(), "the workspace was freed while {open:?} may still write");
        }
        self.job.status = status;
        self.job.message = message;
        self.job.ended_at = Some(now);
    }

    fn step(&mut self, id: &str) -> &mut Step {
        self.job.steps.iter_mut().find(|step| step.id == id).unwrap()
    }

    fn attempt(&mut self, id: &str) -> &mut Attempt {
        self.job
            .steps
            .iter_mut()
            .flat_map(|step| &mut step.attempts)
            .find(|attempt| attempt.id == id)
            .unwrap()
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn every_job_ends_and_applies_at_most_once(
        events in prop::collection::vec((0_usize..4, event()), 0..60)
    ) {
        let mut model = Model::new();
        for (actions, event) in events {
            for _ in 0..actions {
                model.step_once();
            }
            model.apply(event);
        }
        // From here on nothing fails: every attempt gets an executor that reports, users approve, time
        // passes.
        for _ in 0..200 {
            if model.step_once() == Next::Done {
                break;
            }
            for event in [
                ModelEvent::Approve,
                ModelEvent::TimePasses,
                ModelEvent::Claim,
                ModelEvent::ReportCompleted,
                ModelEvent::KubernetesJobEnds,
            ] {
                model.apply(event);
            }
        }
        prop_assert!(model.job.status.is_final(), "the job hangs: {:?}", model.job);
        prop_assert!(model.applies_claimed <= 1, "applied {} times", model.applies_claimed);
        let applied = model.job.steps[2].status == StepStatus::Completed;
        prop_assert!(!applied || model.applies_claimed == 1, "completed without an apply");
        let is_unknown = model.job.steps[2].status == StepStatus::Unknown;
        prop_assert_eq!(model.job.status == JobStatus::Unknown, is_unknown);
    }
}
