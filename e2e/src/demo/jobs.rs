//! The three jobs of the demo, and how each must end.

use std::fmt;

use anyhow::{Context as _, bail};
use api_server::{
    client::{Client, Job},
    model::JobStatus,
};
use serde_json::json;

use super::{data_folder::DataFolder, evidence};
use crate::{
    follow::{self, Observer, spaced},
    registration::{CONFIGURATION, Registered, Registration},
    session::Session,
    state, summary,
    tool::Tool,
    ui::{self, Ui},
};

/// The user rejected the plan: the demo ends early, without a failure of the product.
#[derive(Debug)]
pub(super) struct Rejected(&'static str);

impl fmt::Display for Rejected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

impl std::error::Error for Rejected {}

/// A demo at a running server.
#[derive(Debug)]
pub(super) struct Demo<'a> {
    pub(super) session: &'a Session,
    pub(super) yes: bool,
    pub(super) client: &'a Client,
    pub(super) folder: &'a DataFolder,
    pub(super) tool: Tool,
}

/// The jobs that have ended.
#[derive(Default)]
struct Record {
    jobs: Vec<Job>,
    log: String,
}

impl Demo<'_> {
    /// Runs the three jobs and prints a summary, also when one of them fails.
    ///
    /// # Errors
    /// A job did not end as it must, or the sensitive variable was found in clear text.
    pub(super) async fn run(&self) -> anyhow::Result<()> {
        let registered = self.register().await?;
        let mut record = Record::default();
        let result = self.run_jobs(&registered, &mut record).await;
        self.session.ui.clear_progress();
        if record.jobs.is_empty() {
            return result;
        }
        let shown = self.show(&registered, &record).await;
        result.and(shown)?;
        self.session.ui.success("every job ended as it should");
        Ok(())
    }

    async fn run_jobs(&self, registered: &Registered, record: &mut Record) -> anyhow::Result<()> {
        let ui = &self.session.ui;
        ui.title("Job 1 of 3: plan, approval, apply");
        self.run_job(registered, &registered.plan_and_apply, JobStatus::Completed, record).await?;
        ui.note(&format!("state: {}", state::read(self.client, &registered.workspace).await?));

        ui.title("Job 2 of 3: a second plan finds nothing to change");
        self.run_job(registered, &registered.plan_and_apply, JobStatus::NoChanges, record).await?;

        ui.title("Job 3 of 3: destroy");
        self.run_job(registered, &registered.destroy, JobStatus::Completed, record).await?;
        ui.note(&format!("state: {}", state::read(self.client, &registered.workspace).await?));
        Ok(())
    }

    async fn run_job(
        &self,
        registered: &Registered,
        template: &str,
        expected: JobStatus,
        record: &mut Record,
    ) -> anyhow::Result<()> {
        let path = format!("/v1/workspaces/{}/jobs", registered.workspace);
        let job: Job = self.client.create(&path, &json!({ "templateId": template })).await?;
        let mut user = User { ui: &self.session.ui, yes: self.yes };
        let followed = follow::follow(&self.session.ui, self.client, job.id, &mut user).await?;
        let status = followed.job.status;
        let reason = followed.job.reason().unwrap_or("no reason given").to_owned();
        record.jobs.push(followed.job);
        record.log.push_str(&followed.log);
        match followed.rejection {
            Some(rejection) => Err(Rejected(rejection).into()),
            None if status != expected => {
                bail!("job {} ended as {}, expected {}: {reason}", job.id, spaced(status), spaced(expected))
            }
            None => Ok(()),
        }
    }

    async fn show(&self, registered: &Registered, record: &Record) -> anyhow::Result<()> {
        let ui = &self.session.ui;
        ui.title("Summary");
        ui.line(&summary::table(&record.jobs, ui.colors));
        let folder = self.folder.path();
        evidence::save_kubernetes_jobs(self.client, folder, &record.jobs).await?;
        evidence::print_paths(ui, self.client, self.folder, &registered.workspace, &record.jobs);
        evidence::check_for_secret(folder, &record.log, &registered.secret)?;
        ui.title("Checks");
        ui.success(
            "the sensitive variable is in no log line, and in clear text in no file of the data folder",
        );
        Ok(())
    }

    async fn register(&self) -> anyhow::Result<Registered> {
        let ui = &self.session.ui;
        ui.title("Registering the configuration");
        let source = self.session.root.join(CONFIGURATION);
        let source = source.to_str().context("the path of the repository is not UTF-8")?;
        let services = "{ web = 2, worker = 1 }";
        let registration = Registration { organization: "demo", source, tool: self.tool, services };
        let registered = registration.register(self.client).await?;
        ui.success(&format!("workspace {} runs {CONFIGURATION} with {}", registered.name, self.tool.name()));
        ui.success("variables owner, services and database_password (sensitive) are set");
        ui.success("templates plan-and-apply and destroy exist");
        Ok(registered)
    }
}

/// The user at the terminal, or `--yes`.
struct User<'a> {
    ui: &'a Ui,
    yes: bool,
}

impl Observer for User<'_> {
    async fn decide(&mut self) -> anyhow::Result<Option<&'static str>> {
        if self.yes {
            self.ui.note("Apply these changes? yes (--yes)");
            return Ok(None);
        }
        if !ui::can_ask() {
            return Ok(Some("the plan was rejected: there is no terminal for the question; use `--yes`"));
        }
        let is_approved = self.ui.confirm("Apply these changes?").await;
        Ok((!is_approved).then_some("the plan was rejected: the answer was not yes"))
    }
}
