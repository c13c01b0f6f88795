//! The part that runs children: fetch, init, and the command of the step.
//!
//! It speaks to nobody. Output goes to the [`Log`], the plan file of the job comes in as bytes, and what comes out are
//! files in the work directory and an account of what happened. Everything that has to be sent is sent by [`crate::step`].

use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
    time::Instant,
};

use config_core::EnvSnapshot;
use job_spec::attempt_api::PhaseTiming;

use crate::{
    api::StateAddress,
    child_env::{self, ChildEnvError},
    engine::{Engine, EngineError, Options, init_args, step_args},
    input::Input,
    log::Log,
    places::{WorkDir, write_private},
    process::{Ended, Invocation, ProcessError, ask, run},
    source::{
        FetchError,
        address::{self, Access, Source},
        folder, git, working_directory,
    },
    stop::Stop,
};

/// Makes terraform use the `http` backend; everything about it is in the environment, so that no file holds the token.
const BACKEND_FILE: &str = "ephemeral_agents_backend_override.tf";
const BACKEND: &str = "terraform {\n  backend \"http\" {}\n}\n";

/// What is known of the attempt so far, whether it goes well or not.
#[derive(Debug, Default)]
pub(crate) struct Record {
    pub(crate) commit_id: Option<String>,
    pub(crate) timings: Vec<PhaseTiming>,
}

impl Record {
    /// Notes the duration of a phase that ends now.
    pub(crate) fn phase(&mut self, name: &str, started: Instant) {
        let milliseconds = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.timings.push(PhaseTiming { phase: name.to_owned(), milliseconds });
    }
}

/// Why the command of the step was not run to its end.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RunError {
    #[error("told to stop before terraform had started to work")]
    Stopped,
    #[error("could not fetch the source")]
    Fetch(#[source] FetchError),
    #[error("the terraform program cannot be used")]
    Engine(#[source] EngineError),
    #[error("the variables of the workspace cannot be used")]
    Variables(#[source] ChildEnvError),
    #[error("could not write {what}")]
    Write { what: &'static str, source: io::Error },
    #[error("{command} failed with {ended}; its own words are in the log")]
    Init { command: String, ended: Ended },
    #[error(transparent)]
    Process(#[from] ProcessError),
}

/// Terraform has ended.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) ended: Ended,
    /// The wish to stop came before the end.
    pub(crate) told_to_stop: bool,
    /// The command in words.
    pub(crate) command: String,
    /// Where it ran.
    pub(crate) folder: PathBuf,
}

/// Everything the children need.
#[derive(Debug)]
pub(crate) struct Runner<'a> {
    pub(crate) input: &'a Input,
    pub(crate) env: &'a EnvSnapshot,
    pub(crate) state: &'a StateAddress,
    pub(crate) log: &'a Log,
    pub(crate) stop: &'a Stop,
    pub(crate) dir: &'a WorkDir,
}

impl Runner<'_> {
    /// Runs the step. `plan` is the reviewed plan of an apply; `started` is when fetching began.
    pub(crate) async fn run(
        &self,
        plan: Option<&[u8]>,
        started: Instant,
        record: &mut Record,
    ) -> Result<Ran, RunError> {
        self.check_stop()?;
        let fetched = self.fetch(record).await;
        record.phase("fetch", started);
        let folder = fetched?;

        let started = Instant::now();
        let prepared = self.prepare(&folder, plan).await;
        record.phase("init", started);
        let (program, env) = prepared?;

        let started = Instant::now();
        let ran = self.command(program, folder, &env, plan.is_some()).await;
        record.phase("terraform", started);
        ran
    }

    fn check_stop(&self) -> Result<(), RunError> {
        if self.stop.is_raised() { Err(RunError::Stopped) } else { Ok(()) }
    }

    fn banner(&self, text: &str) {
        if self.input.payload.show_header {
            self.log.note(&format!("=== {text} ==="));
        }
    }

    /// Brings the configuration into the work directory and returns the folder to work in.
    async fn fetch(&self, record: &mut Record) -> Result<PathBuf, RunError> {
        let payload = &self.input.payload;
        let root = self.dir.source();
        match address::locate(payload, address::is_bare_repository).map_err(RunError::Fetch)? {
            Source::Folder(from) => {
                self.banner(&format!("copying {}", from.display()));
                let (to, work) = (root.clone(), self.dir.path().to_owned());
                tokio::task::spawn_blocking(move || folder::copy(&from, &to, &work))
                    .await
                    .map_err(|error| RunError::Write { what: "the source", source: error.into() })?
                    .map_err(RunError::Fetch)?;
            }
            Source::Git(repository) => {
                self.banner(&format!("cloning {}", repository.url));
                let clone = git::Clone {
                    repository: &repository,
                    branch: payload.branch.split(',').next().unwrap_or_default().trim(),
                    commit: payload.commit_id.as_deref().filter(|commit| !commit.is_empty()),
                    target: &root,
                    key_file: self.dir.key_file("source"),
                };
                let env = child_env::inherited(self.env);
                let commit = git::clone(&clone, &env, self.log, self.stop).await.map_err(RunError::Fetch)?;
                if let Some(commit) = &commit {
                    self.banner(&format!("at commit {commit}"));
                }
                record.commit_id = commit;
            }
        }
        self.check_stop()?;
        working_directory(&root, &payload.folder).map_err(RunError::Fetch)
    }

    /// Finds the program, writes what it needs, and runs `init`. Returns the program and its environment.
    async fn prepare(
        &self,
        folder: &Path,
        plan: Option<&[u8]>,
    ) -> Result<(PathBuf, BTreeMap<String, String>), RunError> {
        let payload = &self.input.payload;
        let engine = Engine::new(payload.tofu);
        let program = engine.locate(self.env.get("PATH")).map_err(RunError::Engine)?;
        let env = child_env::terraform(self.env, payload, self.state, plan.is_some())
            .map_err(RunError::Variables)?;
        if !payload.terraform_version.is_empty() {
            let args = vec!["version".into(), "-json".into()];
            let call = Invocation { program: &program, args, dir: self.dir.path(), env: &env };
            let answer = ask(&call, self.log, self.stop).await?;
            self.check_stop()?;
            engine
                .check_version(&answer.unwrap_or_default(), &payload.terraform_version)
                .map_err(RunError::Engine)?;
        }
        fs::write(folder.join(BACKEND_FILE), BACKEND)
            .map_err(|source| RunError::Write { what: "the backend file", source })?;
        if let Some(plan) = plan {
            write_private(&self.dir.plan_file(), plan)
                .map_err(|source| RunError::Write { what: "the plan file", source })?;
        }
        self.init(engine, &program, folder, env.clone()).await?;
        Ok((program, env))
    }

    async fn init(
        &self,
        engine: Engine,
        program: &Path,
        folder: &Path,
        mut env: BTreeMap<String, String>,
    ) -> Result<(), RunError> {
        if let Some(key) = self.module_key()
            && !env.contains_key("GIT_SSH_COMMAND")
        {
            let command = git::write_key(&self.dir.key_file("modules"), &key)
                .map_err(|source| RunError::Write { what: "the private key for modules", source })?;
            env.insert("GIT_SSH_COMMAND".into(), command);
        }
        let command = format!("{} init", engine.program());
        self.banner(&command);
        let args = init_args(self.options());
        let call = Invocation { program, args, dir: folder, env: &env };
        let ended = run(&call, self.log, self.stop).await?;
        self.check_stop()?;
        if ended == Ended::Code(0) { Ok(()) } else { Err(RunError::Init { command, ended }) }
    }

    /// The key for modules from private repositories: the workspace's own, else the one of its source.
    fn module_key(&self) -> Option<String> {
        let payload = &self.input.payload;
        let own = payload.module_ssh_key.clone().filter(|key| !key.trim().is_empty());
        own.or_else(|| match address::locate(payload, |_| false) {
            Ok(Source::Git(address::Repository { access: Access::Key(key), .. })) => {
                Some(key.expose().to_owned())
            }
            _ => None,
        })
    }

    /// Runs the command of the step.
    async fn command(
        &self,
        program: PathBuf,
        folder: PathBuf,
        env: &BTreeMap<String, String>,
        reviewed: bool,
    ) -> Result<Ran, RunError> {
        let payload = &self.input.payload;
        let args = step_args(self.options(), &self.dir.plan_file(), reviewed).unwrap_or_default();
        let name = args.first().map(|arg| arg.to_string_lossy().into_owned()).unwrap_or_default();
        let command = format!("{} {name}", Engine::new(payload.tofu).program());
        self.banner(&command);
        let call = Invocation { program: &program, args, dir: &folder, env };
        let ended = run(&call, self.log, self.stop).await?;
        Ok(Ran { ended, told_to_stop: self.stop.is_raised(), command, folder })
    }

    fn options(&self) -> Options {
        let payload = &self.input.payload;
        Options {
            step: payload.step_type,
            refresh: payload.refresh,
            refresh_only: payload.refresh_only,
            color: self.input.given.color,
        }
    }
}
