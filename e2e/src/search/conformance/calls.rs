//! One call, on both sides.

use std::collections::BTreeSet;

use api_server::{
    blobs::StoredBlob,
    model::{Attempt, AttemptStatus, JobStatus, StepStatus},
    orchestrator::{Action, Next, Rules, View, decide, slot},
    state_document::StateDocument,
    store::{
        ClaimData, ClaimOutcome, LockOutcome, NewAttempt, NewResolution, Prepared, ReportOutcome,
        ResolutionAction, StateLock, StateWriter, StoreError,
    },
    token::TokenHash,
};
use job_spec::attempt_api::{ClaimRequest, StepOutcome, StepResult};
use k8s_backend::Cause;
use k8s_openapi::api::batch::v1::Job as KubernetesJob;

use super::model_and_store::{ModelAndStore, Seen};
use crate::search::{
    books::{Plan, State},
    records::{Claimed, Put, Writer},
};

impl ModelAndStore {
    /// Makes one call that does something.
    pub(super) async fn call(&mut self) {
        self.last.clear();
        for _ in 0..50 {
            self.touched = None;
            if self.is_wild || self.choices.pick(8) == 7 {
                self.any_call().await;
            } else {
                self.sensible_call().await;
            }
            if !self.last.is_empty() {
                return;
            }
        }
    }

    async fn any_call(&mut self) {
        match self.choices.pick(26) {
            0..=7 => self.decided().await,
            8 => self.create_job().await,
            9 => self.take_job().await,
            10..=12 => self.anything_decided().await,
            13 | 14 => self.claim().await,
            15 => self.plan_stored().await,
            16 | 17 => self.report().await,
            18 => self.answer_approval().await,
            19 => self.cancel_or_resolve().await,
            20 => self.read_state().await,
            21 | 22 => self.put_state().await,
            23 => self.lock_or_unlock().await,
            24 => self.confirm_end_or_rescue().await,
            _ => self.read_again().await,
        }
    }

    /// What executors and users do where nothing fails.
    async fn sensible_call(&mut self) {
        match self.choices.pick(20) {
            0..=9 => self.decided().await,
            10 => self.create_job().await,
            11 | 12 => self.claim().await,
            13 => self.read_state().await,
            14 => self.plan_stored().await,
            15 => self.put_state().await,
            16 | 17 => self.report().await,
            _ => self.answer_approval().await,
        }
    }

    /// The orchestrator decides on what it has just read.
    async fn decided(&mut self) {
        let Some(job) = self.pick_job() else { return };
        self.read_again_about(job).await;
        let rules = Rules {
            start_timeout: std::time::Duration::from_mins(10),
            lost_contact_timeout: std::time::Duration::from_mins(2),
            plan_retries: 2,
            started_at: self.now,
            place: api_server::messages::Place { api_url: String::new(), namespace: None },
        };
        let hold = self.records.hold(job);
        let slot = slot(job, &self.records.load(job), self.records.limits, self.now);
        let view = View { hold, slot, rules: &rules };
        let next = decide(self.records.job(job), &view, self.now);
        if let Next::Do(action) = next {
            self.act(job, action).await;
        }
    }

    /// A replica acts on something that it has read, whether it makes sense or not.
    async fn anything_decided(&mut self) {
        let Some(job) = self.pick_job() else { return };
        if self.records.job(job).status == JobStatus::Pending {
            return self.act(job, Action::StartJob).await;
        }
        let steps = self.records.job(job).steps.clone();
        let Some(step) = self.pick(&steps) else { return };
        let attempt = self.pick(&step.attempts).map(|attempt| attempt.id);
        let message = Some(format!("message {}", self.fresh()));
        let action = match (self.choices.pick(12), attempt) {
            (0, _) => Action::StartJob,
            (1, _) => Action::SetMessage { message },
            (2, _) => {
                let statuses = [StepStatus::Completed, StepStatus::Failed, StepStatus::Unknown];
                let status = self.pick(&statuses).unwrap();
                Action::EndStep { step: step.id, status, message }
            }
            (3, _) => {
                let statuses = [JobStatus::Failed, JobStatus::Unknown, JobStatus::NoChanges];
                Action::EndJob { status: self.pick(&statuses).unwrap(), message }
            }
            (4, Some(attempt)) => Action::Fence { attempt },
            (5, Some(attempt)) => Action::GiveUp { attempt, cause: Cause::DeadlineExceeded },
            (6, Some(attempt)) => Action::CancelKubernetesJob { attempt, keep: None },
            (7, Some(attempt)) => Action::Submit { attempt },
            (8 | 9, Some(attempt)) => {
                let statuses = [AttemptStatus::Lost, AttemptStatus::Failed, AttemptStatus::Unknown];
                let (status, fence) = (self.pick(&statuses).unwrap(), self.choices.pick(2) == 0);
                Action::EndAttempt { attempt, status, message, fence }
            }
            (_, Some(attempt)) => return self.observed(job, &attempt).await,
            (_, None) => {
                let number = u32::try_from(step.attempts.len()).unwrap() + 1;
                Action::CreateAttempt { step: step.id, number, not_before: Some(self.now) }
            }
        };
        self.act(job, action).await;
    }

    /// Something is seen of the Kubernetes Job of an attempt, or a call of the backend fails.
    async fn observed(&mut self, job: i64, attempt: &str) {
        let what = self.choices.pick(4);
        self.last = format!("observe {what} of {attempt}");
        let Some(Seen { generation, lease, .. }) = self.seen.get(&job).and_then(|seen| seen.last()) else {
            return;
        };
        let is_current = self.records.is_current(job, *generation);
        let (records, now) = (&mut self.records, self.now);
        let result = match what {
            0 => {
                if is_current {
                    records.record_cause(attempt, Cause::Vanished);
                }
                lease.record_cause(attempt, &Cause::Vanished).await
            }
            1 => {
                if is_current {
                    records.record_running(attempt, now);
                }
                lease.record_running(attempt, now).await
            }
            2 => {
                if is_current {
                    records.backend_failed(attempt, "away", true, now, now);
                }
                lease.backend_failed(attempt, "away", true, now).await
            }
            _ => {
                if is_current {
                    records.attempt_refused(attempt, "invalid");
                }
                lease.attempt_refused(attempt, "invalid").await
            }
        };
        self.expect(result, is_current);
    }

    async fn read_again(&mut self) {
        if let Some(job) = self.pick_job() {
            self.read_again_about(job).await;
        }
    }

    async fn read_again_about(&mut self, job: i64) {
        let Some(seen) = self.seen.get(&job).and_then(|seen| seen.last()) else {
            return self.take_job().await;
        };
        let (generation, lease) = (seen.generation, seen.lease.clone());
        self.see(job, generation, lease).await;
    }

    /// A replica acts on what it has read, perhaps a while ago.
    #[expect(clippy::too_many_lines, reason = "one arm for each action, on both sides")]
    async fn act(&mut self, job: i64, action: Action) {
        self.touched = Some(job);
        if self.records.job(job).status.is_final() {
            // The orchestrator does nothing about a job that has ended.
            return;
        }
        let Some(all) = self.seen.get(&job) else { return };
        let back = if self.choices.pick(4) == 3 { self.choices.pick(all.len()) } else { 0 };
        let Seen { of_model, of_store, generation, lease } = &all[all.len() - 1 - back];
        let is_current = self.records.is_current(job, *generation);
        self.last = format!("job {job}, read {back} times before: {action:?}");
        let (now, last) = (self.now, &self.last);
        let step_of = |id: &str| {
            let at = of_model.steps.iter().position(|step| step.id == id).unwrap();
            (&of_model.steps[at], &of_store.steps[at])
        };
        let attempt_of = |id: &str| {
            let find = |job: &api_server::model::Job| {
                let mut attempts = job.steps.iter().flat_map(|step| &step.attempts);
                attempts.find(|attempt| attempt.id == id).cloned()
            };
            find(of_model).zip(find(of_store))
        };
        let result = match action {
            Action::StartJob => {
                if is_current {
                    self.records.start_job(job);
                }
                lease.start_job(of_store).await
            }
            Action::AskApproval { step } => {
                if is_current {
                    self.records.ask_approval(job, &step, now);
                }
                lease.ask_approval(job, &step_of(&step).1.id).await
            }
            Action::CreateAttempt { step, number, not_before } => {
                let id = format!("{step}-{number}");
                if self.records.find(&id).is_some() {
                    return;
                }
                let new = NewAttempt {
                    id: id.clone(),
                    job_id: job,
                    step_id: step_of(&step).1.id.clone(),
                    number,
                    kubernetes_job: format!("job-{id}"),
                    token_hash: TokenHash::of("token"),
                    prepared: Prepared { job: KubernetesJob::default(), secret: None },
                    claim: ClaimData {
                        job_data: None,
                        sensitive: BTreeSet::new(),
                        hidden_fields: BTreeSet::new(),
                    },
                    not_before,
                    deadline: String::new(),
                    limits: self.records.limits,
                };
                let attempt = Attempt::new(id.clone(), number, format!("job-{id}"), now);
                let attempt = Attempt { retry_at: not_before, ..attempt };
                let created = is_current && self.records.create_attempt(job, &step, attempt);
                match lease.create_attempt(new).await {
                    Ok(stored) => {
                        assert_eq!(stored, created, "{last}");
                        Ok(())
                    }
                    Err(error) => Err(error),
                }
            }
            Action::Submit { attempt } => {
                if is_current {
                    self.records.attempt_submitted(&attempt);
                }
                lease.attempt_submitted(&attempt).await
            }
            Action::Fence { attempt } => {
                if is_current {
                    self.records.fence_unclaimed(&attempt);
                }
                lease.fence_unclaimed(&attempt).await
            }
            Action::SetMessage { message } => {
                if is_current {
                    self.records.set_message(job, message.clone());
                }
                lease.set_job_message(job, message.as_deref()).await
            }
            Action::CancelKubernetesJob { attempt, .. } => {
                if is_current {
                    self.records.cancel_sent(&attempt);
                }
                lease.cancel_sent(&attempt).await
            }
            Action::GiveUp { attempt, cause } => {
                if is_current {
                    self.records.give_up(&attempt, cause.clone());
                }
                lease.give_up(&attempt, &cause).await
            }
            Action::EndAttempt { attempt, status, message, fence } => {
                let Some((of_model, of_store)) = attempt_of(&attempt) else { return };
                if is_current {
                    self.records.end_attempt(&of_model, status, message.clone(), fence, now);
                }
                lease.end_attempt(&of_store, status, message.as_deref(), fence).await
            }
            Action::EndStep { step, status, message } => {
                let (of_model, of_store) = step_of(&step);
                if is_current {
                    self.records.end_step(job, of_model, status, message.clone(), now);
                }
                lease.end_step(of_store, status, message.as_deref()).await
            }
            Action::EndJob { status, message } => {
                if is_current {
                    self.records.end_job(job, status, message.clone(), now);
                }
                lease.end_job(of_store, status, message.as_deref()).await
            }
        };
        self.expect(result, is_current);
    }

    async fn claim(&mut self) {
        let Some(attempt) = self.pick_attempt() else { return };
        let executor = u32::try_from(self.choices.pick(2)).unwrap();
        self.last = format!("executor {executor} claims {attempt}");
        let request = ClaimRequest { executor_id: executor.to_string(), host: "h".to_owned() };
        let stored = match self.store.claim(&attempt, &request).await.unwrap() {
            ClaimOutcome::Claimed => Claimed::Yes,
            ClaimOutcome::Taken => Claimed::Taken,
            ClaimOutcome::Over => Claimed::Over,
            ClaimOutcome::Refused(_) => Claimed::Refused,
        };
        assert_eq!(self.records.claim(&attempt, executor, self.now), stored, "{}", self.last);
    }

    async fn plan_stored(&mut self) {
        let Some(attempt) = self.pick_attempt() else { return };
        let digest = self.fresh();
        self.last = format!("{attempt} stores plan {digest}");
        let stored = self.store.plan_stored(&attempt, &blob(&digest.to_string())).await.unwrap();
        let plan = Plan { digest, ..State::NONE.plan(digest) };
        assert_eq!(self.records.put_plan(&attempt, plan), stored, "{}", self.last);
    }

    async fn report(&mut self) {
        let Some(attempt) = self.pick_attempt() else { return };
        let outcomes =
            [StepOutcome::Completed, StepOutcome::Completed, StepOutcome::Failed, StepOutcome::Unknown];
        let outcome = self.pick(&outcomes).unwrap();
        let has_changes = Some(self.choices.pick(4) > 0);
        let result = StepResult {
            outcome,
            has_changes,
            message: None,
            evidence: None,
            commit_id: None,
            timings: Vec::new(),
            log_bytes: 0,
            log_complete: None,
            memory: None,
        };
        self.last = format!("{attempt} reports {outcome:?}");
        let stored = match self.store.report(&attempt, &result).await.unwrap() {
            ReportOutcome::Stored => Some(true),
            ReportOutcome::Different => Some(false),
            ReportOutcome::Over => None,
        };
        assert_eq!(self.records.report(&attempt, &result, self.now), stored, "{}", self.last);
    }

    async fn answer_approval(&mut self) {
        let Some(job) = self.pick_job() else { return };
        let approved = self.choices.pick(5) > 0;
        let digest = match self.choices.pick(3) {
            0 => None,
            1 => Some("another".to_owned()),
            _ => self.records.job(job).plan_digest_before(1000).map(str::to_owned),
        };
        self.last = format!("answer the approval of job {job}: {approved}, {digest:?}");
        let stored = self.store.answer_approval(job, approved, "user", digest.as_deref()).await;
        let done = self.records.answer_approval(job, approved, digest.as_deref(), self.now);
        assert!(
            matches!((&stored, done), (Ok(_), true) | (Err(StoreError::Conflict(_)), false)),
            "{stored:?}"
        );
    }

    async fn cancel_or_resolve(&mut self) {
        let Some(job) = self.pick_job() else { return };
        let actions = [None, Some(ResolutionAction::Accept), Some(ResolutionAction::Recheck)];
        let Some(action) = self.pick(&actions).unwrap() else {
            self.last = format!("cancel job {job}");
            let stored = self.store.request_cancel(job).await;
            assert_eq!(self.records.request_cancel(job), stored.is_ok(), "{}", self.last);
            return;
        };
        self.last = format!("resolve job {job}: {action:?}");
        let new = NewResolution { action, by: "user", note: None, evidence: "{}" };
        let stored = self.store.resolve(job, &new).await;
        let done = match action {
            ResolutionAction::Recheck => self.records.recheck(job, self.now),
            _ => self.records.resolve(job, true, self.now).then_some(job),
        };
        assert_eq!(stored.ok().map(|job| job.id), done, "{}", self.last);
    }

    async fn read_state(&mut self) {
        let Some(attempt) = self.pick_attempt() else { return };
        let workspace = self.workspace_of(&attempt);
        self.last = format!("{attempt} reads the state");
        let stored = self.store.read_state(&self.workspaces[workspace].id, &attempt).await.unwrap();
        let read = self.records.read_state(workspace, &attempt);
        assert_eq!(stored.map_or(0, |version| version.id), read.version, "{}", self.last);
    }

    async fn put_state(&mut self) {
        let Some(attempt) = self.pick_attempt() else { return };
        let workspace = self.workspace_of(&attempt);
        let latest = self.records.workspaces[workspace].latest();
        let step = [1, 1, 1, 0, -1][self.choices.pick(5)];
        let content = u32::try_from(self.choices.pick(2)).unwrap();
        let lineage =
            if self.choices.pick(8) == 7 || latest.lineage == 0 { self.fresh() } else { latest.lineage };
        let serial = latest.serial + step;
        let state = State { serial, lineage, resources: vec![(0, content)], ..State::NONE };
        let (model, writer) = self.writer(&attempt);
        let lock = self.lock_id(workspace);
        let force = model == Writer::User && self.choices.pick(3) == 2;
        self.last = format!("{model:?} stores {state:?} with lock {lock:?}, force {force}");
        let document =
            StateDocument { serial, lineage: lineage.to_string(), serial_at: 0..0, is_encrypted: false };
        let blob = blob(&format!("{lineage} {serial} {content}"));
        let (id, lock_text) = (&self.workspaces[workspace].id, lock.map(|lock| lock.to_string()));
        let stored =
            self.store.put_state(id, (&document, &blob), &writer, lock_text.as_deref(), force).await.unwrap();
        let put = self.records.put_state(workspace, &state, &model, lock, force);
        assert_eq!(put, outcome(&stored), "{}", self.last);
    }

    async fn lock_or_unlock(&mut self) {
        let Some(attempt) = self.pick_attempt() else { return };
        let workspace = self.workspace_of(&attempt);
        let (model, writer) = self.writer(&attempt);
        let id = self.workspaces[workspace].id.clone();
        if self.choices.pick(2) == 0 {
            let number = self.fresh();
            self.last = format!("{model:?} locks as {number}");
            let attempt_id = writer.attempt().map(str::to_owned);
            let lock = StateLock { lock_id: number.to_string(), info: "{}".to_owned(), attempt_id };
            let stored = self.store.lock_state(&id, &lock, &writer).await.unwrap();
            assert_eq!(self.records.lock(workspace, number, &model), outcome(&stored), "{}", self.last);
        } else {
            let lock = self.lock_id(workspace);
            self.last = format!("{model:?} unlocks {lock:?}");
            let text = lock.map(|lock| lock.to_string());
            let stored = self.store.unlock_state(&id, text.as_deref(), &writer).await.unwrap();
            assert_eq!(self.records.unlock(workspace, lock, &model), outcome(&stored), "{}", self.last);
        }
    }

    /// Picks the attempt or a user as the writer of a state.
    fn writer(&mut self, attempt: &str) -> (Writer, StateWriter) {
        if self.choices.pick(4) == 3 {
            (Writer::User, StateWriter::User("user".to_owned()))
        } else {
            (Writer::Attempt(attempt.to_owned()), StateWriter::Attempt(attempt.to_owned()))
        }
    }

    /// Picks the id of the lock, of none, or of another one.
    fn lock_id(&mut self, workspace: usize) -> Option<u32> {
        let held = self.records.workspaces[workspace].lock.as_ref().map(|lock| lock.id);
        [held, held, None, Some(999)][self.choices.pick(4)]
    }

    async fn confirm_end_or_rescue(&mut self) {
        let Some(attempt) = self.pick_attempt() else { return };
        if self.choices.pick(2) == 0 {
            self.last = format!("confirm the end of {attempt}");
            let stored = self.store.confirm_end(&attempt, "user").await;
            assert_eq!(self.records.confirm_end(&attempt), stored.is_ok(), "{}", self.last);
        } else {
            self.last = format!("rescue the state of {attempt}");
            let stored = self.store.rescued_state_stored(&attempt, "rescued/x").await.unwrap();
            assert_eq!(self.records.put_rescued(&attempt, State::NONE), stored, "{}", self.last);
        }
    }
}

fn blob(digest: &str) -> StoredBlob {
    StoredBlob { name: format!("blobs/{digest}"), digest: digest.to_owned(), size: 1 }
}

const fn outcome(stored: &LockOutcome) -> Put {
    match stored {
        LockOutcome::Done => Put::Done,
        LockOutcome::HeldBy(_) => Put::HeldBy,
        LockOutcome::Fenced => Put::Fenced,
        LockOutcome::Unchanged => Put::Unchanged,
        LockOutcome::Conflict(_) => Put::Conflict,
    }
}
