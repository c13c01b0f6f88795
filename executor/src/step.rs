//! One step from its work directory to its verdict: what the runner needs is fetched, what it leaves is sent.
//!
//! The children run in [`crate::runner`]; this module only speaks for them.

use std::{fs, path::Path, sync::Arc, time::Instant};

use config_core::EnvSnapshot;
use job_spec::{StepType, attempt_api::ClaimResponse};

use crate::{
    api::{Api, ApiError, ErrorKind, StateAddress, persist},
    chain::chain,
    input::Input,
    log::Log,
    patience::Patience,
    places::{Places, WorkDir, write_private},
    runner::{Ran, Record, RunError, Runner},
    stop::Stop,
    verdict::{Facts, Verdict, judge},
};

/// Everything that is known when the step starts.
#[derive(Debug)]
pub(crate) struct Step<'a> {
    pub(crate) input: &'a Input,
    pub(crate) env: &'a EnvSnapshot,
    pub(crate) claim: &'a ClaimResponse,
    pub(crate) api: &'a Api,
    pub(crate) places: &'a Places,
    pub(crate) log: &'a Log,
    pub(crate) stop: &'a Stop,
    pub(crate) patience: Patience,
}

impl Step<'_> {
    /// Performs the step. The work directory is gone when this returns.
    pub(crate) async fn perform(&self, record: &mut Record) -> Verdict {
        if let Some(verdict) = self.without_terraform() {
            return verdict;
        }
        let started = Instant::now();
        let plan = match self.reviewed_plan().await {
            Ok(plan) => plan,
            Err(verdict) => return verdict,
        };
        let places = self.places.clone();
        let dir = match tokio::task::spawn_blocking(move || places.enter()).await {
            Ok(Ok(dir)) => Arc::new(dir),
            Ok(Err(error)) => return Verdict::failed(chain(&error)),
            Err(error) => return Verdict::failed(chain(&error)),
        };
        let verdict = self.inside(&dir, plan.as_deref(), started, record).await;
        // Providers are large; the runtime goes on carrying the log while they are removed.
        let _ = tokio::task::spawn_blocking(move || drop(dir)).await;
        verdict
    }

    /// The verdict of a step that needs no terraform, or that cannot be performed.
    fn without_terraform(&self) -> Option<Verdict> {
        let payload = &self.input.payload;
        let commands = payload.command_list.as_ref().map_or(0, Vec::len);
        if commands > 0 {
            return Some(Verdict::failed(format!(
                "the step has {commands} scripts, which this executor cannot run yet; nothing was started"
            )));
        }
        matches!(payload.step_type, StepType::Approval | StepType::CustomScripts)
            .then_some(Verdict::COMPLETED)
    }

    /// The plan file that an apply must use. Without it there is no apply: nobody has reviewed what it would do.
    async fn reviewed_plan(&self) -> Result<Option<Vec<u8>>, Verdict> {
        if self.input.payload.step_type != StepType::TerraformApply || !self.claim.plan_expected {
            return Ok(None);
        }
        let download = || self.api.download_plan();
        match persist(self.patience.transfer, || self.stop.is_raised(), download).await {
            Ok(plan) => Ok(Some(plan)),
            Err(error) => Err(self.without_plan(&error)),
        }
    }

    fn without_plan(&self, error: &ApiError) -> Verdict {
        self.notice_fence(error);
        if self.stop.is_raised() {
            return Verdict::cancelled("told to stop before terraform was started");
        }
        if error.kind == ErrorKind::NotFound {
            return Verdict::failed(
                "the job has no plan file, although it has a plan step; nothing was applied",
            );
        }
        Verdict::failed(chain(error)).and("nothing was applied")
    }

    fn notice_fence(&self, error: &ApiError) {
        if error.kind == ErrorKind::Over {
            self.stop.fence();
        }
    }

    async fn inside(
        &self,
        dir: &WorkDir,
        plan: Option<&[u8]>,
        started: Instant,
        record: &mut Record,
    ) -> Verdict {
        let state = StateAddress {
            url: self.claim.state_url.clone(),
            user: self.claim.attempt_id.clone(),
            password: self.input.given.token.clone(),
        };
        let Self { input, env, log, stop, .. } = *self;
        let runner = Runner { input, env, state: &state, log, stop, dir };
        let ran = match runner.run(plan, started, record).await {
            Ok(ran) => ran,
            Err(RunError::Stopped) => return Verdict::cancelled(RunError::Stopped.to_string()),
            Err(error) => return Verdict::failed(chain(&error)),
        };
        let verdict = judge(Facts {
            step: input.payload.step_type,
            command: &ran.command,
            ended: ran.ended,
            told_to_stop: ran.told_to_stop,
            ignore_error: input.payload.ignore_error,
        });
        self.upload(&ran, dir, &state, verdict, record).await
    }

    /// Sends what terraform has left: a plan file, or a state that it could not store.
    async fn upload(
        &self,
        ran: &Ran,
        dir: &WorkDir,
        state: &StateAddress,
        verdict: Verdict,
        record: &mut Record,
    ) -> Verdict {
        let started = Instant::now();
        let errored = ran.folder.join("errored.tfstate");
        if self.input.payload.step_type.is_plan() {
            // Only a successful plan says what it found; an ignored failure has left no file that may be applied.
            let usable =
                matches!(ran.ended, crate::process::Ended::Code(0 | 2)) && verdict.has_changes.is_some();
            if usable {
                let verdict = self.upload_plan(&dir.plan_file(), verdict).await;
                record.phase("upload", started);
                return verdict;
            }
        } else if errored.exists() {
            let verdict = self.rescue_state(&errored, state, verdict).await;
            record.phase("upload", started);
            return verdict;
        }
        verdict
    }

    async fn upload_plan(&self, file: &Path, verdict: Verdict) -> Verdict {
        let plan = match fs::read(file) {
            Ok(plan) => plan,
            Err(error) => return Verdict::failed(format!("terraform has left no plan file: {error}")),
        };
        let upload = || self.api.upload_plan(plan.clone());
        match persist(self.patience.transfer, || self.stop.is_fenced(), upload).await {
            Ok(()) => verdict,
            Err(error) => {
                self.notice_fence(&error);
                Verdict::failed(chain(&error))
            }
        }
    }

    /// Stores the state that terraform has written to a file because it could not store it; keeps it if that fails too.
    async fn rescue_state(&self, file: &Path, state: &StateAddress, verdict: Verdict) -> Verdict {
        let body = match fs::read(file) {
            Ok(body) => body,
            Err(error) => {
                return verdict.and(&format!("the state in errored.tfstate cannot be read: {error}"));
            }
        };
        let pushed = if self.stop.is_fenced() {
            Err("the attempt is over".to_owned())
        } else {
            self.log.note("terraform could not store the state; the executor stores errored.tfstate itself");
            let push = || self.api.push_state(state, body.clone());
            persist(self.patience.transfer, || self.stop.is_fenced(), push)
                .await
                .map_err(|error| chain(&error))
        };
        let Err(reason) = pushed else {
            self.log.note("the state is stored");
            return verdict.and("the executor has stored the state that terraform could not store");
        };
        let kept = self.places.kept_state();
        let sentence = match write_private(&kept, &body) {
            Ok(()) => format!("the state could not be stored ({reason}) and is kept in {}", kept.display()),
            Err(error) => {
                format!("the state is lost: it could neither be stored ({reason}) nor kept ({error})")
            }
        };
        tracing::error!("{sentence}");
        self.log.note(&sentence);
        verdict.and(&sentence)
    }
}
