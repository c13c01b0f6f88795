//! What is stored on both sides.

use api_server::{
    model::{Attempt, Job, Step},
    store::StoredPlan,
};

use super::model_and_store::ModelAndStore;

impl ModelAndStore {
    /// Compares the job of the last call, or everything.
    pub(super) async fn compare(&self, place: &str, whole: bool) {
        let place = format!("{place}: {}", self.last);
        let touched = self.touched.iter().copied();
        let jobs: Vec<i64> =
            if whole { self.records.jobs.keys().copied().collect() } else { touched.collect() };
        for job in jobs {
            self.compare_job(&place, job).await;
        }
        if whole {
            self.compare_states(&place).await;
            let orphans = self.records.jobs_without_replica(self.now);
            assert_eq!(self.store.jobs_without_replica().await.unwrap(), orphans, "{place}");
        }
    }

    async fn compare_job(&self, place: &str, id: i64) {
        let (store, row) = (&self.store, &self.records.jobs[&id]);
        let stored = store.job(id).await.unwrap();
        assert_eq!(shape(&row.job), shape(&stored), "{place}");
        assert_eq!(self.records.hold(id), store.workspace_hold(&stored).await.unwrap(), "{place}");
        let (load, stored_load) = (self.records.load(id), store.load(&stored).await.unwrap());
        assert_eq!(load.beside, stored_load.beside, "{place}");
        let names = self.organizations();
        let running = stored_load.running.into_iter().map(|(id, count)| (names(&id), count)).collect();
        assert_eq!(load.running, running, "{place}");
        let candidates = stored_load.candidates.into_iter().map(|mut candidate| {
            candidate.organization = names(&candidate.organization);
            candidate
        });
        assert_eq!(load.candidates, candidates.collect::<Vec<_>>(), "{place}");
        for attempt in row.job.steps.iter().flat_map(|step| &step.attempts) {
            let auth = store.attempt_auth(&attempt.id).await.unwrap().unwrap();
            assert_eq!(Some(auth.access), self.records.access(&attempt.id), "{place}");
            let lock = &self.records.workspaces[row.workspace].lock;
            let holds = lock.as_ref().is_some_and(|lock| lock.attempt.as_ref() == Some(&attempt.id));
            assert_eq!(store.lock_of_attempt(&attempt.id).await.unwrap().is_some(), holds, "{place}");
        }
        let last = row.job.steps.last().map_or(0, |step| step.number);
        let planned = self.records.plan_before(row, last).map(|planned| planned.digest);
        let stored = store.plan_before(id, last).await.unwrap().and_then(StoredPlan::into_change);
        assert_eq!(planned, stored.map(|plan| plan.digest), "{place}");
    }

    /// Returns the names of organizations by their ids.
    fn organizations(&self) -> impl Fn(&str) -> String {
        let (a, b) = (self.workspaces[0].organization_id.clone(), self.workspaces[3].organization_id.clone());
        move |id| {
            (if id == a {
                "a"
            } else if id == b {
                "b"
            } else {
                "unknown"
            })
            .to_owned()
        }
    }

    async fn compare_states(&self, place: &str) {
        for (workspace, stored) in self.records.workspaces.iter().zip(&self.workspaces) {
            let versions = self.store.state_versions(&stored.id, None).await.unwrap();
            let ids: Vec<_> =
                versions.iter().rev().map(|it| (it.id, it.serial, it.lineage.clone())).collect();
            let states = workspace.states.iter();
            let of_model: Vec<_> = states.map(|it| (it.version, it.serial, it.lineage.to_string())).collect();
            assert_eq!(of_model, ids, "{place}");
            let waiting = self.records.waiting_jobs(self.index(&stored.id));
            assert_eq!(self.store.waiting_jobs(&stored.id).await.unwrap(), waiting, "{place}");
        }
    }

    fn index(&self, workspace: &str) -> usize {
        self.workspaces.iter().position(|stored| stored.id == workspace).unwrap()
    }
}

/// Everything about a job that both sides have in common, as text.
fn shape(job: &Job) -> String {
    let Job { id, status, message, cancel_requested, recheck_of, ended_at, steps, .. } = job;
    // What has ended takes its message from what has ended it, which is a matter of reading.
    let message = message.as_deref().filter(|_| !status.is_final());
    let steps: Vec<String> = steps.iter().map(shape_of_step).collect();
    format!(
        "job {id} {status} {message:?} cancel {cancel_requested} of {recheck_of:?} ended {}\n{}",
        ended_at.is_some(),
        steps.join("\n")
    )
}

fn shape_of_step(step: &Step) -> String {
    let Step { number, step_type, status, has_changes, answer, started_at, ended_at, .. } = step;
    let approved = answer.as_ref().map(|answer| (&answer.by, &answer.plan_digest));
    let times = (started_at.is_some(), ended_at.is_some());
    let attempts: Vec<String> = step.attempts.iter().map(shape_of_attempt).collect();
    format!(
        "  step {number} {step_type} {status} {has_changes:?} {approved:?} {times:?}\n{}",
        attempts.join("\n")
    )
}

fn shape_of_attempt(attempt: &Attempt) -> String {
    let Attempt { id, number, phase, live, status, message, cancel_sent, plan_digest, .. } = attempt;
    let progress = &attempt.progress;
    let is_refused = attempt.refusal.is_some();
    let message = message.as_deref().filter(|_| !is_refused);
    let times = [
        attempt.claimed_at,
        attempt.last_contact_at,
        attempt.ended_at,
        attempt.retry_at,
        progress.refused_since,
        progress.running_at,
        progress.reported_at,
    ]
    .map(|time| time.is_some());
    let cause = attempt.cause.as_ref().map(ToString::to_string);
    format!(
        "    attempt {id} {number} {phase} live {live} {status} {message:?} refused {is_refused} cancelled \
         {cancel_sent} plan {plan_digest:?} rescued {} result {:?} cause {cause:?} waits {} failures {} \
         {:?} times {times:?}",
        attempt.has_rescued_state,
        attempt.result,
        attempt.waiting.is_some(),
        attempt.submit_failures,
        progress.last_error,
    )
}
