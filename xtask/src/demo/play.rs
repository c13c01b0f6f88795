//! The story of the demo: what a user registers, the three jobs, and how each must end.

use std::fmt;

use anyhow::{Context as _, bail};
use serde_json::json;

use crate::{
    environment::Environment,
    product::{
        api::Api,
        follow,
        model::{Job, Status},
        register::{self, CONFIGURATION, Registered, Wanted},
        state, summary,
        tool::Tool,
    },
};

use super::{Args, evidence, folder::DataFolder, person::Person};

/// Nobody wanted the changes: the demo ends early, and nothing is wrong with it.
#[derive(Debug)]
pub(super) struct Rejected(&'static str);

impl fmt::Display for Rejected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

impl std::error::Error for Rejected {}

/// Everything that the story needs.
#[derive(Debug)]
pub(super) struct Stage<'a> {
    pub(super) environment: &'a Environment,
    pub(super) args: &'a Args,
    pub(super) api: &'a Api,
    pub(super) folder: &'a DataFolder,
    pub(super) tool: Tool,
}

/// What the jobs left behind so far.
#[derive(Default)]
struct Record {
    jobs: Vec<Job>,
    log: String,
}

impl Stage<'_> {
    /// Plays the whole story.
    ///
    /// # Errors
    /// Something cannot be done, or a job does not end as it must; the summary of what ran has been shown by then.
    pub(super) fn play(&self) -> anyhow::Result<()> {
        let registered = self.register()?;
        let mut record = Record::default();
        let result = self.run_jobs(&registered, &mut record);
        self.environment.ui.quiet();
        if !record.jobs.is_empty() {
            let shown = self.show(&registered, &record);
            // How the jobs ended matters more than how well it could be shown.
            result.and(shown)?;
            self.environment.ui.good("every job ended as it should");
            return Ok(());
        }
        result
    }

    fn run_jobs(&self, registered: &Registered, record: &mut Record) -> anyhow::Result<()> {
        let ui = &self.environment.ui;
        ui.title("Job 1 of 3: plan, approval, apply");
        self.run_job(registered, &registered.plan_and_apply, Status::Completed, record)?;
        ui.note(&format!("the state holds: {}", state::read(self.api, &registered.workspace)?));

        ui.title("Job 2 of 3: the same again finds nothing to change");
        self.run_job(registered, &registered.plan_and_apply, Status::NoChanges, record)?;

        ui.title("Job 3 of 3: destroy");
        self.run_job(registered, &registered.destroy, Status::Completed, record)?;
        ui.note(&format!("the state holds: {}", state::read(self.api, &registered.workspace)?));
        Ok(())
    }

    fn run_job(
        &self,
        registered: &Registered,
        template: &str,
        expected: Status,
        record: &mut Record,
    ) -> anyhow::Result<()> {
        self.environment.interrupt.check()?;
        let path = format!("/v1/workspaces/{}/jobs", registered.workspace);
        let job: Job = self.api.create(&path, &json!({ "templateId": template }))?;
        let mut person = Person { environment: self.environment, yes: self.args.yes };
        let followed = follow::follow(self.environment, self.api, job.id, &mut person)?;
        let (status, reason) =
            (followed.job.status, followed.job.reason().unwrap_or("it gave no reason").to_owned());
        record.jobs.push(followed.job);
        record.log.push_str(&followed.log);
        match followed.rejection {
            Some(rejection) => Err(Rejected(rejection).into()),
            None if status != expected => {
                bail!("job {} ended as {status}, expected {expected}: {reason}", job.id)
            }
            None => Ok(()),
        }
    }

    fn show(&self, registered: &Registered, record: &Record) -> anyhow::Result<()> {
        let ui = &self.environment.ui;
        ui.title("Summary");
        ui.line(&summary::table(&record.jobs, ui.colours()));
        let folder = self.folder.path();
        evidence::save_kubernetes_jobs(self.api, folder, &record.jobs)?;
        evidence::show_places(self.environment, self.api, self.folder, &registered.workspace, &record.jobs);
        evidence::find_no_secret(folder, &record.log, &registered.secret)?;
        ui.title("Checks");
        ui.good(
            "the sensitive variable stands in no log line, and in clear text in no file of the data folder",
        );
        Ok(())
    }

    fn register(&self) -> anyhow::Result<Registered> {
        let ui = &self.environment.ui;
        ui.title("Registering the configuration");
        let source = self.environment.root.join(CONFIGURATION);
        let source = source.to_str().context("the path of the repository is not UTF-8")?;
        let wanted =
            Wanted { organization: "demo", source, tool: self.tool, services: "{ web = 2, worker = 1 }" };
        let registered = register::register(self.api, &wanted)?;
        ui.good(&format!("workspace {} runs {CONFIGURATION} with {}", registered.name, self.tool.name()));
        ui.good("variables owner, services and database_password (sensitive) are set");
        ui.good("templates plan-and-apply and destroy are there");
        Ok(registered)
    }
}
