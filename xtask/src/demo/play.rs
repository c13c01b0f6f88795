//! The story of the demo: what a user registers, the three jobs, and how each must end.

use std::{
    fmt, process,
    time::{SystemTime, UNIX_EPOCH},
};

use anyhow::{Context as _, bail};
use serde_json::{Value, json};

use crate::{environment::Environment, ui::Ui};

use super::{
    Args,
    api::Api,
    evidence,
    folder::DataFolder,
    follow::{self, Decision},
    model::{Items, Job, Named, Status},
    summary,
    tool::Tool,
};

const CONFIGURATION: &str = "examples/hello-terraform";

const PLAN_AND_APPLY: &str = "\
flow:
- {type: terraformPlan, name: Plan, step: 100}
- {type: approval, name: Approval, step: 150}
- {type: terraformApply, name: Apply, step: 200}
";

const DESTROY: &str = "\
flow:
- {type: terraformDestroy, name: Destroy, step: 100}
";

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

/// What was registered.
struct Registered {
    workspace: String,
    plan_and_apply: String,
    destroy: String,
    /// The value of the sensitive variable.
    secret: String,
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
        ui.note(&format!("the state holds: {}", evidence::describe_state(self.api, &registered.workspace)?));

        ui.title("Job 2 of 3: the same again finds nothing to change");
        self.run_job(registered, &registered.plan_and_apply, Status::NoChanges, record)?;

        ui.title("Job 3 of 3: destroy");
        self.run_job(registered, &registered.destroy, Status::Completed, record)?;
        ui.note(&format!("the state holds: {}", evidence::describe_state(self.api, &registered.workspace)?));
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
        let followed = follow::follow(self.environment, self.api, job.id, self.decision())?;
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

    fn decision(&self) -> Decision {
        if self.args.yes {
            Decision::Apply
        } else if Ui::can_ask() {
            Decision::Ask
        } else {
            Decision::Nobody
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
        let source = self.environment.root.join(CONFIGURATION);
        ui.title("Registering the configuration");
        let organization = self.find_or_create("/v1/organizations", &json!({ "name": "demo" }))?;
        let workspaces = format!("/v1/organizations/{organization}/workspaces");
        let name = self.free_name(&workspaces, "hello-terraform")?;
        let workspace: Named = self.api.create(
            &workspaces,
            &json!({ "name": name, "source": source.to_str().context("the path of the repository is not UTF-8")?, "iacType": self.tool.name() }),
        )?;
        ui.good(&format!("workspace {name} runs {CONFIGURATION} with {}", self.tool.name()));

        let secret = secret();
        let variables = format!("/v1/workspaces/{}/variables", workspace.id);
        for variable in [
            json!({ "key": "owner", "value": "the demo", "category": "TERRAFORM" }),
            json!({ "key": "services", "value": "{ web = 2, worker = 1 }", "category": "TERRAFORM", "hcl": true }),
            json!({ "key": "database_password", "value": secret, "category": "TERRAFORM", "sensitive": true }),
        ] {
            self.api.create::<Value>(&variables, &variable)?;
        }
        ui.good("variables owner, services and database_password (sensitive) are set");

        let templates = format!("/v1/organizations/{organization}/templates");
        let template =
            |name: &str, tcl: &str| self.find_or_create(&templates, &json!({ "name": name, "tcl": tcl }));
        let plan_and_apply = template("plan-and-apply", PLAN_AND_APPLY)?;
        let destroy = template("destroy", DESTROY)?;
        ui.good("templates plan-and-apply and destroy are there");
        Ok(Registered { workspace: workspace.id, plan_and_apply, destroy, secret })
    }

    /// Returns the id of the thing of this name in a list, which an earlier demo may have made.
    fn find_or_create(&self, path: &str, body: &Value) -> anyhow::Result<String> {
        let known = self.api.get::<Items<Named>>(path)?.items;
        match known.into_iter().find(|thing| body["name"] == thing.name.as_str()) {
            Some(thing) => Ok(thing.id),
            None => Ok(self.api.create::<Named>(path, body)?.id),
        }
    }

    /// Returns a name that is not in a list yet: a new workspace has no state, so the jobs end as expected.
    fn free_name(&self, path: &str, wanted: &str) -> anyhow::Result<String> {
        let known = self.api.get::<Items<Named>>(path)?.items;
        let is_free = |name: &String| known.iter().all(|thing| &thing.name != name);
        let candidates = (1_u32..).map(|n| if n == 1 { wanted.to_owned() } else { format!("{wanted}-{n}") });
        candidates.into_iter().find(is_free).context("every name is taken")
    }
}

/// Makes a value that stands nowhere by chance.
fn secret() -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_nanos());
    format!("not-for-the-log-{}-{now}", process::id())
}
