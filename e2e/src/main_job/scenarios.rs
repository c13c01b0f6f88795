//! The scenarios of the main job, independent of where the api-server and the executors run.

use std::time::Instant;

use anyhow::{Context as _, bail, ensure};
use api_server::{client::Job, model::JobStatus};
use serde_json::{Value, json};

use super::{
    intervention::{Intervener, Intervention},
    site::Site,
};
use crate::{
    follow::{self, FollowedJob, spaced},
    log_lines::without_escape_sequences,
    registration::{Registered, Registration, set_variable},
    report::Outcome,
    state,
    tool::Tool,
    ui::Ui,
};

/// Each service is checked for 0.4 s, so that the apply takes some seconds.
const SERVICES: usize = 40;

/// Texts of the log in the middle of an apply.
const WEB: &str = "checking web ...";
const SERVICE: &str = "checking s01 ...";

const SCENARIOS: [(Scenario, &str); 5] = [
    (Scenario::MainJob, "plan, approval, apply"),
    (Scenario::NoChanges, "the same job again"),
    (Scenario::Destroy, "all resources are destroyed"),
    (Scenario::CancelApply, "the job is cancelled in the middle of an apply"),
    (Scenario::Restarts, "the api-server is restarted, and killed in the middle of an apply"),
];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Scenario {
    MainJob,
    NoChanges,
    Destroy,
    CancelApply,
    Restarts,
}

impl Scenario {
    const fn name(self) -> &'static str {
        match self {
            Self::MainJob => "main-job",
            Self::NoChanges => "no-changes",
            Self::Destroy => "destroy",
            Self::CancelApply => "cancel-apply",
            Self::Restarts => "restarts",
        }
    }
}

/// How a job runs and ends.
#[derive(Debug, Clone, Copy)]
struct Run {
    intervention: Intervention,
    marker: &'static str,
    expected: JobStatus,
}

/// The scenarios at one site.
pub(super) struct Scenarios<'a, S> {
    pub(super) ui: &'a Ui,
    pub(super) site: &'a mut S,
    pub(super) source: &'a str,
    pub(super) tool: Tool,
    /// Variables of every workspace besides those of the configuration.
    pub(super) variables: &'a [Value],
    pub(super) outcomes: &'a mut Vec<Outcome>,
}

impl<S: Site> Scenarios<'_, S> {
    /// Runs all scenarios up to the first that fails; each needs the result of the one before.
    pub(super) async fn run(&mut self) -> anyhow::Result<()> {
        let small = self.register("{ web = 2, worker = 1 }").await?;
        let large: Vec<_> = (0..SERVICES).map(|number| format!("s{number:02} = 1")).collect();
        let large = self.register(&format!("{{ {} }}", large.join(", "))).await?;
        for (scenario, description) in SCENARIOS {
            if scenario == Scenario::Restarts
                && let Some(obstacle) = self.site.restart_obstacle()
            {
                self.ui.warning(&format!("scenario \"restarts\" is skipped: {obstacle}"));
                continue;
            }
            self.ui.title(&format!("Scenario {:?}: {description}", scenario.name()));
            let start = Instant::now();
            let result = match scenario {
                Scenario::MainJob => self.main_job(&small).await,
                Scenario::NoChanges => self.no_changes(&small).await,
                Scenario::Destroy => self.destroy(&small).await,
                Scenario::CancelApply => self.cancel_apply(&large).await,
                Scenario::Restarts => self.restarts(&large).await,
            };
            self.ui.clear_progress();
            let observed = result.as_ref().map(Clone::clone).map_err(|error| format!("{error:#}"));
            let seconds = start.elapsed().as_secs_f64();
            self.outcomes.push(Outcome::new(scenario.name(), description, seconds, observed));
            result.with_context(|| format!("scenario {:?} failed", scenario.name()))?;
        }
        Ok(())
    }

    async fn register(&self, services: &str) -> anyhow::Result<Registered> {
        let registration =
            Registration { organization: "e2e", source: self.source, tool: self.tool, services };
        let registered = registration.register(self.site.client()).await?;
        for variable in self.variables {
            set_variable(self.site.client(), &registered.workspace, variable).await?;
        }
        Ok(registered)
    }

    async fn main_job(&mut self, registered: &Registered) -> anyhow::Result<String> {
        let run = Run { intervention: Intervention::None, marker: WEB, expected: JobStatus::Completed };
        let (followed, was_live) = self.job(registered, &registered.plan_and_apply, run).await?;
        ensure!(was_live == Some(true), "the log of the apply was received only after its end");
        let pods = self.pods_of_steps(&followed.job).await?;
        self.check_log(&followed, registered).await?;
        let state = state::read(self.site.client(), &registered.workspace).await?;
        ensure!(state.resources > 0, "the state is empty: {state}");
        Ok(format!("{pods}; live log; state: {state}"))
    }

    async fn no_changes(&mut self, registered: &Registered) -> anyhow::Result<String> {
        let before = state::read(self.site.client(), &registered.workspace).await?;
        let run = Run { intervention: Intervention::None, marker: WEB, expected: JobStatus::NoChanges };
        self.job(registered, &registered.plan_and_apply, run).await?;
        let after = state::read(self.site.client(), &registered.workspace).await?;
        ensure!(before.resources == after.resources, "the state changed from {before} to {after}");
        Ok("nothing to change, nothing applied".to_owned())
    }

    async fn destroy(&mut self, registered: &Registered) -> anyhow::Result<String> {
        let run = Run { intervention: Intervention::None, marker: WEB, expected: JobStatus::Completed };
        self.job(registered, &registered.destroy, run).await?;
        let state = state::read(self.site.client(), &registered.workspace).await?;
        ensure!(state.resources == 0, "the state is not empty: {state}");
        Ok(format!("state: {state}"))
    }

    /// The state contains what the apply had created, and the workspace is unlocked for the next job.
    async fn cancel_apply(&mut self, registered: &Registered) -> anyhow::Result<String> {
        let run = Run { intervention: Intervention::Cancel, marker: SERVICE, expected: JobStatus::Cancelled };
        let (followed, was_live) = self.job(registered, &registered.plan_and_apply, run).await?;
        ensure!(was_live == Some(true), "the job ended before it could be cancelled");
        ensure!(count_final_checks(&followed) == 0, "the apply ran to its end nevertheless");
        let state = state::read(self.site.client(), &registered.workspace).await?;
        ensure!(state.resources > 0, "the state does not contain what the apply had created: {state}");
        Ok(format!("cancelled; state: {state}"))
    }

    /// Nothing is lost and nothing is applied twice.
    async fn restarts(&mut self, registered: &Registered) -> anyhow::Result<String> {
        let run =
            Run { intervention: Intervention::Restarts, marker: SERVICE, expected: JobStatus::Completed };
        let (followed, was_live) = self.job(registered, &registered.plan_and_apply, run).await?;
        ensure!(was_live == Some(true), "the apply ended before the api-server could be killed");
        let pods = self.pods_of_steps(&followed.job).await?;
        self.check_log(&followed, registered).await?;
        let count = count_final_checks(&followed);
        ensure!(count == 1, "the final check of the apply ran {count} times, expected once");
        Ok(format!("{pods}; the log is complete"))
    }

    async fn job(
        &mut self,
        registered: &Registered,
        template: &str,
        run: Run,
    ) -> anyhow::Result<(FollowedJob, Option<bool>)> {
        let client = self.site.client().clone();
        let path = format!("/v1/workspaces/{}/jobs", registered.workspace);
        let job: Job = client.create(&path, &json!({ "templateId": template })).await?;
        let mut intervener = Intervener::new(&mut *self.site, run.intervention, run.marker);
        let followed = follow::follow(self.ui, &client, job.id, &mut intervener).await?;
        let (status, reason) = (followed.job.status, followed.job.reason().unwrap_or("no reason given"));
        if status != run.expected {
            let (status, expected) = (spaced(status), spaced(run.expected));
            bail!("job {} ended as {status}, expected {expected}: {reason}", job.id);
        }
        let was_live = intervener.was_live;
        Ok((followed, was_live))
    }

    /// Checks that each step had one attempt, in a pod of its own.
    async fn pods_of_steps(&self, job: &Job) -> anyhow::Result<String> {
        let mut pods = Vec::new();
        for step in &job.steps {
            let jobs: Vec<_> = step.attempts.iter().map(|attempt| attempt.kubernetes_job.as_str()).collect();
            ensure!(jobs.len() <= 1, "step {} had more than one attempt: {jobs:?}", step.name);
            let Some(job) = jobs.first() else { continue };
            let pod = self.site.pod_of(job).await?.unwrap_or_else(|| (*job).to_owned());
            ensure!(!pods.contains(&pod), "{pod} ran two steps");
            pods.push(pod);
        }
        ensure!(pods.len() == 2, "expected a plan and an apply, found {pods:?}");
        Ok(pods.join(", "))
    }

    /// Checks that the live log equals the stored one, and that it does not contain the sensitive variable.
    async fn check_log(&self, followed: &FollowedJob, registered: &Registered) -> anyhow::Result<()> {
        let mut stored = String::new();
        for (_, attempt) in followed.job.attempts() {
            let path = format!("/v1/attempts/{}/log", attempt.id);
            stored.push_str(&self.site.client().text(&path).await?);
        }
        ensure!(
            stored == followed.log,
            "the live log ({} bytes) differs from the stored one ({} bytes)",
            followed.log.len(),
            stored.len()
        );
        ensure!(!stored.contains(&registered.secret), "the sensitive variable is in the log");
        Ok(())
    }
}

/// Counts the lines that the final check of the configuration printed.
/// The command in the log contains its text as well.
fn count_final_checks(followed: &FollowedJob) -> usize {
    let lines = followed.log.lines().map(without_escape_sequences);
    lines.filter(|line| line.trim_end().ends_with("(local-exec): all services answer")).count()
}
