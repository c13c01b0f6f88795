//! The list of scenarios: every row of the failure table (docs/e2e.md) that one node can run.

use futures::future::LocalBoxFuture;

use super::{changes, context::ScenarioContext, ends, pending};

/// Runs a scenario.
type Run = fn(ScenarioContext) -> LocalBoxFuture<'static, anyhow::Result<String>>;

/// One scenario.
#[derive(Debug)]
pub(crate) struct Scenario {
    pub(crate) name: &'static str,
    /// What happens.
    pub(crate) description: &'static str,
    /// No other scenario may run at the same time.
    pub(crate) is_exclusive: bool,
    /// It needs the rights of the extended role.
    pub(crate) needs_extended_role: bool,
    /// Runs it and returns what was observed.
    pub(crate) run: Run,
}

const fn parallel(name: &'static str, description: &'static str, run: Run) -> Scenario {
    Scenario { name, description, is_exclusive: false, needs_extended_role: false, run }
}

const fn exclusive(name: &'static str, description: &'static str, run: Run) -> Scenario {
    Scenario { is_exclusive: true, ..parallel(name, description, run) }
}

/// All scenarios. The first one is the precondition of the others; then the slow ones,
/// so that others run at the same time.
pub(crate) const SCENARIOS: &[Scenario] = &[
    parallel("success", "exit code 0", |s| Box::pin(ends::success(s))),
    parallel("image-unreachable", "the registry does not answer", |s| {
        Box::pin(pending::image_unreachable(s))
    }),
    parallel("image-never-pull", "the image may not be pulled", |s| Box::pin(pending::image_never_pull(s))),
    parallel("unschedulable", "no node has the label", |s| Box::pin(pending::unschedulable(s))),
    parallel("no-service-account", "the account is missing", |s| Box::pin(pending::no_service_account(s))),
    parallel("disk-full", "more on disk than the limit", |s| Box::pin(ends::disk_full(s))),
    parallel("late-secret", "the Secret is created later", |s| Box::pin(pending::late_secret(s))),
    parallel("exit-code", "exit code 7", |s| Box::pin(ends::exit_code(s))),
    parallel("own-exit-code", "an exit code of the executor", |s| Box::pin(ends::own_exit_code(s))),
    parallel("no-program", "the command is not in the image", |s| Box::pin(ends::no_program(s))),
    parallel("out-of-memory", "more memory than the limit", |s| Box::pin(ends::out_of_memory(s))),
    parallel("init-container", "an init container fails", |s| Box::pin(ends::init_container(s))),
    parallel("deadline", "runs longer than it may", |s| Box::pin(ends::deadline(s))),
    parallel("ttl", "the cluster removes an ended Job", |s| Box::pin(ends::ttl(s))),
    parallel("payload-too-large", "refused before submission", |s| Box::pin(ends::payload_too_large(s))),
    parallel("duplicate", "the same Job again, also after its end", |s| Box::pin(changes::duplicate(s))),
    parallel("conflict", "another Job of the same name", |s| Box::pin(changes::conflict(s))),
    parallel("watched-again", "a second watch, after the first was dropped", |s| {
        Box::pin(changes::watched_again(s))
    }),
    parallel("cancel-before-start", "cancelled while it is unschedulable", |s| {
        Box::pin(changes::cancel_before_start(s))
    }),
    parallel("cancel-running", "the container ends two seconds after SIGTERM", |s| {
        Box::pin(changes::cancel_running(s))
    }),
    parallel("cancel-ignoring-term", "the container ignores SIGTERM", |s| {
        Box::pin(changes::cancel_ignoring_term(s))
    }),
    parallel("cancel-after-end", "cancelled after its end", |s| Box::pin(changes::cancel_after_end(s))),
    parallel("job-deleted", "another client deletes the Job", |s| Box::pin(changes::job_deleted(s))),
    parallel("pod-deleted", "another client deletes the pod", |s| Box::pin(changes::pod_deleted(s))),
    parallel("evicted", "the pod is evicted", |s| Box::pin(changes::evicted(s))),
    Scenario {
        needs_extended_role: true,
        ..parallel("payload-secret", "the input in a Secret of the Job", |s| {
            Box::pin(changes::payload_secret(s))
        })
    },
    exclusive("quota-pods", "a quota of no pods, which is then deleted", |s| {
        Box::pin(pending::quota_of_pods(s))
    }),
    exclusive("quota-jobs", "a quota of no Jobs", |s| Box::pin(pending::quota_of_jobs(s))),
    exclusive("pod-security", "the namespace forbids the pod", |s| Box::pin(pending::pod_security(s))),
];

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn scenario_names_are_unique() {
        let names: BTreeSet<_> = SCENARIOS.iter().map(|scenario| scenario.name).collect();
        assert_eq!(names.len(), SCENARIOS.len());
    }
}
