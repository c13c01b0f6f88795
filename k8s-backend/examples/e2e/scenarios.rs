//! What is shown: every row of the failure table that one node can show.

use futures::future::LocalBoxFuture;

use crate::stage::Stage;

mod ends;
mod hands;
mod waits;

/// One thing to show.
#[derive(Debug)]
pub(crate) struct Scenario {
    pub(crate) name: &'static str,
    /// What happens and what should come of it.
    pub(crate) shows: &'static str,
    /// No other may run meanwhile.
    pub(crate) changes_the_namespace: bool,
    /// It needs what the extended role allows.
    pub(crate) only_extended: bool,
    /// Plays it, and tells what was seen.
    pub(crate) play: fn(Stage) -> LocalBoxFuture<'static, anyhow::Result<String>>,
}

const fn together(
    name: &'static str,
    shows: &'static str,
    play: fn(Stage) -> LocalBoxFuture<'static, anyhow::Result<String>>,
) -> Scenario {
    Scenario { name, shows, changes_the_namespace: false, only_extended: false, play }
}

const fn alone(
    name: &'static str,
    shows: &'static str,
    play: fn(Stage) -> LocalBoxFuture<'static, anyhow::Result<String>>,
) -> Scenario {
    Scenario { changes_the_namespace: true, ..together(name, shows, play) }
}

/// All scenarios: the one without which no other makes sense, then the slow ones, so that the others run beside them.
pub(crate) const ALL: &[Scenario] = &[
    together("success", "exit code 0", |s| Box::pin(ends::success(s))),
    together("image-unreachable", "nobody answers at the registry", |s| {
        Box::pin(waits::image_unreachable(s))
    }),
    together("image-never-pull", "the image may not be pulled", |s| Box::pin(waits::image_never_pull(s))),
    together("unschedulable", "no node has the label", |s| Box::pin(waits::unschedulable(s))),
    together("no-service-account", "the account is missing", |s| Box::pin(waits::no_service_account(s))),
    together("disk-full", "more on disk than the limit", |s| Box::pin(ends::disk_full(s))),
    together("late-secret", "the Secret comes later", |s| Box::pin(waits::late_secret(s))),
    together("exit-code", "exit code 7", |s| Box::pin(ends::exit_code(s))),
    together("own-exit-code", "an exit code of the executor", |s| Box::pin(ends::own_exit_code(s))),
    together("no-program", "the command is not in the image", |s| Box::pin(ends::no_program(s))),
    together("out-of-memory", "more memory than the limit", |s| Box::pin(ends::out_of_memory(s))),
    together("init-container", "an init container fails", |s| Box::pin(ends::init_container(s))),
    together("deadline", "runs longer than it may", |s| Box::pin(ends::deadline(s))),
    together("ttl", "the cluster removes an ended Job", |s| Box::pin(ends::ttl(s))),
    together("payload-too-large", "refused before anything is made", |s| {
        Box::pin(ends::payload_too_large(s))
    }),
    together("duplicate", "the same Job again, also after its end", |s| Box::pin(hands::duplicate(s))),
    together("conflict", "another Job of the same name", |s| Box::pin(hands::conflict(s))),
    together("watched-again", "a second watch, after the first was dropped", |s| {
        Box::pin(hands::watched_again(s))
    }),
    together("cancel-before-start", "cancelled while no node takes it", |s| {
        Box::pin(hands::cancel_before_start(s))
    }),
    together("cancel-running", "the container works on after TERM", |s| Box::pin(hands::cancel_running(s))),
    together("cancel-deaf", "the container ignores TERM", |s| Box::pin(hands::cancel_deaf(s))),
    together("cancel-after-end", "changes nothing any more", |s| Box::pin(hands::cancel_after_end(s))),
    together("job-deleted", "somebody deletes the Job", |s| Box::pin(hands::job_deleted(s))),
    together("pod-deleted", "somebody deletes the pod", |s| Box::pin(hands::pod_deleted(s))),
    together("evicted", "somebody drains the node", |s| Box::pin(hands::evicted(s))),
    Scenario {
        only_extended: true,
        ..together("payload-secret", "the input in a Secret of the Job", |s| {
            Box::pin(hands::payload_secret(s))
        })
    },
    alone("quota-pods", "no pod may be made, then it may", |s| Box::pin(waits::quota_of_pods(s))),
    alone("quota-jobs", "the Job itself is refused", |s| Box::pin(waits::quota_of_jobs(s))),
    alone("pod-security", "the namespace forbids such pods", |s| Box::pin(waits::pod_security(s))),
];

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_scenario_has_a_name_of_its_own() {
        let names: BTreeSet<_> = ALL.iter().map(|scenario| scenario.name).collect();
        assert_eq!(names.len(), ALL.len());
    }
}
