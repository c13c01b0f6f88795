//! The diagram of the transitions, drawn from every state that the decisions reach.
//!
//! The model of `model.rs` is explored from a new job with plan, approval and apply: in each state the next
//! decision is carried out, and every event may happen.

use std::{
    collections::{BTreeMap, BTreeSet, HashSet, VecDeque},
    fmt::Write as _,
    fs,
    path::Path,
    sync::OnceLock,
};

use super::{
    model::{Model, ModelEvent},
    *,
};

const EVENTS: [(ModelEvent, &str); 10] = [
    (ModelEvent::Claim, "executor claims"),
    (ModelEvent::ReportCompleted, "executor reports"),
    (ModelEvent::ReportNoChanges, "executor reports"),
    (ModelEvent::ReportFailed, "executor reports"),
    (ModelEvent::ReportUnknown, "executor reports"),
    (ModelEvent::KubernetesJobEnds, "Kubernetes Job ends"),
    (ModelEvent::Waits, "Kubernetes Job waits"),
    (ModelEvent::Cancel, "user cancels"),
    (ModelEvent::Approve, "user approves"),
    (ModelEvent::Reject, "user rejects"),
];

/// Edges between two names, each with what causes it.
type Edges = BTreeMap<(String, String), BTreeSet<String>>;

/// Explores once for all tests.
fn explore() -> &'static (Edges, Edges) {
    static EDGES: OnceLock<(Edges, Edges)> = OnceLock::new();
    EDGES.get_or_init(explored)
}

fn explored() -> (Edges, Edges) {
    let (mut jobs, mut attempts) = (Edges::new(), Edges::new());
    let mut seen = HashSet::new();
    let mut queue = VecDeque::from([Model::new()]);
    while let Some(model) = queue.pop_front() {
        if model.job.status.is_final() || !seen.insert(key(&model)) {
            continue;
        }
        for (next, cause) in successors(&model) {
            for (edges, from, to) in [
                (&mut jobs, model.job.status.to_string(), next.job.status.to_string()),
                (&mut attempts, attempt_name(&model), attempt_name(&next)),
            ] {
                if from != to {
                    edges.entry((from, to)).or_default().insert(cause.clone());
                }
            }
            queue.push_back(next);
        }
    }
    (jobs, attempts)
}

/// Messages and times differ where states do not.
fn key(model: &Model) -> String {
    let mut job = model.job.clone();
    job.message = None;
    for step in &mut job.steps {
        step.message = None;
        if step.status == StepStatus::Completed {
            // What it took does not matter any more.
            step.attempts.clear();
        }
        for attempt in &mut step.attempts {
            attempt.message = None;
            attempt.retry_at = None;
        }
    }
    let current = job.steps.iter().rev().find_map(|step| step.attempts.last());
    let alive = current.is_some_and(|attempt| model.alive.contains(&attempt.id));
    format!("{job:?} {alive}")
}

fn successors(model: &Model) -> Vec<(Model, String)> {
    let mut found = Vec::new();
    let mut decided = model.clone();
    match decided.step_once() {
        Next::Do(action) => found.push((decided, name_of(&action))),
        Next::Wait(Some(_)) => {
            let mut later = model.clone();
            (0..8).for_each(|_| later.apply(ModelEvent::TimePasses));
            let next = later.step_once();
            if let Next::Do(action) = next {
                let name = name_of(&action);
                found.push((later, name));
            }
        }
        Next::Wait(None) | Next::Done => {}
    }
    for (event, name) in EVENTS {
        let mut happened = model.clone();
        happened.apply(event);
        found.push((happened, name.to_owned()));
    }
    found
}

/// Returns the name of an action: that of its variant.
fn name_of(action: &Action) -> String {
    let text = format!("{action:?}");
    text.split([' ', '{']).next().unwrap_or_default().to_owned()
}

fn attempt_name(model: &Model) -> String {
    let last = model.job.steps.iter().rev().find_map(|step| step.attempts.last());
    let Some(attempt) = last else { return "none".to_owned() };
    match attempt {
        Attempt { phase: AttemptPhase::Ended, status, .. } => format!("ended_{status}"),
        Attempt { result: Some(_), .. } => "reported".to_owned(),
        Attempt { cause: Some(_), .. } => "over_without_report".to_owned(),
        Attempt { claimed_at: Some(_), .. } => "claimed".to_owned(),
        Attempt { live: false, .. } => "fenced".to_owned(),
        Attempt { phase, .. } => phase.to_string(),
    }
}

fn diagram(edges: &Edges, start: &str) -> String {
    let mut text = format!("```mermaid\nstateDiagram-v2\n    [*] --> {start}\n");
    for ((from, to), causes) in edges {
        let causes: Vec<_> = causes.iter().map(String::as_str).collect();
        let _ = writeln!(text, "    {from} --> {to}: {}", causes.join(", "));
    }
    text.push_str("```\n");
    text
}

fn page() -> String {
    let (jobs, attempts) = explore();
    format!(
        "# Transitions of jobs and attempts\n\n<!-- Generated from api-server/src/orchestrator/decide.rs; \
         cargo xtask docs writes it. -->\n\nDrawn from every state that the decisions reach for a job with \
         plan, approval and apply. Names in\n`CamelCase` are actions of the orchestrator, the others are \
         events that are stored first. A user resolves\n`unknown` by recheck, accept or abandon, which is \
         not a decision of the orchestrator.\n\n## Status of a job\n\n{}\n## The \
         last attempt at a step\n\n{}",
        diagram(jobs, "pending"),
        diagram(attempts, "none")
    )
}

#[test]
#[expect(clippy::disallowed_methods, reason = "`cargo xtask docs` asks by this variable to write the page")]
fn page_of_transitions_is_up_to_date() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/reference");
    if !folder.is_dir() {
        // A published crate has no `docs/` beside it.
        return;
    }
    let (path, page) = (folder.join("transitions.md"), page());
    if std::env::var("UPDATE_REFERENCE").is_ok_and(|value| value == "1") {
        fs::write(&path, &page).unwrap();
    }
    let committed = fs::read_to_string(&path).unwrap_or_default();
    assert!(committed == page, "docs/reference/transitions.md is out of date; cargo xtask docs writes it");
}

#[test]
fn nothing_follows_the_end_of_a_job_and_no_apply_runs_twice() {
    let (jobs, attempts) = explore();
    for (from, to) in jobs.keys() {
        let ended = JobStatus::parse(from).unwrap().is_final();
        assert!(!ended, "{from} --> {to}");
    }
    assert!(!attempts.contains_key(&("ended_unknown".to_owned(), "prepared".to_owned())));
    assert!(attempts.contains_key(&("ended_lost".to_owned(), "prepared".to_owned())), "unclaimed ones are");
}
