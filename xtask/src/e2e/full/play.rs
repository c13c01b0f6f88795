//! The main job, acted out: plan, approval and apply, the same again, a cancel, restarts of the api-server, destroy.
//!
//! The same whether executors are pods or processes, and wherever the api-server runs.

use std::time::Instant;

use anyhow::{Context as _, bail, ensure};
use serde_json::json;

use super::{
    director::{Director, Plot},
    site::Site,
};
use crate::{
    e2e::report::Outcome,
    environment::Environment,
    product::{
        follow::{self, Followed},
        log_lines::without_colours,
        model::{Job, Status},
        register::{self, Registered, Wanted},
        state,
        tool::Tool,
    },
};

/// Enough services for an apply that takes some seconds: each is checked for 0.4 s.
const SERVICES: usize = 40;

/// What the stories need.
pub(super) struct Play<'a> {
    pub(super) environment: &'a Environment,
    pub(super) site: &'a mut dyn Site,
    pub(super) source: &'a str,
    pub(super) tool: Tool,
    /// Variables of every workspace, beside those of the configuration.
    pub(super) variables: Vec<serde_json::Value>,
    pub(super) outcomes: Vec<Outcome>,
}

impl Play<'_> {
    /// Plays everything; one story needs the one before it, so the first that fails is the last.
    pub(super) fn run(&mut self) -> anyhow::Result<()> {
        let small = self.register("{ web = 2, worker = 1 }")?;
        let large: Vec<_> = (0..SERVICES).map(|number| format!("s{number:02} = 1")).collect();
        let large = self.register(&format!("{{ {} }}", large.join(", ")))?;
        self.story("main-job", "plan, approval, apply", |play| play.main_job(&small))?;
        self.story("no-changes", "the same again", |play| play.no_changes(&small))?;
        self.story("destroy", "everything is taken away", |play| play.destroy(&small))?;
        self.story("cancel-apply", "cancelled in the middle of an apply", |play| play.cancel(&large))?;
        match self.site.stays() {
            None => self.story("restarts", "the api-server stops, and is killed in an apply", |play| {
                play.restarts(&large)
            }),
            Some(reason) => {
                self.environment.ui.warning(&format!("no restart of the api-server is shown: {reason}"));
                Ok(())
            }
        }
    }

    fn story(
        &mut self,
        name: &str,
        shows: &str,
        play: impl FnOnce(&mut Self) -> anyhow::Result<String>,
    ) -> anyhow::Result<()> {
        self.environment.ui.title(&format!("Story {name:?}: {shows}"));
        let start = Instant::now();
        let result = play(self);
        self.environment.ui.quiet();
        self.environment.interrupt.check()?;
        let (passed, text) = match &result {
            Ok(saw) => (true, saw.clone()),
            Err(error) => (false, format!("{error:#}")),
        };
        let seconds = start.elapsed().as_secs_f64();
        let (scenario, shows) = (name.to_owned(), shows.to_owned());
        self.outcomes.push(Outcome { scenario, shows, passed, seconds, text });
        result.map(drop).with_context(|| format!("story {name:?}"))
    }

    fn register(&self, services: &str) -> anyhow::Result<Registered> {
        let wanted = Wanted { organization: "e2e", source: self.source, tool: self.tool, services };
        let registered = register::register(self.site.api(), &wanted)?;
        for variable in &self.variables {
            register::set_variable(self.site.api(), &registered.workspace, variable)?;
        }
        Ok(registered)
    }

    fn main_job(&mut self, registered: &Registered) -> anyhow::Result<String> {
        let path = &registered.plan_and_apply;
        let (followed, was_live) =
            self.job(registered, path, Plot::Plain, "checking web ...", Status::Completed)?;
        ensure!(was_live == Some(true), "the log of the apply was heard only after its end");
        let ran_in = self.ran_in(&followed.job)?;
        self.check_log(&followed, registered)?;
        let state = state::read(self.site.api(), &registered.workspace)?;
        ensure!(state.resources > 0, "the state is empty: {state}");
        Ok(format!("{ran_in}; live log; state: {state}"))
    }

    fn no_changes(&mut self, registered: &Registered) -> anyhow::Result<String> {
        let before = state::read(self.site.api(), &registered.workspace)?;
        let path = &registered.plan_and_apply;
        self.job(registered, path, Plot::Plain, "checking web ...", Status::NoChanges)?;
        let after = state::read(self.site.api(), &registered.workspace)?;
        ensure!(before.resources == after.resources, "the state had {before}, and has {after}");
        Ok("nothing to change, nothing applied".to_owned())
    }

    fn destroy(&mut self, registered: &Registered) -> anyhow::Result<String> {
        self.job(registered, &registered.destroy, Plot::Plain, "no such words", Status::Completed)?;
        let state = state::read(self.site.api(), &registered.workspace)?;
        ensure!(state.resources == 0, "the state still holds {state}");
        Ok(format!("state: {state}"))
    }

    /// What terraform had made is in the state, and the workspace is free for the next job.
    fn cancel(&mut self, registered: &Registered) -> anyhow::Result<String> {
        let path = &registered.plan_and_apply;
        let (followed, was_live) =
            self.job(registered, path, Plot::Cancel, "checking s01 ...", Status::Cancelled)?;
        ensure!(was_live == Some(true), "it was over before it could be cancelled");
        ensure!(times_done(&followed) == 0, "the apply ran to its end all the same");
        let state = state::read(self.site.api(), &registered.workspace)?;
        ensure!(state.resources > 0, "what the apply had made is not in the state: {state}");
        Ok(format!("cancelled; state: {state}"))
    }

    /// Nothing is lost and nothing is done twice.
    fn restarts(&mut self, registered: &Registered) -> anyhow::Result<String> {
        let path = &registered.plan_and_apply;
        let (followed, was_live) =
            self.job(registered, path, Plot::Restarts, "checking s01 ...", Status::Completed)?;
        ensure!(was_live == Some(true), "the apply was over before the api-server could be killed");
        let ran_in = self.ran_in(&followed.job)?;
        self.check_log(&followed, registered)?;
        let done = times_done(&followed);
        ensure!(done == 1, "the last thing of the apply was done {done} times, expected once");
        Ok(format!("{ran_in}; the log is whole"))
    }

    fn job(
        &mut self,
        registered: &Registered,
        template: &str,
        plot: Plot,
        marker: &str,
        expected: Status,
    ) -> anyhow::Result<(Followed, Option<bool>)> {
        let api = self.site.api().clone();
        let path = format!("/v1/workspaces/{}/jobs", registered.workspace);
        let job: Job = api.create(&path, &json!({ "templateId": template }))?;
        let mut director = Director::new(&mut *self.site, plot, marker);
        let followed = follow::follow(self.environment, &api, job.id, &mut director)?;
        let (status, reason) = (followed.job.status, followed.job.reason().unwrap_or("it gave no reason"));
        if status != expected {
            bail!("job {} ended as {status}, expected {expected}: {reason}", job.id);
        }
        let was_live = director.was_live;
        Ok((followed, was_live))
    }

    /// Checks that each step had one attempt, in a pod of its own.
    fn ran_in(&self, job: &Job) -> anyhow::Result<String> {
        let mut places = Vec::new();
        for step in &job.steps {
            let attempts: Vec<_> =
                step.attempts.iter().map(|attempt| attempt.kubernetes_job.as_str()).collect();
            ensure!(attempts.len() <= 1, "step {} was tried more than once: {attempts:?}", step.name);
            let Some(attempt) = attempts.first() else { continue };
            let place = self.site.pod_of(attempt)?.unwrap_or_else(|| (*attempt).to_owned());
            ensure!(!places.contains(&place), "{place} ran two steps");
            places.push(place);
        }
        ensure!(places.len() == 2, "expected a plan and an apply, found {places:?}");
        Ok(places.join(", "))
    }

    /// Checks that what was heard is what was said, and that it holds no secret.
    fn check_log(&self, followed: &Followed, registered: &Registered) -> anyhow::Result<()> {
        let mut stored = String::new();
        for (_, attempt) in followed.job.attempts() {
            stored.push_str(&self.site.api().text(&format!("/v1/attempts/{}/log", attempt.id))?);
        }
        ensure!(
            stored == followed.log,
            "{} bytes of log were heard live, {} are stored, or they differ",
            followed.log.len(),
            stored.len()
        );
        ensure!(!stored.contains(&registered.secret), "the sensitive variable stands in the log");
        Ok(())
    }
}

/// Counts how often the last thing of the apply was done. It stands in the command too, which is shown with it.
fn times_done(followed: &Followed) -> usize {
    let lines = followed.log.lines().map(without_colours);
    lines.filter(|line| line.trim_end().ends_with("(local-exec): all services answer")).count()
}
